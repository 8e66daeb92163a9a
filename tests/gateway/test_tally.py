"""Which models left a memory for others, as a sidecar sees it."""

from __future__ import annotations

from typing import Any

from arriero.gateway.sidecar.tally import Tally

DISK = {name: {"digest": f"of {name}"} for name in ("a", "b", "c")}


def models(*names: str) -> dict[str, dict[str, Any]]:
    return {name: DISK[name] for name in names}


def tally(*resident: str) -> Tally:
    made = Tally(4)
    made.saw_disk(DISK)
    made.saw_memory(models(*resident))
    return made


def test_a_model_that_leaves_as_another_comes_was_pushed_out() -> None:
    one = tally("a", "b")
    one.saw_memory(models("b", "c"))
    assert one.evictions == 1


def test_a_model_that_leaves_while_another_is_on_its_way_was_pushed_out() -> None:
    one = tally("a", "b")
    one.take("c")
    one.saw_memory(models())
    one.saw_memory(models("c"))
    assert one.evictions == 2


def test_a_model_that_nobody_used_leaves_by_itself() -> None:
    one = tally("a", "b")
    one.saw_memory(models("b"))
    one.take("b")
    one.saw_memory(models("b"))
    assert one.evictions == 0


def test_a_copy_is_the_same_model() -> None:
    one = tally("a")
    one.saw_memory({"copy-of-a": DISK["a"]})
    assert one.evictions == 0
