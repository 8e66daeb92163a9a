"""A burst of streams has servers on this machine start, warm before their first request, and its end has one go.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from burst import Burst, brought_up, controller_events, counts, goes_in, up_keeps
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 3, by: load, hold: 20s}
ledger: {lease: 12s}
sites:
  desk: {cloud: local, hosts: [127.0.0.1]}
"""
CLIENTS = 12  # of a server's four slots


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("desk"), SPEC)


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


def generations(place: Place) -> dict[str, list[dict[str, Any]]]:
    """What the gateway wrote down of requests that ran a model, by the server that answered."""
    found: dict[str, list[dict[str, Any]]] = {}
    for text in (place.folder / ".arriero/edge/access.log").read_text().splitlines():
        line = json.loads(text)
        if line.get("event") == "request" and line["found"]:
            found.setdefault(line["target"], []).append(line)
    return found


def processes(place: Place) -> set[int]:
    [site] = place.arriero("status", "--json").json["sites"]
    return {target["pid"] for target in site["targets"]}


def test_a_burst_starts_more_servers(place: Place, burst: Burst) -> None:
    assert counts(place) == {"desk": 1}
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"desk": 3}, 200), controller_events(place)[-5:]
    assert place.arriero("plan").code == 0


def test_they_had_the_model_in_memory_before_their_first_request(place: Place, burst: Burst) -> None:
    assert wait_for(lambda: len(generations(place)) == 3, 60)
    firsts = {target: found[0]["found"] for target, found in generations(place).items()}
    del firsts["llm-desk-r1-1"]
    assert firsts == {"llm-desk-r1-2": "warm", "llm-desk-r1-3": "warm"}


def test_up_in_the_midst_of_it_keeps_what_runs(place: Place, burst: Burst) -> None:
    before = processes(place)
    up_keeps(place, {"desk": 3})
    assert processes(place) == before


def test_after_it_one_goes_beside_traffic_and_nothing_was_lost(place: Place, burst: Burst) -> None:
    pids = processes(place)
    few = goes_in(place, burst, {"desk": 2}, 300)  # the last hour's mean keeps the second one for minutes
    assert wait_for(lambda: sum(Path(f"/proc/{pid}").exists() for pid in pids) == 2, 20)
    assert len(burst.answers) > CLIENTS
    assert few.answers
    print(f"\n{len(burst.answers)} streams by {len(set(burst.answers))} servers, none lost, none cut")
    assert place.arriero("plan").code == 0
