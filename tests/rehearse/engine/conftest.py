"""Simulated servers, ended with their test module."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from speaking import QUICK, Client, Start

from arriero.rehearse.processes import Processes, ServerSpec


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers: `start(profile={...}, OLLAMA_NUM_PARALLEL="4")`; they end with the module."""
    with _starting(tmp_path_factory.mktemp("stage")) as starter:
        yield starter


@contextmanager
def _starting(folder: Path) -> Iterator[Start]:
    numbers = itertools.count()
    processes = Processes(folder, {"PATH": "/nowhere"})

    def starter(profile: dict[str, object] | None = None, **environment: str) -> Client:
        own = {"ARRIERO_ENGINE_PROFILE": json.dumps({**QUICK, **(profile or {})}), "ARRIERO_MODELS": "llama2"}
        name = f"t{next(numbers)}"
        server = processes.start(ServerSpec(name, "ollama", "aws", "r", "i", (), {**own, **environment}))
        while not server.is_answering():
            assert server.poll() is None, server.log.read_text()
        return Client(server)

    try:
        yield starter
    finally:
        processes.close()
