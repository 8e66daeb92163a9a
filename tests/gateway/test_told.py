"""What a sidecar tells, on the wire and in the edge's view of its target."""

from __future__ import annotations

import pytest

from arriero.control.messages import TargetEntry
from arriero.gateway.routing.prospects import Finds, finds
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.words.told import Told, read

MODEL = {"m": {"name": "m", "digest": "d-m", "size_vram": 7}}


def target(resident: bool = True) -> Target:
    made = Target(TargetEntry("one", "here", "127.0.0.1:1", slots=4))
    made.answered(Inventory(MODEL, MODEL if resident else {}))
    return made


def test_a_line_is_read_as_it_was_written() -> None:
    told = Told(2, 1, {"m": 1}, frozenset({"m"}), True, False, "it is silent", "d1", MODEL)
    assert read(told.line(with_resident=True)) == told
    assert read(told.line(with_resident=False)).resident is None


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b"null", b'{"slots": "x"}', b"\xff", b"[" * 100_000])
def test_what_is_no_such_line_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a line of a sidecar's state"):
        read(line)


def test_requests_of_others_fill_the_slots_that_the_sidecar_tells() -> None:
    made = target()
    made.take("m", 0.0)
    made.told(Told(2, 2, {"m": 2}))
    assert (made.busy, made.others, made.slots, finds(made, "m")) == (2, 1, 2, Finds.A_QUEUE)
    made.give_back("m")
    made.told(Told(2, 0, {}))
    assert (made.busy, finds(made, "m")) == (0, Finds.A_FREE_SLOT)


def test_residency_and_loading_count_as_soon_as_they_are_told() -> None:
    made = target(resident=False)
    made.told(Told(2, 1, {"m": 1}, frozenset({"m"})))
    assert (made.is_loading("m"), made.is_resident("m")) == (True, False)
    made.told(Told(2, 1, {"m": 1}, resident=MODEL))
    assert (made.is_loading("m"), made.is_resident("m")) == (False, True)
    made.told(Told(2, 0, {}))
    assert made.is_resident("m")
    made.told(Told(2, 0, {}, resident={}))
    assert not made.is_resident("m")


def test_a_target_drains_is_silent_or_lost_as_its_sidecar_tells() -> None:
    made = target()
    made.told(Told(2, 0, {}, is_draining=True))
    assert (made.state, made.can_take) == ("draining", False)
    made.told(Told(2, 0, {}))
    assert made.state == "up"
    made.told(Told(2, 0, {}, answers=False, why="Ollama is silent"))
    assert (made.state, made.reason) == ("suspect", "Ollama is silent")
    made.told(Told(2, 3, {}))
    turn = made.lost("its sidecar broke off")
    assert turn is not None
    assert (turn.now, made.busy, made.slots, made.is_followed) == ("suspect", 0, 4, False)
