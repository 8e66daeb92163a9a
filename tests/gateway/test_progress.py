"""Several servers' status lines become one stream, wherever their bytes were cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.words.progress import LINE_BYTES_LIMIT, Progress, least

LINES = [
    {"status": "pulling manifest"},
    {"status": "pulling 1", "digest": "sha256:1", "total": 10, "completed": 3},
    {"status": "pulling 1", "digest": "sha256:1", "total": 10, "completed": 9},
    {"status": "verifying sha256 digest"},
    {"status": "success"},
]
BODY = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)


def read(*pieces: bytes) -> Progress:
    progress = Progress()
    for number, piece in enumerate(pieces, 1):
        progress.read(piece, is_last=number == len(pieces))
    return progress


@given(st.lists(st.integers(0, len(BODY)), max_size=5))
def test_a_body_means_the_same_at_every_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    progress = read(*(BODY[start:end] for start, end in pairwise(edges)))
    assert (progress.line, progress.is_done, progress.error, progress.rank) == (LINES[-1], True, "", (4, 0.0))


def after(count: int) -> Progress:
    progress = Progress()
    progress.read(b"".join(json.dumps(line).encode() + b"\n" for line in LINES[:count]), is_last=False)
    return progress


def test_each_line_is_further_than_the_one_before() -> None:
    ranks = [after(count).rank for count in range(len(LINES) + 1)]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_the_least_one_at_work_is_told() -> None:
    failed = read(b'{"error": "no such manifest"}')
    assert failed.error == "no such manifest"
    assert least([after(3), after(2), after(5), failed]) == LINES[1]
    assert least([after(3), after(0)]) is None
    assert least([after(5), failed]) is None
    assert least([]) is None


@pytest.mark.parametrize("body", [b"no JSON", b"[1]", b"\xff\xfe", b"[" * 100_000, b"x" * (LINE_BYTES_LIMIT + 1)])
def test_what_is_not_ollamas_is_an_error(body: bytes) -> None:
    assert read(body).error == "it answered something that is not Ollama's"
