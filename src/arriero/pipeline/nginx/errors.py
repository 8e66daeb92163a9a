"""What nginx itself refuses, as JSON: each dialect's clients read errors in their own shape. Pure data.

The gateway's own answers pass untouched: these are for requests that never came to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arriero.gateway.words.dialects import ANTHROPIC, NATIVE, OPENAI, Dialect, error_body

MESSAGES: Mapping[int, str] = {
    400: "bad request",
    404: "not found",
    405: "method not allowed",
    408: "the request did not come in time",
    413: "the body is too large",
    414: "the address is too long",
    429: "too many requests; try again in 1 s",
    500: "nginx could not do it",
    502: "no gateway answers; try again soon",
    504: "no gateway answered in time; try again soon",
}
RETRY_AFTER_SECONDS = 1
# As `words/paths.py` has it for the paths that let requests through; a test compares the two.
_DIALECTS: Mapping[str, Dialect] = {"~^/v1/messages(/|$)": ANTHROPIC, "~^/v1/": OPENAI}


def maps() -> Iterator[str]:
    """A variable `$arriero_STATUS` for each status: the body, by the request's path."""
    for status, message in MESSAGES.items():
        yield f"    map $uri $arriero_{status} {{"
        yield f"        default '{_text(NATIVE, status, message)}';"
        for path, dialect in _DIALECTS.items():
            yield f"        '{path}' '{_text(dialect, status, message)}';"
        yield "    }"


def pages() -> Iterator[str]:
    """What a server answers with in place of nginx's own pages."""
    for status in MESSAGES:
        # What TLS found wrong has statuses of nginx's own: no client knows them.
        also = " 494 495 496 497 =400" if status == 400 else ""
        if also:
            yield f"        error_page{also} @arriero_400;"
        yield f"        error_page {status} @arriero_{status};"
        yield f"        location @arriero_{status} {{"
        yield "            add_header X-Request-Id $arriero_request_id always;"
        if status in (429, 502, 504):
            yield f"            add_header Retry-After {RETRY_AFTER_SECONDS} always;"
        yield f"            return {status} $arriero_{status};"
        yield "        }"


def _text(dialect: Dialect, status: int, message: str) -> str:
    return error_body(dialect, status, message).decode().strip()
