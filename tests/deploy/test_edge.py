"""The edge takes up what its spec says now, without leaving, and knows where it would stand open."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.events import ignore
from arriero.spec.load import load

SPEC = """\
name: llm
image: acme/ollama
models: [llama2]
sidecar: false
gateway: {{port: {port}, origins: [{origins}]}}
sites: {{office: {{cloud: local, adopt: ["{server}"]}}}}
"""


class Answers(BaseHTTPRequestHandler):
    """As much of an Ollama as a gateway asks for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answers = {"/api/tags": {"models": []}, "/api/ps": {"models": []}, "/api/version": {"version": "0.32.15"}}
        found = answers.get(self.path)
        body = json.dumps(found or {}).encode()
        self.send_response(200 if found or self.path == "/" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_a_changed_spec_reaches_the_running_gateway_in_place(tmp_path: Path, server: str) -> None:
    project = Project(tmp_path / "arriero.yaml")
    port = free_port()

    def ensured(origins: str) -> edge.Edge:
        project.spec.write_text(SPEC.format(port=port, origins=origins, server=server))
        return edge.ensure(project, load(project.spec, None, {}).spec, ignore)

    try:
        first = ensured("")
        assert status_for("https://chat.example.com", first.url) == 403
        assert ensured("") == first
        second = ensured("'https://chat.example.com'")
        assert (second.url, second.controller) == (first.url, first.controller)
        assert second.gateway != first.gateway
        assert edge.find(project) == second
        assert status_for("https://chat.example.com", second.url) == 200
    finally:
        edge.stop(project)
    assert edge.find(project) is None


def test_a_controller_that_died_gets_a_successor_and_the_gateway_serves_on(tmp_path: Path, server: str) -> None:
    project = Project(tmp_path / "arriero.yaml")
    project.spec.write_text(SPEC.format(port=free_port(), origins="", server=server))
    spec = load(project.spec, None, {}).spec
    try:
        first = edge.ensure(project, spec, ignore)
        first.controller.signal(signal.SIGKILL)
        first.controller.end(5)
        second = edge.ensure(project, spec, ignore)
        assert second.gateway == first.gateway
        assert second.controller != first.controller
        assert second.controller.is_alive
        assert edge.find(project) == second
    finally:
        edge.stop(project)
    assert not second.controller.is_alive


def test_a_gateway_gets_no_login_and_no_secret_of_the_environment_and_its_controller_does(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"AWS_SECRET_ACCESS_KEY": "one", "AZURE_CLIENT_SECRET": "two", "HF_TOKEN": "three", "SLACK_URL": "four"}
    kept = {"OTEL_EXPORTER_OTLP_HEADERS": "for=spans", "SSL_CERT_FILE": "/authority.pem", "https_proxy": "http://p:1"}
    for name, value in (given | kept).items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "arriero.yaml")
    project.spec.write_text(SPEC.format(port=free_port(), origins="", server=server))
    try:
        found = edge.ensure(project, load(project.spec, None, {}).spec, ignore)
        gateway, controller = (
            dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line)
            for pid in (found.gateway.pid, found.controller.pid)
        )
    finally:
        edge.stop(project)
    assert gateway.keys() & given.keys() == set()
    assert {name: gateway.get(name) for name in kept} == kept
    assert given.items() <= controller.items()


def test_a_port_that_was_taken_in_the_meantime_is_given_up_for_the_next(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "arriero.yaml")
    look = edge._free_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        project.spec.write_text(SPEC.format(port=taken, origins="", server=server))
        answers = iter([taken])
        # As if the other had come just after the first look.
        monkeypatch.setattr(edge, "_free_port", lambda *asked: next(answers, None) or look(*asked))
        try:
            found = edge.ensure(project, load(project.spec, None, {}).spec, ignore)
            assert found.url != f"http://127.0.0.1:{taken}"
            assert status_for("", found.url) == 200
        finally:
            edge.stop(project)


def status_for(origin: str, url: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", "/", headers={"Origin": origin})
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
