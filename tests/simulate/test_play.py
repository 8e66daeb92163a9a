"""Plays: the same for a seed, nothing lost, Spot and models as the world has them, and policies that follow the day."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from arriero.errors import ArrieroError
from arriero.scale.spot import Mix
from arriero.simulate import report
from arriero.simulate.compare import NAMES, compared, mean, play
from arriero.simulate.figures import Figures, Histogram
from arriero.simulate.play import Play
from arriero.simulate.policies import Fixed, Scaling, Sight
from arriero.simulate.scenario import Scene, load


class Waves(Scaling):
    """Up and down, to have targets come and go."""

    start = 8

    def wanted(self, sight: Sight) -> int:
        return 4 if sight.now // 1800 % 2 else 14


def hours(name: str, hours: float) -> Scene:
    return load(name, "", hours / 24)


def played(scene: Scene, scaling: Scaling, mix: Mix = Mix(), seed: int = 1, **cloud: float) -> tuple[Play, Figures]:
    world = replace(scene.cloud, **cloud)
    whole = Play(scene.service, scene.pace, world, mix, scaling, seed, scene.seconds)
    return whole, whole.run(scene.arrivals(seed))


def test_each_request_gets_a_first_token_or_is_refused_or_still_open() -> None:
    scene = hours("code", 4)
    _, found = played(scene, Waves())
    came = sum(1 for _ in scene.arrivals(1))
    assert came - found.open_at_end <= found.first_token.total <= came
    assert found.starts > 8


def test_the_same_seed_plays_the_same() -> None:
    one, other = (play(hours("conversation", 2), "arriero", 7, True) for _ in range(2))
    assert one == other


def test_reclaimed_targets_lose_nobody() -> None:
    scene = hours("conversation", 6)
    whole, found = played(scene, Fixed(10), Mix(2, 1.0), evictions_a_week=400.0, warning_seconds=1.0)
    assert found.evicted > 5
    assert found.migrated > 0
    assert found.refusals == 0
    assert sum(1 for _ in scene.arrivals(1)) - found.first_token.total <= found.open_at_end < 60
    # On-demand stands in while Spot is away, so the count is kept, and Spot comes back.
    assert whole.fleet.count == 0
    assert 0 < found.spot_hours < found.target_hours


def test_a_target_is_paid_from_its_start_to_its_end() -> None:
    scene = hours("conversation", 2)
    _, found = played(scene, Fixed(5))
    assert found.target_hours == pytest.approx(10.0)
    assert found.cost == pytest.approx(10.0 * float(scene.hourly()))


def test_more_models_than_room_cost_loads() -> None:
    scene = hours("conversation", 1)
    asked = scene.scenario
    many = replace(scene, scenario=asked.model_copy(update={"models": asked.models.model_copy(update={"count": 3})}))
    alone, shared = played(scene, Fixed(10))[1], played(many, Fixed(10))[1]
    assert shared.refusals == 0
    assert shared.first_token.percentile(50) > alone.first_token.percentile(50)


def test_all_policies_have_the_same_traffic_and_ours_is_not_better_than_the_bound_on_both_axes() -> None:
    found = {each.policy: each for each in compared(hours("conversation", 2), NAMES, (1,), (False,))}
    assert set(found) == set(NAMES)
    requests = [each.requests for each in found.values()]
    assert max(requests) - min(requests) < 60
    assert found["fixed peak"].hours == pytest.approx(2 * found["fixed peak"].most)
    # In its first hours ours has learnt little, and may be cheap at the cost of first tokens.
    bound, ours = found["clairvoyant"], found["arriero"]
    assert bound.cost < ours.cost or bound.p99 < ours.p99


def test_the_report_is_one_file_that_asks_nobody(tmp_path: Path) -> None:
    scene = hours("conversation", 1)
    outcomes = list(compared(scene, NAMES[:2], (1, 2), (False, True)))
    found = report.summaries(outcomes)
    page = report.html(scene, found, outcomes)
    assert "http" not in page
    assert page.count("<svg") == 6
    assert [each.seeds for each in found] == [2, 2, 2, 2]
    assert found[0].saving == mean([0.0, 0.0])
    assert json.loads(json.dumps(report.as_json(scene, found)))["schema"] == 1
    assert report.table(found)[0].split() == [
        "policy",
        "Spot",
        *["p50", "s", "p95", "s", "p99", "s", "cost", "$", "saves", "refused", "moved"],
    ]


def test_a_histogram_s_percentiles_are_right_to_a_hundredth() -> None:
    histogram = Histogram()
    for place in range(1, 10_001):
        histogram.add(place / 1000.0)
    assert [histogram.percentile(percent) for percent in (50, 99)] == pytest.approx([5.0, 9.9], rel=0.011)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("days: 7", "days: seven"), ":4: days: "),
        (("region: us-east-1", "region: eu-north-9"), "cloud.region: the price of fargate in eu-north-9 is unknown; "),
        (("slots: 4", "slots: 4\n  slot: 3"), "target.slot: "),
        (("azure-2023-conversation", "nowhere.csv"), "nowhere.csv: the trace can't be read: "),
    ],
)
def test_a_wrong_scenario_is_told_by_file_and_key(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    from importlib import resources

    text = (resources.files("arriero.simulate") / "scenarios" / "conversation.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(ArrieroError) as caught:
        _ = load(str(path)).cloud
    assert message in str(caught.value.problems[0])
