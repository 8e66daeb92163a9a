"""What routing and admission come to in a whole fleet, in simulated time: loads, and waits for the first token."""

from __future__ import annotations

from collections import Counter

import pytest
from simulated_fleet import Arrival, Fleet, zipf

FORTY = [f"m{n}" for n in range(40)]


def at(waits: list[float], percent: int) -> float:
    return waits[len(waits) * percent // 100] * 1000


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("slots", [1, 4])
def test_three_models_that_fit_are_loaded_once_each(seed: int, slots: int) -> None:
    fleet = Fleet(3, ["a", "b", "c"], slots=slots)
    fleet.run(zipf(fleet.models, 5, 126, seed))
    waits = fleet.waits()
    assert len(waits) == 126
    assert len(fleet.loads) <= 5
    assert at(waits, 50) < 31
    assert at(waits, 95) < 229
    assert fleet.most_in_slots == 0


def test_a_hot_model_gets_more_copies_and_the_others_keep_theirs() -> None:
    fleet = Fleet(50, FORTY, answer_seconds=0.1)
    fleet.run(zipf(FORTY, 200, 3000, seed=1))
    waits = fleet.waits()
    assert len(waits) == 3000
    assert len(fleet.loads) <= 40 + 30
    assert at(waits, 50) < 100
    assert at(waits, 99) < 700
    copies = Counter(model for server in fleet.servers.values() for model in server.resident)
    assert copies["m0"] >= 5
    assert fleet.most_in_slots == 0


def test_when_demand_turns_round_copies_move() -> None:
    fleet = Fleet(50, FORTY, answer_seconds=0.1)
    fleet.run(zipf(FORTY, 200, 3000, seed=1, shift_at=8.0))
    waits, late = fleet.waits(), [load for load in fleet.loads if load[0] > 8.0]
    assert len(waits) == 3000
    assert len(fleet.loads) <= 40 + 70
    assert Counter(model for _, _, model in late).most_common(1)[0][0] in ("m39", "m38")
    assert at(waits, 95) < 700
    assert waits[-1] < 2.0


def test_few_requests_for_many_models_load_each_about_once() -> None:
    fleet = Fleet(50, FORTY, answer_seconds=0.1)
    fleet.run(zipf(FORTY, 20, 1500, seed=3, shift_at=40.0))
    assert len(fleet.loads) <= 45
    assert at(fleet.waits(), 90) < 200


def test_models_that_share_one_server_take_turns_in_batches() -> None:
    fleet = Fleet(1, ["a", "b", "c"])
    fleet.run(zipf(fleet.models, 20, 500, seed=1))
    assert len(fleet.waits()) == 500
    assert len(fleet.loads) < 80
    assert fleet.waits()[-1] < 3.0


def test_a_key_that_floods_delays_another_by_no_more_than_its_turns() -> None:
    fleet = Fleet(1, ["a"], slots=1, answer_seconds=0.1)
    flood = [Arrival(1.0 + n / 1000, "a", "flood") for n in range(200)]
    fleet.run(iter([Arrival(0.0, "a", "calm"), *flood, *(Arrival(2.0 + n, "a", "calm") for n in range(5))]))
    calm = [asked.first_token - asked.since for asked in fleet.done if asked.key == "calm" and asked.since >= 2.0]
    assert len(calm) == 5
    assert max(calm) < 0.3
    assert len(fleet.done) == 206
