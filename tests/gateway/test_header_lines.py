"""What is kept of a request's head: the values that the gateway reads, and the lines for the target."""

from __future__ import annotations

import pytest

from arriero.gateway.access.entrance import FRONT_DOOR_HEADER
from arriero.gateway.access.sources import FORWARDED_FOR
from arriero.gateway.relay import migration, waiting, warming
from arriero.gateway.wire.headers import request_bytes, sort_headers
from arriero.gateway.wire.request import Request


def sorted_request(*headers: tuple[bytes, bytes]) -> Request:
    request = Request(0.0)
    request.method, request.target, request.id = "GET", b"/api/tags", "1"
    request.headers = list(headers)
    sort_headers(request)
    return request


@pytest.mark.parametrize(
    "name", [FRONT_DOOR_HEADER, FORWARDED_FOR, warming.HEADER, migration.OPT_OUT, waiting.DEADLINE_HEADER]
)
def test_every_value_of_what_the_gateway_reads_is_found_again(name: bytes) -> None:
    assert sorted_request((name.upper(), b"a"), (b"Other", b"x"), (name, b"b"), (name, b"c")).all_of(name) == [
        b"a",
        b"b",
        b"c",
    ]
    assert sorted_request((b"Other", b"x")).all_of(name) == []


def test_lines_cross_as_they_were_written_but_for_those_of_the_connection() -> None:
    request = sorted_request(
        (b"Host", b"here"),
        (b"X-A", b"1"),
        (b"Connection", b"close, x-b"),
        (b"x-B", b"2"),
        (b"x-c", b""),
        (b"X-A", b"3"),
    )
    assert request_bytes(request, b"there") == (
        b"GET /api/tags HTTP/1.1\r\nHost: there\r\nX-Request-Id: 1\r\nX-A: 1\r\nx-c: \r\nX-A: 3\r\n\r\n"
    )
