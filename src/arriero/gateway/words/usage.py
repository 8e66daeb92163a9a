"""What an answer's last records say of tokens and of loading, in every dialect. Pure.

Read with a search instead of a parser: the last record of a native answer may carry the ids of a whole context.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TAIL_BYTES = 2048
_IN, _OUT, _LOAD = (b'"prompt_eval_count":',), (b'"eval_count":',), (b'"load_duration":',)
_IN_ELSEWHERE, _OUT_ELSEWHERE = (
    (b'"prompt_tokens":', b'"input_tokens":'),
    (b'"completion_tokens":', b'"output_tokens":'),
)
_NUMBER = re.compile(rb"\s*(\d{1,18})")

_NO_TEXT = re.compile(rb'"(?:content|response|text)":\s*""')
_SAID = re.compile(rb'"(?:tool_calls|thinking|reasoning\w*)"')


class Usage(NamedTuple):
    tokens_in: int
    tokens_out: int
    load_seconds: float


def read(tail: bytes) -> Usage:
    """The figures in the end of an answer; what it does not say is 0. The last of several counts: usage grows."""
    tail = tail[-TAIL_BYTES:]
    if b'eval_count":' in tail:
        return Usage(_last(_IN, tail), _last(_OUT, tail), _last(_LOAD, tail) / 1e9)
    return Usage(_last(_IN_ELSEWHERE, tail), _last(_OUT_ELSEWHERE, tail), _last(_LOAD, tail) / 1e9)


def says_nothing(tail: bytes) -> bool:
    """Whether this end of an answer in one piece, which may be all of it, has an empty text and nothing else."""
    return bool(_NO_TEXT.search(tail)) and not _SAID.search(tail)


def _last(names: tuple[bytes, ...], text: bytes) -> int:
    """The number after the last of these names that has one."""
    end = len(text)
    while True:
        at, after = -1, 0
        for name in names:
            found = text.rfind(name, 0, end)
            if found > at:
                at, after = found, found + len(name)
        if at < 0:
            return 0
        number = _NUMBER.match(text, after)
        if number is not None:
            return int(number[1])
        end = after - 1
