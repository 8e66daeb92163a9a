"""Whether an image is gone, asked of a registry that answers as the distribution protocol has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from arriero.clouds import registry

DIGEST = "sha256:" + "a" * 64
STATUSES = {
    "/v2/acme/llm/manifests/1": 200,
    "/v2/acme/llm/manifests/latest": 200,
    f"/v2/acme/llm/manifests/{DIGEST}": 200,
    "/v2/closed/llm/manifests/1": 401,
    "/v2/broken/llm/manifests/1": 500,
}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    class Registry(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(STATUSES.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("acme/llm:1", ""),
        ("acme/llm", ""),
        (f"acme/llm@{DIGEST}", ""),
        ("acme/llm:2", "has no acme/llm:2"),
        ("acme/other", "has no acme/other:latest"),
        (f"acme/llm:1@{DIGEST[:-1]}b", f"has no acme/llm:{DIGEST[:-1]}b"),
        ("closed/llm:1", ""),
        ("broken/llm:1", ""),
    ],
)
def test_only_a_registry_that_says_so_has_lost_an_image(host: str, image: str, says: str) -> None:
    assert registry.gone(f"{host}/{image}") == (f"{host} {says}" if says else "")


def test_a_registry_that_is_out_of_reach_tells_nothing() -> None:
    assert registry.gone("127.0.0.1:1/acme/llm:1") == ""
