"""Which tasks ECS is left to choose from when the count is lowered, call by call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from arriero.clouds.aws import scaling
from arriero.clouds.scaling import Busy, Standing
from arriero.errors import CloudError
from arriero.plan.model import SiteRef, TargetFacts

REF = SiteRef("llm", "east", "aws", "us-east-1")
UNPLACED = "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later."


@dataclass
class Ecs:
    """The three calls; `protected` are protected by their sidecars."""

    protected: set[str] = field(default_factory=set)
    refusal: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def get_task_protection(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == "llm-east"
        assert len(tasks) <= 10
        rows = [
            {"taskArn": f"arn:aws:ecs:x:1:task/llm-east/{t}", "protectionEnabled": t in self.protected} for t in tasks
        ]
        return {"protectedTasks": rows}

    def update_task_protection(self, tasks: list[str], **more: Any) -> None:
        assert len(tasks) <= 10
        assert more == {"cluster": "llm-east", "protectionEnabled": True, "expiresInMinutes": 1}
        self.calls.append(("protect", tasks))

    def run_task(self, **asked: Any) -> dict[str, Any]:
        self.calls.append(("run", asked))
        if self.refusal:
            return {"tasks": [], "failures": [{"reason": self.refusal}]}
        ids = [f"s{len(self.calls)}-{n}" for n in range(asked["count"])]
        return {"tasks": [{"taskArn": f"arn:aws:ecs:x:1:task/llm-east/{each}"} for each in ids]}

    def stop_task(self, cluster: str, task: str, reason: str) -> None:
        assert (cluster, reason) == ("llm-east", "It stood in for Spot, which is back.")
        self.calls.append(("stop", task))

    def update_service(self, **asked: Any) -> None:
        self.calls.append(("count", asked["desiredCount"]))


@pytest.fixture
def ecs(monkeypatch: pytest.MonkeyPatch) -> Ecs:
    fake = Ecs()
    monkeypatch.setattr(scaling, "_ecs", lambda _: fake)
    return fake


def standing(count: int) -> Standing:
    tasks = tuple(TargetFacts(f"t{n:02}", "east", "ready", "127.0.0.1:1", 1) for n in range(count))
    return Standing("east", count, tasks, "llm-east")


def test_stand_ins_are_tasks_of_no_service_on_demand_and_go_by_name(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"taskDefinition": "llm-east:3", "networkConfiguration": {"n": 1}, "tags": [{"key": "a", "value": "b"}]}
    running = scaling.services.Services((scaling.services.Service(found, {}),))
    monkeypatch.setattr(scaling.services, "read_services", lambda *_: running)
    assert len(scaling.stand_in(REF, 12, allowed)) == 12
    [first, second] = [asked for kind, asked in ecs.calls if kind == "run"]
    assert (first["count"], second["count"]) == (10, 2)
    assert first["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1}]
    assert (first["startedBy"], first["taskDefinition"]) == ("arriero-stand-in", "llm-east:3")
    assert first["tags"] == found["tags"]
    scaling.dismiss(REF, ["t1", "t2"], allowed)
    assert [what for kind, what in ecs.calls if kind == "stop"] == ["t1", "t2"]


def test_where_nothing_can_stand_in_the_reason_is_told(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"taskDefinition": "llm-east:3", "networkConfiguration": {}}
    running = scaling.services.Services((scaling.services.Service(found, {}),))
    monkeypatch.setattr(scaling.services, "read_services", lambda *_: running)
    ecs.refusal = "Capacity is unavailable at this time."
    with pytest.raises(CloudError, match="nothing can stand in for Spot, ECS says: Capacity is unavailable"):
        scaling.stand_in(REF, 1, allowed)


@pytest.mark.parametrize(
    ("told", "lacks"),
    [
        ([], False),
        (["(service x) has reached a steady state."], False),
        ([f"(service x) {UNPLACED}", "(service x) has started 1 tasks: (task a)."], True),
        (["(service x) has started 1 tasks: (task a).", f"(service x) {UNPLACED}"], False),
        (["(service x) has stopped 1 running tasks: (task a).", f"(service x) {UNPLACED}"], True),
        (["(service x) was unable to place a task. Reason: You've reached the limit on vCPUs."], False),
    ],
)
def test_that_capacity_is_lacking_is_known_by_what_ecs_told_last(told: list[str], lacks: bool) -> None:
    assert scaling._lacks_capacity({"events": [{"message": text} for text in told]}) is lacks


def allowed() -> None:
    """The lease holds."""


def test_all_that_stay_are_protected_before_the_count_is_lowered_but_for_those_that_are(ecs: Ecs) -> None:
    ecs.protected = {"t02"}
    scaling.stop(REF, standing(4), ["t01"], allowed)
    assert ecs.calls == [("protect", ["t00", "t03"]), ("count", 3)]


def test_many_are_protected_ten_a_call(ecs: Ecs) -> None:
    scaling.stop(REF, standing(24), ["t00", "t01"], allowed)
    assert [len(what) for kind, what in ecs.calls if kind == "protect"] == [10, 10, 2]
    assert ecs.calls[-1] == ("count", 22)


def test_one_that_is_still_protected_is_asked_for_again_later(ecs: Ecs) -> None:
    ecs.protected = {"t01"}
    with pytest.raises(Busy, match="t01 is protected by its sidecar"):
        scaling.stop(REF, standing(3), ["t01"], allowed)
    assert ecs.calls == []


def test_without_the_right_nothing_is_written(ecs: Ecs) -> None:
    def refused() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        scaling.start(REF, standing(2), 1, refused)
    with pytest.raises(PermissionError):
        scaling.stop(REF, standing(2), ["t00"], refused)
    assert ecs.calls == []
    scaling.start(REF, standing(2), 2, allowed)
    assert ecs.calls == [("count", 4)]
