"""Traffic is taken from targets only when others have it: what is waited for, and how long, on a given clock."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from arriero.clock import ManualClock
from arriero.control.client import GatewayError
from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.deploy import edge, switch
from arriero.deploy.project import Project
from arriero.deploy.switch import Heir
from arriero.errors import Problem

OLD = tuple(TargetStatus(f"r1-{n}", "office", f"h:{n}", "up", "active", 1, 100, 0) for n in (1, 2, 3))
NEW = tuple(TargetStatus(f"r2-{n}", "office", f"h:{n + 3}", "up", "active", 2, 100, 0) for n in (1, 2, 3))
LEAVING = [target.id for target in OLD]


@dataclass
class Running:
    """A gateway whose targets are a function of the time, and the controller that it has them from."""

    clock: ManualClock
    targets: Callable[[float], tuple[TargetStatus, ...]]
    told: list[int] = field(default_factory=list)

    def client(self) -> Running:
        return self

    @property
    def controller(self) -> Running:
        return self

    def signal(self, number: int) -> None:
        self.told.append(number)

    def status(self) -> GatewayStatus:
        return GatewayStatus("llm", False, 0, self.targets(self.clock.monotonic()))


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[tuple[Heir, ...], Running]]:
    def ask(targets: Callable[[float], Any], *heirs: Heir) -> tuple[tuple[Heir, ...], Running]:
        running = Running(ManualClock(), targets)
        monkeypatch.setattr(edge, "find", lambda _: running)
        found = switch.unknown_heirs(Project(tmp_path / "arriero.yaml"), heirs, LEAVING, running.clock)
        return found, running

    return ask


Asked = Callable[..., tuple[tuple[Heir, ...], Running]]


def test_what_is_known_is_not_waited_for(missed: Asked) -> None:
    found, running = missed(lambda _: (*OLD, *NEW), Heir(3, "office", 2))
    assert (found, running.told, running.clock.monotonic()) == ((), [], ManualClock().monotonic())


def test_the_controller_is_told_once_and_its_word_waited_for(missed: Asked) -> None:
    start = ManualClock().monotonic()
    found, running = missed(lambda now: (*OLD, *NEW[: int(now - start)]), Heir(3, "office", 2))
    assert found == ()
    assert running.told == [signal.SIGHUP]
    assert 3 <= running.clock.monotonic() - start < 3.5


@pytest.mark.parametrize(
    ("there", "heir"),
    [
        (OLD, Heir(1, "office", 2)),
        ((*OLD, *NEW[:2]), Heir(3, "office", 2)),
        ((*OLD, replace(NEW[0], state="down")), Heir(1, "office", 2)),
        ((*OLD, replace(NEW[0], site="attic")), Heir(1, "office", 2)),
        ((*OLD, replace(NEW[0], release=3)), Heir(1, "office", 2)),
        (OLD, Heir(1)),
    ],
    ids=["none", "too few", "down", "another site's", "another release's", "none anywhere"],
)
def test_what_never_comes_is_missed_after_a_minute(missed: Asked, there: tuple[TargetStatus, ...], heir: Heir) -> None:
    found, running = missed(lambda _: there, heir)
    assert found == (heir,)
    assert running.clock.monotonic() - ManualClock().monotonic() == pytest.approx(switch.HEAR_SECONDS, abs=0.2)


@pytest.mark.parametrize(
    ("there", "heir"),
    [
        ((), Heir(3, "office", 2)),
        (tuple(replace(target, state="draining") for target in OLD), Heir(3, "office", 2)),
        (OLD, Heir(0, "office", 2)),
        ((OLD[0], NEW[0]), Heir(3, "office", 2)),
        ((*OLD, replace(NEW[0], site="attic", release=7)), Heir(1)),
    ],
    ids=["nothing served", "it drains already", "none is wanted", "as many as served", "anything anywhere"],
)
def test_more_than_what_served_is_not_asked_for(missed: Asked, there: tuple[TargetStatus, ...], heir: Heir) -> None:
    assert missed(lambda _: there, heir)[0] == ()


def test_a_silent_gateway_holds_nothing_up(missed: Asked) -> None:
    def silent(_: float) -> tuple[TargetStatus, ...]:
        raise GatewayError(Problem("no answer"))

    assert missed(silent, Heir(1, "office", 2))[0] == ()


def test_without_a_gateway_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    assert switch.unknown_heirs(Project(tmp_path / "arriero.yaml"), [Heir(1)], LEAVING, ManualClock()) == ()
