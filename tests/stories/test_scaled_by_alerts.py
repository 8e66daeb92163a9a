"""On Container Instances Azure's alerts alone say how many run: metric, rule, action group, webhook, controller.

A minute of the stage's monitors lasts some seconds. The tests of this file go on from one another, in their order, on
one stage.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from burst import Burst, brought_up, controller_events, counts, goes_in, up_keeps
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

MINUTE_SECONDS = 3
KEY = "a-key-that-nobody-guesses-42"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {lease: 12s}
scale:
  min: 1
  max: 3
  by: cloud
  track: {cpu: 60%}
  cooldown: {out: 10s, in: 10s}
  alerts: {url: "http://127.0.0.1:11482/alerts", key_file: alerts.key, port: 11482}
sites:
  azure-east: {cloud: azure, region: eastus}
"""
CLIENTS = 10  # of a target's four slots


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("aci"), SPEC):
        place.always["ARRIERO_STAGE_MINUTE"] = str(MINUTE_SECONDS)
        (place.folder / "alerts.key").write_text(f"{KEY}\n")
        yield place


@pytest.fixture(scope="module")
def burst(place: Place) -> Iterator[Burst]:
    yield from brought_up(place)


def test_the_plan_is_empty_before(place: Place, burst: Burst) -> None:
    assert counts(place) == {"azure-east": 1}
    assert place.arriero("plan").code == 0


def test_a_burst_fires_an_alert_and_the_controller_starts_more(place: Place, burst: Burst) -> None:
    burst.start(CLIENTS)
    assert wait_for(lambda: counts(place) == {"azure-east": 3}, 200), controller_events(place)[-5:]
    assert place.arriero("plan").code == 0


def test_up_in_the_midst_of_it_keeps_what_stands(place: Place, burst: Burst) -> None:
    up_keeps(place, {"azure-east": 3})


def test_after_it_fewer_run_beside_traffic_and_nothing_was_lost(place: Place, burst: Burst) -> None:
    before = len(burst.answers)
    assert wait_for(lambda: len(burst.answers) > before + 2 * CLIENTS, 60)
    few = goes_in(place, burst, {"azure-east": 1}, 300)
    assert len(burst.answers) > 3 * CLIENTS
    assert len(set(burst.answers)) == 3
    assert few.answers
    print(f"{len(burst.answers)} streams in the burst, {len(few.answers)} while it went in; none lost, none cut")


def test_each_step_followed_an_alert_and_the_plan_is_empty_after(place: Place, burst: Burst) -> None:
    assert wait_for(lambda: place.arriero("plan").code == 0, 30)
    told = controller_events(place)
    kinds = [event["event"] for event in told]
    assert (
        kinds.index("alert.told") < kinds.index("scale.out") < kinds.index("scale.draining") < kinds.index("scale.in")
    )
    reasons = [event["reason"] for event in told if event["event"] == "scale.decided"]
    assert any("llm-azure-east-r1-1-cpu-high has fired" in reason for reason in reasons)
    assert any("llm-azure-east-r1-1-cpu-low have fired" in reason for reason in reasons)
    assert {event["rule"] for event in told if event["event"] == "alert.told"} == {
        "llm-azure-east-r1-1-cpu-high", "llm-azure-east-r1-1-cpu-low",
    }  # fmt: skip
    assert not [event for event in told if event["event"] in ("alert.refused", "alerts.failed", "scale.failed")]


def test_no_file_of_ours_holds_the_webhooks_key(place: Place, burst: Burst) -> None:
    assert place.files_with([KEY]) == {KEY: set()}
