"""The ingress of emulated container apps: an address an environment, a port an app, and an end to silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_azure import eventually

from arriero.clock import ManualClock
from arriero.rehearse.azure.app_ingress import IDLE_SECONDS, AppIngress
from arriero.rehearse.azure.runs import GroupRun
from arriero.rehearse.azure.world import SUBSCRIPTION, World
from arriero.rehearse.processes import Processes

RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.App"
ENVIRONMENT, APP = f"{RG}/managedEnvironments/around", f"{RG}/containerApps/llm-1"
PORT = 11434


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path, {"PATH": "/nowhere"})
    yield made
    made.close()


@pytest.fixture
def replica(processes: Processes) -> Iterator[None]:
    """A server at the app's own address that says everything back, once in capitals."""
    listener = socket.create_server((processes.address("llm-1-a"), PORT))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while piece := connection.recv(1024):
                    connection.sendall(piece.upper())

    thread = threading.Thread(target=serve)
    thread.start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def ingress(world: World, processes: Processes, replica: None) -> Iterator[AppIngress]:
    told = {"ingress": {"external": True, "transport": "Tcp", "targetPort": PORT, "exposedPort": 20007}}
    app = {"id": APP, "name": "llm-1", "properties": {"environmentId": ENVIRONMENT, "configuration": told}}
    world.state.resources[ENVIRONMENT.lower()] = {"id": ENVIRONMENT, "name": "around", "properties": {}}
    world.state.resources[APP.lower()] = app
    world.state.runs[APP.lower()] = GroupRun("llm-1-a", phase="running")
    made = AppIngress(world, processes)
    made.tend()
    yield made
    made.stop()


def address(world: World) -> str:
    return str(world.state.resources[ENVIRONMENT.lower()]["properties"]["staticIp"])


def test_bytes_go_to_the_replica_and_back(world: World, ingress: AppIngress, processes: Processes) -> None:
    assert address(world) != processes.address("llm-1-a")
    with socket.create_connection((address(world), 20007), 5) as client:
        client.sendall(b"hello")
        assert client.recv(1024) == b"HELLO"


def test_a_connection_that_was_silent_for_four_minutes_is_cut(
    world: World, ingress: AppIngress, clock: ManualClock
) -> None:
    with socket.create_connection((address(world), 20007), 5) as client:
        client.sendall(b"one")
        assert client.recv(1024) == b"ONE"
        clock.sleep(IDLE_SECONDS - 1)
        client.sendall(b"two")
        assert client.recv(1024) == b"TWO"
        clock.sleep(IDLE_SECONDS)
        assert client.recv(1024) == b""


def test_nobody_listens_for_an_app_that_does_not_run(world: World, ingress: AppIngress) -> None:
    world.state.runs[APP.lower()].phase = "stopped"
    ingress.tend()

    def is_refused() -> bool:
        try:
            socket.create_connection((address(world), 20007), 5).close()
        except ConnectionRefusedError:
            return True
        return False

    assert eventually(is_refused)


def test_the_address_goes_with_the_environment(world: World, ingress: AppIngress, processes: Processes) -> None:
    before = address(world)
    for key in (ENVIRONMENT, APP):
        del world.state.resources[key.lower()]
    del world.state.runs[APP.lower()]
    ingress.tend()
    assert processes.address("around-environment") != before  # given back, and not given out again
