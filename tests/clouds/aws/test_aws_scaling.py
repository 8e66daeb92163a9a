"""Which tasks ECS is left to choose from when the count is lowered, call by call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from arriero.clouds.aws import scaling
from arriero.clouds.scaling import Busy, Standing
from arriero.plan.model import SiteRef, TargetFacts

REF = SiteRef("llm", "east", "aws", "us-east-1")


@dataclass
class Ecs:
    """The three calls; `protected` are protected by their sidecars."""

    protected: set[str] = field(default_factory=set)
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
