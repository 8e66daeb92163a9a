"""The HTTPS ingress of emulated container apps: who may come, and what becomes of a replica that takes nothing any
more. Replicas are servers of the test's own.
"""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from running_azure import eventually
from test_app_replicas import APP, ENVIRONMENT, app, call, whole

from arriero.rehearse.azure import replicas
from arriero.rehearse.azure.http_ingress import HttpIngress, authority
from arriero.rehearse.azure.world import World
from arriero.rehearse.low_ports import WITHOUT_RIGHTS
from arriero.rehearse.processes import Processes, Server

__all__ = ["whole"]


class Runs:
    """A process of a replica that has not ended."""

    pid, asker = 1, ("127.0.0.1", 0)

    def poll(self) -> None:
        return None


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Stage:
    """An ingress before two replicas, which `serving` are there by their addresses."""

    def __init__(self, world: World, folder: Path, processes: Processes) -> None:
        self.world, self.folder = world, folder
        self.ingress = HttpIngress(world, folder, lambda _: [cast(Server, Runs())], pace=10.0)
        self.serving: list[http.server.ThreadingHTTPServer] = []
        around = world.state.resources[ENVIRONMENT.lower()]["properties"]
        around["staticIp"] = processes.address("around-environment")
        self.address, self.domain = around["staticIp"], around["defaultDomain"]
        for key in replicas.of(world, APP.lower()):
            where = processes.address(world.state.runs[key].target)
            world.state.runs[key].phase = "running"
            world.state.resources[key]["properties"]["ipAddress"]["ip"] = where
            self.serving.append(http.server.ThreadingHTTPServer((where, 11434), Answers))
            threading.Thread(target=self.serving[-1].serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.ingress.stop()
        while self.serving:
            self.end_one()

    def end_one(self) -> None:
        """Nobody listens there any more, and nobody has noticed."""
        server = self.serving.pop()
        server.shutdown()
        server.server_close()

    def ask(self, client: str = "127.0.0.1") -> tuple[int, str]:
        with ExitStack() as stack:
            try:
                plain = socket.create_connection((self.address, 443), 10, (client, 0))
            except ConnectionRefusedError:
                plain = socket.create_connection((self.address, 443 + WITHOUT_RIGHTS), 10, (client, 0))
            stack.callback(plain.close)
            trust = ssl.create_default_context(cafile=str(authority(self.folder, self.domain)))
            name = f"llm-edge.{self.domain}"
            connection = http.client.HTTPConnection(name)
            connection.sock = stack.enter_context(trust.wrap_socket(plain, server_hostname=name))
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@pytest.fixture
def stage(whole: World, tmp_path: Path) -> Iterator[Stage]:
    call(whole, "PUT", APP, app())
    processes = Processes(tmp_path, {"PATH": "/nowhere"})
    made = Stage(whole, tmp_path, processes)
    try:
        made.ingress.tend()

        def is_ready() -> bool:
            made.ingress.tend()
            return made.ask()[0] == 200

        assert eventually(is_ready)
        yield made
    finally:
        made.close()
        processes.close()


@pytest.mark.parametrize(
    ("action", "expected"),
    [("Allow", {"127.0.0.1": 403, "127.0.9.9": 200}), ("Deny", {"127.0.0.1": 200, "127.0.9.9": 403})],
)
def test_its_rules_are_held_against_who_connects(stage: Stage, action: str, expected: dict[str, int]) -> None:
    body: dict[str, Any] = app()
    rules = [{"name": "client-1", "ipAddressRange": "127.0.9.0/24", "action": action}]
    body["properties"]["configuration"]["ingress"]["ipSecurityRestrictions"] = rules
    before = set(stage.world.state.runs)
    call(stage.world, "PUT", APP, body)
    stage.ingress.tend()
    assert {client: stage.ask(client)[0] for client in expected} == expected
    assert stage.ask(next(each for each, status in expected.items() if status == 403))[1] == "RBAC: access denied"
    assert set(stage.world.state.runs) == before  # no other revision


def test_a_replica_that_takes_no_connection_has_another_one_asked(stage: Stage) -> None:
    stage.end_one()
    assert [stage.ask()[0] for _ in range(6)] == [200] * 6
    stage.end_one()
    status, text = stage.ask()
    assert (status, text.partition(" error")[0]) == (503, "upstream connect")
