"""A burst of streams has the controller start more container apps, and its end has them go, without a cut stream.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from burst import Burst, brought_up, controller_events, counts, goes_in, up_keeps
from places import Place, open_spec, wait_for

from arriero.clouds.azure import apps, connection
from arriero.clouds.endpoints import Endpoints

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2, hold: 30s}
deploy: {stop_within: 10s}
ledger: {lease: 12s}
sites:
  azure-gpu: {cloud: azure, region: southcentralus, gpu: T4}
"""
BASE = "llm-azure-gpu"
CLIENTS = 16


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("apps-scaled"), SPEC)


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


def at_azure(place: Place) -> dict[str, Any]:
    """The site's apps by name, as Azure lists them."""
    with Endpoints("the test", place.environment()).entered():
        found = connection.connect().list(f"/resourceGroups/{BASE}/providers/{apps.TYPE}", apps.VERSION)
    return {each["name"]: each for each in found}


def test_a_burst_has_another_app_made_as_a_deployment_would(place: Place, burst: Burst) -> None:
    assert counts(place) == {"azure-gpu": 1}
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"azure-gpu": 2}, 200), controller_events(place)[-5:]
    made = at_azure(place)
    assert set(made) == {f"{BASE}-r1-1", f"{BASE}-r1-2"}
    assert len({apps.exposed_port(each) for each in made.values()}) == 2
    assert wait_for(lambda: len(set(burst.answers)) == 2, 60), burst.faults
    up_keeps(place, {"azure-gpu": 2})


def test_after_the_burst_one_goes_in_and_nothing_was_lost(place: Place, burst: Burst) -> None:
    goes_in(place, burst, {"azure-gpu": 1}, 400)
    assert len(burst.answers) > 2 * CLIENTS
    assert set(burst.answers) == {f"{BASE}-r1-1", f"{BASE}-r1-2"}
    assert wait_for(lambda: len(at_azure(place)) == 1, 60)
    assert place.arriero("plan").code == 0


def test_every_step_has_its_reason_and_its_order(place: Place, burst: Burst) -> None:
    told = controller_events(place)
    kinds = [event["event"] for event in told if event.get("site") == "azure-gpu"]
    assert kinds.index("scale.out") < kinds.index("scale.draining") < kinds.index("scale.in")
    assert all(event["reason"] for event in told if event["event"] == "scale.decided")
    assert not [event for event in told if event["event"] in ("scale.failed", "scale.throttled")]
