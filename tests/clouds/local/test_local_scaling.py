"""Servers on this machine more and fewer, with real processes, as the controller has them."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from arriero.clouds.local import scaling
from arriero.clouds.local.state import read_servers, site_folder
from arriero.errors import CloudError
from arriero.plan.model import SiteRef

REF = SiteRef("llm", "office", "local", "", hosts=("127.0.0.1",))
# Stands for Ollama: it answers on the address that it is told.
SERVER = """\
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        says = '{"models": [{"name": "llama2:latest"}]}' if self.path == "/api/ps" else os.environ["SAYS"]
        self.send_response(200); self.end_headers(); self.wfile.write(says.encode())
    def log_message(self, *_): pass
host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
http.server.HTTPServer((host, int(port)), Answer).serve_forever()
"""


def allowed() -> None:
    """The lease holds."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SiteRef]:
    """One server that a deployment started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    scaling._run(
        REF,
        {
            "name": "llm-office-r3-1",
            "command": [sys.executable, str(program)],
            "environment": {"SAYS": "hello"},
            "sidecar": {},
            "host": "127.0.1.0/24",
            "port": 23434,
            "tags": {"arriero-release": "3"},
            "stop_seconds": 2,
            "start_seconds": 60,
        },
        60,
    )
    yield REF
    names = [server.name for server in read_servers(site_folder("llm", "office"))]
    scaling.stop(REF, scaling.read(REF), names, allowed)
    assert not read_servers(site_folder("llm", "office"))


def test_copies_of_the_one_that_runs_are_started_and_go_by_name(site: SiteRef) -> None:
    first = scaling.read(site)
    assert (first.count, [target.id for target in first.targets], first.obstacle) == (1, ["llm-office-r3-1"], "")
    assert scaling.start(site, first, 2, allowed) == ["llm-office-r3-2", "llm-office-r3-3"]
    grown = scaling.read(site)
    assert grown.count == 3
    assert {target.release for target in grown.targets} == {3}
    for target in grown.targets:
        with urllib.request.urlopen(f"http://{target.address}/", timeout=5) as answer:
            assert answer.read() == b"hello"
    scaling.stop(site, grown, ["llm-office-r3-1"], allowed)
    assert [target.id for target in scaling.read(site).targets] == ["llm-office-r3-2", "llm-office-r3-3"]
    assert scaling.start(site, scaling.read(site), 1, allowed) == ["llm-office-r3-1"]


def test_a_copy_loads_what_the_others_have_in_memory_before_it_takes_requests(site: SiteRef, tmp_path: Path) -> None:
    first = read_servers(site_folder("llm", "office"))[0]
    known = json.loads(first.file.read_text())
    beside = tmp_path / "beside.py"
    beside.write_text(SERVER.replace('os.environ["OLLAMA_HOST"]', 'os.environ["ARRIERO_LISTEN"]'))
    command = [sys.executable, str(beside)]
    first.file.write_text(json.dumps({**known, "sidecar": {"command": command, "environment": {"SAYS": "hello"}}}))
    [name] = scaling.start(site, scaling.read(site), 1, allowed)
    copy = next(server for server in read_servers(site_folder("llm", "office")) if server.name == name)
    assert copy.beside is not None
    environment = Path(f"/proc/{copy.beside.pid}/environ").read_bytes().split(b"\0")
    assert b"ARRIERO_LOAD_FIRST=llama2:latest" in environment
    assert copy.sidecar == {"SAYS": "hello"}, "a plan does not see it"


def test_where_the_lease_is_lost_nothing_is_written(site: SiteRef) -> None:
    def lost() -> None:
        raise CloudError("office", scaling.Problem("the lease is lost"))

    with pytest.raises(CloudError):
        scaling.start(site, scaling.read(site), 1, lost)
    with pytest.raises(CloudError):
        scaling.stop(site, scaling.read(site), ["llm-office-r3-1"], lost)
    assert scaling.read(site).count == 1


def test_without_a_server_there_is_nothing_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    standing = scaling.read(REF)
    assert (standing.count, standing.obstacle) == (
        0, "no server runs that another one could be made from; run arriero up",
    )  # fmt: skip
    with pytest.raises(CloudError, match="no server runs"):
        scaling.start(REF, standing, 1, allowed)


def test_one_that_can_not_start_is_an_error_in_words(site: SiteRef, tmp_path: Path) -> None:
    file = read_servers(site_folder("llm", "office"))[0].file
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, "command": [str(tmp_path / "nowhere")]}))
    with pytest.raises(CloudError, match="can't be started: No such file or directory"):
        scaling.start(site, scaling.read(site), 1, allowed)
