"""The tripwire counts writing calls and kills at the one that was asked for, and nobody else."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from arriero.rehearse.gateway_door import GatewayDoor
from arriero.rehearse.tripwire import Crash, Tripped, Tripwire, When


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A deployer with one child, whose id it says."""
    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as deployer:
        yield deployer
        deployer.kill()


def child_of(deployer: subprocess.Popen[str]) -> int:
    assert deployer.stdout
    return int(deployer.stdout.readline())


def calls(wire: Tripwire, count: int) -> list[bool]:
    passed = []
    for number in range(1, count + 1):
        goes_on, own = wire.begins(f"aws Put {number}")
        passed.append(goes_on)
        wire.ends(f"aws Put {number}", own)
    return passed


@pytest.mark.parametrize(("when", "passed"), [("before", [True, False, True]), ("after", [True, True, True])])
def test_the_call_it_kills_before_is_not_carried_out(
    when: When, passed: list[bool], family: subprocess.Popen[str]
) -> None:
    wire, child = Tripwire(), child_of(family)
    wire.arm(Crash(family.pid, 2, when, "machine"))
    assert calls(wire, 3) == passed
    assert wire.told() == Tripped(2, "aws Put 2", (family.pid, child))
    assert family.wait(5) == -signal.SIGKILL


def test_what_ansible_is_may_die_alone(family: subprocess.Popen[str]) -> None:
    wire, child = Tripwire(), child_of(family)
    wire.arm(Crash(family.pid, 1, "before", "ansible"))
    calls(wire, 1)
    assert wire.told().killed == (child,)
    assert family.wait(5) != -signal.SIGKILL


def test_without_a_call_to_kill_at_it_counts_only(family: subprocess.Popen[str]) -> None:
    wire = Tripwire()
    assert calls(wire, 2) == [True, True]
    assert wire.told().calls == 0
    wire.arm(Crash(family.pid, 0, "before", "machine"))
    assert calls(wire, 3) == [True, True, True]
    assert wire.told() == Tripped(3)
    assert family.poll() is None


class Control(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        answer = self.rfile.read(int(self.headers["Content-Length"])) + self.headers["Authorization"].encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


def test_a_gateways_door_passes_orders_on_logs_and_counts_them(tmp_path: Path, family: subprocess.Popen[str]) -> None:
    wire = Tripwire()
    wire.arm(Crash(family.pid, 2, "before", "deployer"))
    with HTTPServer(("127.0.0.1", 0), Control) as control:
        threading.Thread(target=control.serve_forever, args=(0.05,), daemon=True).start()
        door = GatewayDoor(f"127.0.0.1:{control.server_port}", tmp_path / "requests.jsonl", wire)
        door.start()
        answers = [order(door.address), order(door.address)]
        door.stop()
        control.shutdown()
    assert answers[0] == (202, b"hello token")
    assert answers[1][0] == 503
    lines = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert [(line["action"], line["writes"], line["status"]) for line in lines] == [
        ("PUT /trial", True, 202),
        ("PUT /trial", True, 503),
    ]
    assert wire.told().at == "gateway PUT /trial"


def order(address: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("PUT", "/trial", b"hello ", {"Authorization": "token"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
