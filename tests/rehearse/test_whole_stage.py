"""The stage with both real emulated clouds, as the command line starts it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from arriero.rehearse.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "stage")
    yield made
    made.stop()


def first_line(url: str, request: bytes) -> bytes:
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline()


@pytest.mark.story
def test_both_clouds_answer_on_ports_that_stay_and_nothing_else_is_reached(stage: Stage) -> None:
    stage.ensure()
    endpoints = stage.endpoints({"NO_PROXY": "*", "AWS_PROFILE": "mine"})
    seen = endpoints.environment
    assert endpoints.accounts == {"aws": "123456789012", "azure": "00000000-0000-0000-0000-000000000001"}
    assert first_line(seen["AWS_ENDPOINT_URL"], b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 "
    )
    refused = first_line(seen["HTTPS_PROXY"], b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert b" 403 " in refused
    assert not {"NO_PROXY", "AWS_PROFILE"} & set(seen)
    stage.stop()
    stage.ensure()
    assert (
        dict(stage.endpoints({}).environment).items()
        >= {key: seen[key] for key in ("AWS_ENDPOINT_URL", "HTTPS_PROXY", "ARRIERO_OLLAMA", "HOME")}.items()
    )
