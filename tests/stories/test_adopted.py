"""An Ollama that runs already is used as a target, and never started, changed or stopped; its port stays its own.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
gateway: {{port: {port}}}
sites:
  office: {{cloud: local, adopt: ["127.0.0.1:{port}"]}}
"""


@dataclass
class Owner:
    """Somebody whose own Ollama listens on `port`: the program of a stage stands for it."""

    place: Place
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{self.port}", "HOME": str(self.place.folder)}
        command = [str(self.place.stage / "ollama"), "serve"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_for(lambda: self.ask("GET", "/") == 200, 10)

    def ask(self, method: str, path: str, body: object = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body else None)
            response = connection.getresponse()
            response.read()
            return response.status
        except OSError:
            return 0
        finally:
            connection.close()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for place in open_spec(tmp_path_factory.mktemp("adopted"), SPEC.format(port=port)):
        assert place.arriero("rehearse", "start").code == 0
        person = Owner(place, port)
        try:
            yield person
        finally:
            person.stop()


def test_a_plan_says_that_it_is_adopted_and_that_nobody_answers_yet(owner: Owner) -> None:
    plan = owner.place.arriero("plan")
    assert plan.code == 0
    said = f"  = 127.0.0.1:{owner.port} is adopted; nothing answers there; it is for its owner to start"
    assert said in plan.out.splitlines()
    assert owner.place.states() == {"office": "down"}


def test_it_serves_through_a_gateway_that_leaves_it_its_port(owner: Owner) -> None:
    owner.start()
    assert owner.ask("POST", "/api/pull", {"model": "llama2", "stream": False}) == 200
    up = owner.place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert f"(127.0.0.1:{owner.port} belongs to another program)" in up.out
    assert owner.place.runs == []
    answer = owner.place.arriero("ask", "Whose are you?")
    assert answer.code == 0, answer.err
    assert "llm-office-adopted-1 at office" in answer.err


def test_status_shows_it_with_its_models(owner: Owner) -> None:
    site = owner.place.arriero("status", "--json").json["sites"][0]
    target = site["targets"][0]
    assert (site["state"], target["state"], target["models"]) == ("ready", "ready", ["llama2:latest"])
    assert (target["address"], target["release"], target["pid"]) == (f"127.0.0.1:{owner.port}", None, None)
    shown = owner.place.arriero("status").out
    assert "  adopted  llama2:latest" in shown
    assert f"(127.0.0.1:{owner.port} belongs to another program)" in shown


def test_down_leaves_it_running(owner: Owner) -> None:
    down = owner.place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err
    assert "There was nothing to remove" in down.out
    assert owner.process is not None
    assert owner.process.poll() is None
    assert owner.ask("GET", "/") == 200


def test_the_gateway_never_takes_its_place_while_it_is_away(owner: Owner) -> None:
    owner.stop()
    owner.place.arriero("up", "--yes")
    running = json.loads((owner.place.folder / ".arriero/edge/edge.json").read_text())
    assert running["url"] != f"http://127.0.0.1:{owner.port}"
