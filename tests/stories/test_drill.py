"""Disasters on the stage under load: the service comes through as promised, and everything is put back.

The tests of this file go on from one another, in their order, on one stage. `benchmarks/drills.py` plays all scenarios
with many seeds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from places import Command, Place, open_spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 2, max: 3, by: hand}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus, role: standby}
failover:
  pairs: [{sites: [aws-east, azure-east], rpo: 0s}]
"""
REAL = """\
rehearse: on-request
accounts: {aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("drill")
    (folder / "arriero.real.yaml").write_text(REAL)
    yield from open_spec(folder, SPEC)


def last(command: Command) -> str:
    return command.err.splitlines()[-1]


def test_what_can_t_be_played_is_refused_in_words(place: Place) -> None:
    unknown = place.arriero("drill", "--scenario", "flood", "--yes")
    assert unknown.code == 1
    assert last(unknown).startswith("--scenario: there is no scenario flood; choose from region-loss")
    nothing = place.arriero("drill", "--yes")
    assert nothing.code == 1
    assert last(nothing).startswith("--scenario: no scenario is named; --all, or choose")
    unasked = place.arriero("drill", "--scenario", "region-loss")
    assert (unasked.code, last(unasked)) == (1, "this acts, and there is no terminal to ask at; add --yes")
    stored = place.arriero("drill", "--scenario", "slow-storage", "--yes")
    assert last(stored) == "--scenario: no model is in storage, so no target reads any; choose another scenario"
    trace = place.arriero("drill", "--scenario", "region-loss", "--load", "none.csv", "--yes")
    assert trace.code == 1
    assert "the trace can't be read" in last(trace)


def test_real_sites_are_struck_by_nobody(place: Place) -> None:
    environment = place.environment()
    storm = place.arriero("drill", "-e", "real", "--scenario", "spot-storm", "--yes", **environment)
    assert (storm.code, last(storm)) == (
        1,
        "--scenario: spot-storm would strike real sites; play it on the stage: --rehearse; on real sites only "
        "region-loss and cloud-loss, by moving requests",
    )
    loss = place.arriero("drill", "-e", "real", "--scenario", "region-loss", "--yes", **environment)
    assert (loss.code, last(loss)) == (
        1,
        "--rehearse: a drill on real sites is confirmed by typing the service's name, and there is no terminal; run it "
        "at a terminal, or on the stage: --rehearse",
    )


@pytest.mark.parametrize("scenario", ["region-loss", "zone-loss", "ledger-loss"])
def test_the_service_comes_through_and_is_as_before(place: Place, scenario: str) -> None:
    drill = place.arriero("drill", "--scenario", scenario, "--seed", "3", "--for", "10", "--json", "--yes")
    assert drill.code == 0, drill.out[-3000:] + drill.err[-2000:]
    (told,) = drill.json["drills"]
    assert told["requests"] > 50
    assert (told["lost"], told["silent"], told["rpo_lost_records"], told["acts"]) == (0, 0, 0, [])
    assert told["rpo_records"] > 0
    assert any(moment["what"] == "the fault is over" for moment in told["timeline"])
    assert place.arriero("plan").code == 0
    folder = place.folder / ".arriero" / "drills"
    assert json.loads((folder / "drill.json").read_text())["passed"] is True
    assert scenario in (folder / "drill.html").read_text()
