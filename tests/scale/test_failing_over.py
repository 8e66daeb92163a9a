"""When roles change, by data of single moments; `test_standby.py` plays whole worlds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arriero.scale.failover import STEADY_SECONDS, Health, Past, Policy, View, decide
from arriero.spec.model import Role

EAST, WEST = "aws-east", "azure-east"
WRITTEN: dict[str, Role] = {EAST: "active", WEST: "standby"}
SWAPPED: dict[str, Role] = {EAST: "standby", WEST: "active"}
POLICY = Policy(after=30, quiet=900)
UP, DOWN, COLD = Health(2, 2, 1), Health(0, 2, 1), Health(0, 0, 0)


def view(east: Health, west: Health, roles: dict[str, Role] | None = None, turn: int = 0) -> View:
    return View((EAST, WEST), roles or WRITTEN, WRITTEN, {EAST: east, WEST: west}, turn)


def played(*moments: tuple[float, View], policy: Policy = POLICY) -> list[tuple[dict[str, Role], str]]:
    past, told = Past(), []
    for now, seen in moments:
        decision = decide(now, past, seen, policy)
        past = decision.past
        told.append((dict(decision.roles), decision.why))
    return told


def test_a_site_that_is_silent_for_long_enough_gives_its_role_to_the_one_that_answers() -> None:
    told = played((0, view(UP, UP)), (2, view(DOWN, UP)), (31, view(DOWN, UP)), (32, view(DOWN, UP)))
    assert told == [({}, ""), ({}, ""), ({}, ""), (SWAPPED, "no target of aws-east has answered for 30 s")]


@pytest.mark.parametrize(
    ("east", "west", "why"),
    [
        (DOWN, DOWN, "no target of aws-east has answered for 40 s, and none of azure-east answers either"),
        (
            DOWN,
            replace(UP, answers=0, is_off=True),
            "no target of aws-east has answered for 40 s, and azure-east sleeps",
        ),
        (replace(DOWN, is_off=True), UP, ""),
        (Health(0, 0, 2), UP, ""),
        (Health(1, 4, 2), UP, ""),
    ],
    ids=["nobody answers", "the standby sleeps", "it sleeps", "never deployed", "one answers"],
)
def test_what_is_no_loss_changes_nothing(east: Health, west: Health, why: str) -> None:
    assert played((0, view(east, west)), (40, view(east, west)))[-1] == ({}, why)


def test_a_cold_standby_takes_over_without_an_answer() -> None:
    assert played((0, view(DOWN, COLD)), (30, view(DOWN, COLD)))[-1][0] == SWAPPED


def test_a_site_whose_targets_all_went_is_lost_if_it_had_answered() -> None:
    gone = Health(0, 0, 2)
    assert played((0, view(UP, UP)), (1, view(gone, UP)), (31, view(gone, UP)))[-1][0] == SWAPPED


def test_single_answers_do_not_end_a_loss() -> None:
    moments = [(float(at), view(UP if at % 8 == 0 else DOWN, UP)) for at in range(1, 60)]
    told = played(*moments)
    assert [roles for roles, _ in told if roles] != []


def test_ten_steady_seconds_end_a_loss() -> None:
    down = [(float(at), view(DOWN, UP)) for at in range(25)]
    up = [(float(at), view(UP, UP)) for at in range(25, 25 + int(STEADY_SECONDS) + 1)]
    again = [(float(at), view(DOWN, UP)) for at in range(36, 60)]
    assert [roles for roles, _ in played(*down, *up, *again) if roles] == []


def test_after_any_change_of_roles_none_is_made_for_a_while() -> None:
    told = played((0, view(UP, UP, WRITTEN, 7)), (1, view(DOWN, UP, WRITTEN, 7)), (899, view(DOWN, UP, WRITTEN, 7)),
                  (900, view(DOWN, UP, WRITTEN, 7)))  # fmt: skip
    assert told[2] == (
        {},
        "no target of aws-east has answered for 898 s; roles were changed a short while ago, so they stay for 1 s more",
    )
    assert told[3][0] == SWAPPED


def test_roles_come_back_by_themselves_only_where_that_is_asked_for() -> None:
    seen = [(float(at), view(UP, UP, SWAPPED, 3)) for at in (0, 500, 899, 900, 3600)]
    assert all(not roles for roles, _ in played(*seen))
    told = played(*seen, policy=replace(POLICY, back_after=600))
    assert [roles for roles, _ in told] == [{}, {}, {}, WRITTEN, WRITTEN]
    assert told[3][1] == "aws-east has answered again for 900 s"


def test_a_site_that_is_back_in_part_does_not_get_its_role_yet() -> None:
    half = Health(1, 4, 2)
    seen = [(float(at), view(half, UP, SWAPPED, 3)) for at in (0, 5000)]
    assert played(*seen, policy=replace(POLICY, back_after=600))[-1][0] == {}
