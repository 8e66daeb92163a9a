from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_azure import Azure

from arriero.clock import ManualClock
from arriero.rehearse.azure.emulator import AzureEmulator
from arriero.rehearse.azure.ids import group_key
from arriero.rehearse.azure.secrets import Seal
from arriero.rehearse.azure.state import State
from arriero.rehearse.azure.world import SUBSCRIPTION, World
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Meter
from arriero.rehearse.planted import Figures
from arriero.rehearse.processes import Processes


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    processes = Processes(tmp_path, {"PATH": "/nowhere"})
    emulator = AzureEmulator(tmp_path, processes, Latency(0))
    emulator.start()
    whole = Azure(tmp_path, processes, emulator)
    try:
        yield whole
    finally:
        whole.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(tmp_path: Path, clock: ManualClock) -> World:
    """What an emulated Azure holds, with the resource group `rg` and nobody who reconciles it."""
    state, meter = State(tmp_path / "state.json", Seal(tmp_path)), Meter("azure", tmp_path / "meter.json")
    made = World(state, clock, Latency(0), meter, Figures(tmp_path))
    made.state.resources[group_key(SUBSCRIPTION, "rg")] = {"location": "eastus", "name": "rg", "properties": {}}
    return made
