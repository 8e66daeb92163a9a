"""Targets' states, and what the pool answers when there is no target."""

from __future__ import annotations

import pytest

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.words import listing
from arriero.gateway.words.naming import canonical

ONE, TWO = TargetEntry("one", "here", "127.0.0.1:1"), TargetEntry("two", "there", "127.0.0.1:2", "standby")

SITES = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}


def inventory(*models: str, resident: tuple[str, ...] = (), version: str = "0.1") -> Inventory:
    def described(names: tuple[str, ...]) -> dict[str, dict[str, str]]:
        return {name: {"name": name, "digest": f"d-{name}", "modified_at": f"2026-01-0{len(name)}"} for name in names}

    return Inventory(described(models), described(resident), version)


def pool(*entries: TargetEntry) -> Pool:
    made = Pool()
    made.set_targets(Targets(entries))
    return made


def find(made: Pool, model: str | None = "m", tried: tuple[str, ...] = ()) -> object:
    found = made.find(model, True, tried, 0.0)
    return found.entry.id if isinstance(found, Target) else found


def test_a_target_goes_through_its_states_one_miss_after_the_other() -> None:
    target = Target(ONE)
    told = [
        target.missed("no"),
        target.answered(inventory()),
        target.missed("no"),
        target.missed("no"),
        target.missed("no"),
    ]
    told += [
        target.answered(inventory()),
        target.weigh(0),
        target.missed("no"),
        target.weigh(None),
        target.broke("gone"),
    ]
    assert [turn and turn.now for turn in told] == [
        None, "up", "suspect", "down", None, "up", "draining", None, "suspect", "down",
    ]  # fmt: skip


def test_a_target_that_never_answered_is_new_then_down() -> None:
    target = Target(ONE)
    assert [target.missed("a"), target.state] == [None, "new"]
    assert (target.missed("b"), target.state, target.reason) != (None, "down", "b")
    assert (target.state, target.reason) == ("down", "b")


def test_what_is_taken_is_given_back() -> None:
    target = Target(ONE)
    for _ in range(2):
        target.take("m", 0.0)
    assert target.is_loading("m")
    target.give_back("m")
    assert (target.in_flight, target.running) == (1, {"m": 1})
    target.give_back("m")
    target.take(None, 0.0)
    target.give_back(None)
    assert (target.in_flight, target.running) == (0, {})


def test_a_model_that_answered_is_in_memory_at_once() -> None:
    target = Target(ONE)
    target.answered(inventory("m"))
    target.take("m", 0.0)
    assert target.is_loading("m")
    target.begins("m")
    assert target.is_resident("m")
    assert not target.is_loading("m")


def test_why_there_is_no_target() -> None:
    assert find(pool()) is Without.TARGETS
    made = pool(ONE, TWO)
    assert find(made) is Without.HEALTH
    one, two = made
    one.answered(inventory("m"))
    assert find(made) == "one"
    assert find(made, "x") is Without.HEALTH
    two.answered(inventory("m"))
    assert find(made, "x") is Without.MODEL
    assert find(made, tried=("one",)) == "two"
    assert find(made, tried=("one", "two")) is Without.CHOICE
    one.broke("gone")
    two.broke("gone")
    assert find(made) is Without.HEALTH


def test_what_ended_at_one_site_goes_on_at_another_where_that_is_as_good() -> None:
    entries = [TargetEntry(name, site, f"127.0.0.1:{place}") for place, (name, site) in enumerate(SITES.items(), 1)]
    for tried, elsewhere in (("a1", {"b1", "b2"}), ("b2", {"a1", "a2"})):
        made = pool(*entries)
        for target in made:
            target.answered(inventory("m", resident=("m",)))
        assert {find(made, "m", (tried,)) for _ in range(10)} <= elsewhere
    alone = pool(*entries[:2])
    for target in alone:
        target.answered(inventory("m", resident=("m",)))
    assert find(alone, "m", ("a1",)) == "a2"


def test_a_list_replaces_the_former_one_and_what_left_stays_until_it_is_empty() -> None:
    made = pool(ONE, TWO)
    one = next(iter(made))
    one.answered(inventory("m"))
    one.take("m", 0.0)
    turns = made.set_targets(Targets((TWO,)))
    assert [(turn.target, turn.now) for turn in turns] == [("one", "draining")]
    assert [(status.id, status.in_flight) for status in made.status()] == [("two", 0), ("one", 1)]
    one.give_back("m")
    assert [status.id for status in made.status()] == ["two"]


def test_a_target_at_another_address_is_another_target() -> None:
    made = pool(ONE)
    next(iter(made)).answered(inventory("m"))
    made.set_targets(Targets((TargetEntry("one", "here", "127.0.0.1:9"),)))
    assert next(iter(made)).state == "new"


def test_a_target_told_to_drain_stays_so_when_the_list_comes_again() -> None:
    made = pool(ONE)
    made.set_weights({"one": 0})
    made.set_targets(Targets((ONE,)))
    assert next(iter(made)).state == "draining"
    with pytest.raises(KeyError):
        made.set_weights({"one": 100, "nobody": 0})
    assert next(iter(made)).state == "draining"


def test_the_pool_speaks_as_one_server() -> None:
    made = pool(TWO, ONE)
    two, one = made
    two.answered(inventory("bb:latest", "m:1", resident=("m:1",), version="0.17.4"))
    one.answered(inventory("a:latest", "m:1", resident=("m:1", "a:latest"), version="0.9.12"))
    names = [model["name"] for model in listing.tags(made)["models"]]
    assert sorted(names) == ["a:latest", "bb:latest", "m:1"]
    assert names[0] == "bb:latest"
    assert sorted(model["name"] for model in listing.ps(made)["models"]) == ["a:latest", "m:1"]
    assert listing.version(made) == "0.9.12"
    one.broke("gone")
    assert {model["name"] for model in listing.tags(made)["models"]} == {"bb:latest", "m:1"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("llama2", "llama2:latest"),
        ("LLama2:7B", "llama2:7b"),
        ("registry.ollama.ai/library/llama2", "llama2:latest"),
        ("https://registry.ollama.ai/acme/x:1", "acme/x:1"),
        ("localhost:5000/acme/x", "localhost:5000/acme/x:latest"),
    ],
)
def test_a_model_has_one_name(written: str, meant: str) -> None:
    assert canonical(written) == meant


def test_who_tries_a_site_out_gets_a_place_there_or_none() -> None:
    made = pool(ONE, TWO)
    for target in made:
        target.answered(inventory("m", resident=("m",)))
    assert [getattr(made.place_at(site, "m", 0.0), "entry", None) for site in ("here", "there")] == [ONE, TWO]
    assert made.place_at("nowhere", "m", 0.0) is Without.SITE
    made.set_weights({"two": 0})
    assert made.place_at("there", "m", 0.0) is Without.SITE
