"""The records of containers: restarts, back-off and states, on a clock of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.rehearse.azure.runs import LONGEST_BACK_OFF_SECONDS, ContainerRun, GroupRun


def crashed(times: int, policy: str = "Always", code: int = 1) -> tuple[ContainerRun, list[float]]:
    """A container that ends the moment it is started; the seconds it waited each time."""
    run, now, waits = ContainerRun("ollama"), 0.0, []
    for _ in range(times):
        run.started("acme/llm:1", now)
        run.ended(code, policy, now)
        waits.append((run.retry_at or 0.0) - now)
        now = run.retry_at or now
    return run, waits


def test_a_crash_loop_backs_off_to_five_minutes() -> None:
    run, waits = crashed(9)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]
    assert run.restarts == 8
    assert run.current["detailStatus"] == "CrashLoopBackOff: Back-off restarting failed"


def test_ten_minutes_of_running_are_a_new_beginning() -> None:
    run, _ = crashed(5)
    run.started("acme/llm:1", 1000.0)
    run.ended(-9, "Always", 1600.0)
    assert (run.retry_at, run.current["exitCode"]) == (1600.0, 137)


@pytest.mark.parametrize(
    ("policy", "code", "is_over"),
    [("Always", 0, False), ("Always", 1, False), ("OnFailure", 0, True), ("OnFailure", 1, False), ("Never", 1, True)],
)
def test_the_restart_policy_decides(policy: str, code: int, is_over: bool) -> None:
    run, _ = crashed(1, policy, code)
    assert run.is_over is is_over


@pytest.mark.parametrize(("codes", "phase"), [((0, 0), "succeeded"), ((0, 2), "failed")])
def test_a_group_ends_as_its_containers_do(codes: tuple[int, int], phase: str) -> None:
    group = GroupRun("t", phase="running", containers=[ContainerRun("a"), ContainerRun("b")])
    for container, code in zip(group.containers, codes, strict=True):
        assert group.phase == "running"
        container.started("acme/llm:1", 0)
        container.ended(code, "Never", 1)
        group.settle()
    assert group.phase == phase


@given(st.lists(st.tuples(st.floats(0, 2000), st.integers(-15, 255)), max_size=30))
def test_restarts_never_wait_longer_than_five_minutes(lives: list[tuple[float, int]]) -> None:
    run, now = ContainerRun("ollama"), 0.0
    for count, (seconds, code) in enumerate(lives):
        run.started("acme/llm:1", now)
        assert run.restarts == count
        run.ended(code, "Always", now + seconds)
        assert run.retry_at is not None
        # Sums of floats lose a little.
        assert -1e-6 <= run.retry_at - (now + seconds) <= LONGEST_BACK_OFF_SECONDS + 1e-6
        now = run.retry_at


def test_a_run_comes_back_from_disk_to_be_started_anew() -> None:
    group = GroupRun("t", phase="running", containers=[ContainerRun("a")])
    group.containers[0].started("acme/llm:1", 5.0)
    back = GroupRun.of(group.as_json())
    assert back.containers[0].retry_at == 0.0
    assert back.containers[0].restarts == 0
