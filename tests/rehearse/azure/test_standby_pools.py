"""Standby pools of the emulated Azure: running groups are held ready, handed out, made anew, and billed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from running_azure import Azure, container, eventually, group

from arriero.clock import ManualClock
from arriero.rehearse.azure import group_rules, router, standby_pools
from arriero.rehearse.azure.answers import ArmError, Request
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.world import SUBSCRIPTION, World

RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
GROUPS, PROFILE = f"{RG}/providers/Microsoft.ContainerInstance/containerGroups", "containerGroupProfiles/llm"
PROFILE_ID = f"{RG}/providers/Microsoft.ContainerInstance/{PROFILE}"
POOL_ID = f"{RG}/providers/Microsoft.StandbyPool/standbyContainerGroupPools/spares"
TAGS = {"arriero-service": "llm", "arriero-site": "azure-east"}


class Hand:
    """Speaks to the emulator's own router, as its door does."""

    def __init__(self, world: World) -> None:
        self.world, self.faults = world, Faults(lambda: world.now)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        version = "2025-03-01" if "StandbyPool" in path else "2022-09-01" if path == RG else "2025-09-01"
        raw = json.dumps(body).encode() if body is not None else b""
        request = Request.of(method, "management.azure.com", f"{path}?api-version={version}", {}, raw)
        return router.answer(self.world, self.faults, request)

    def profile(self, image: str = "acme/llm:1", **more: Any) -> Any:
        body = group(container(image=image), tags=TAGS, restartPolicy="Always", **more)
        return self.ask("PUT", PROFILE_ID, body).body

    def pool(self, ready: int = 1, revision: int | None = 1, **more: Any) -> Any:
        profile = {"id": PROFILE_ID, **({"revision": revision} if revision else {})}
        elastic = {"maxReadyCapacity": ready, "refillPolicy": "always"}
        properties = {"elasticityProfile": elastic, "containerGroupProperties": {"containerGroupProfile": profile}}
        return self.ask("PUT", POOL_ID, {"location": "eastus", "tags": TAGS, "properties": {**properties, **more}}).body

    def take(self, name: str, revision: int = 1, *, must: bool = False, **more: Any) -> Any:
        reference = {"id": POOL_ID, "failContainerGroupCreateOnReuseFailure": must}
        properties = {
            "containerGroupProfile": {"id": PROFILE_ID, "revision": revision},
            "standbyPoolProfile": reference,
            "containers": [{"name": "ollama", "properties": {}}],
            **more,
        }
        return self.ask("PUT", f"{GROUPS}/{name}", {"location": "eastus", "tags": {"a": "b"}, "properties": properties})

    def names(self) -> list[str]:
        return sorted(each["name"] for each in self.ask("GET", GROUPS).body["value"])

    def counts(self) -> dict[str, int]:
        told = self.ask("GET", f"{POOL_ID}/runtimeViews/latest").body["properties"]
        return {row["state"]: row["count"] for row in told["instanceCountSummary"][0]["instanceCountsByState"]}

    def tend(self, *, runs: bool = True) -> None:
        """What the reconciler does each tick; servers run at once, unless they may not."""
        standby_pools.tend(self.world)
        for run in self.world.state.runs.values() if runs else ():
            run.phase = "running"


@pytest.fixture
def hand(world: World) -> Hand:
    return Hand(world)


def test_a_pool_holds_so_many_ready_and_makes_another_for_one_that_was_taken(hand: Hand) -> None:
    hand.profile()
    hand.pool(2)
    hand.tend(runs=False)
    assert hand.counts()["creating"] == 2
    hand.tend()
    assert hand.counts()["running"] == 2
    before = hand.names()
    assert all(name.startswith("spares-") for name in before)
    target = {hand.world.state.runs[f"{GROUPS}/{name}".lower()].target for name in before}
    taken = hand.take("llm-azure-east-r1-2").body
    assert (taken["name"], taken["tags"], taken["properties"]["isCreatedFromStandbyPool"]) == (
        "llm-azure-east-r1-2", {"a": "b"}, True,
    )  # fmt: skip
    assert taken["properties"]["containers"][0]["properties"]["image"] == "acme/llm:1"
    assert hand.world.state.runs[f"{GROUPS}/llm-azure-east-r1-2".lower()].target in target
    hand.tend()
    assert len(hand.names()) == 3
    assert hand.counts() == {"creating": 0, "starting": 0, "running": 2, "deleting": 0}


def test_where_none_is_ready_the_group_is_made_from_the_profile_or_refused(hand: Hand) -> None:
    hand.profile()
    hand.pool(1)
    hand.tend(runs=False)
    made = hand.take("one").body
    assert (made["properties"]["isCreatedFromStandbyPool"], made["properties"]["restartPolicy"]) == (False, "Always")
    assert made["properties"]["containers"][0]["properties"]["image"] == "acme/llm:1"
    with pytest.raises(ArmError) as caught:
        hand.take("two", must=True)
    assert caught.value.code == "StandbyPoolReuseFailed"


def test_each_put_of_a_profile_is_a_revision_and_a_pool_follows_the_one_that_it_names(hand: Hand) -> None:
    assert hand.profile()["properties"]["revision"] == 1
    hand.pool(2)
    hand.tend()
    first = hand.names()
    assert hand.profile("acme/llm:2")["properties"]["registeredRevisions"] == [1, 2]
    hand.tend()
    assert hand.names() == first
    assert hand.take("by-the-old-one").body["properties"]["containers"][0]["properties"]["image"] == "acme/llm:1"
    hand.pool(2, revision=2)
    hand.tend()
    assert not set(first) & set(hand.names())
    assert hand.take("old", revision=1).body["properties"]["isCreatedFromStandbyPool"] is False
    assert hand.take("new", revision=2).body["properties"]["containers"][0]["properties"]["image"] == "acme/llm:2"


def test_a_smaller_pool_lets_spares_go_and_a_deleted_one_all(hand: Hand) -> None:
    hand.profile()
    hand.pool(3)
    hand.tend()
    hand.take("llm-r1-1")
    hand.pool(1)
    hand.tend()
    assert len(hand.names()) == 2
    hand.pool(0)
    hand.tend()
    assert hand.names() == ["llm-r1-1"]
    hand.pool(2)
    hand.tend()
    assert hand.ask("DELETE", POOL_ID).status == 202
    hand.tend()
    assert hand.names() == ["llm-r1-1"]
    assert hand.ask("DELETE", PROFILE_ID).status == 200
    assert not [key for key in hand.world.state.resources if "profiles" in key]


def test_with_its_resource_group_a_pool_makes_nothing_more(hand: Hand) -> None:
    hand.profile()
    hand.pool(2)
    hand.tend()
    assert hand.ask("DELETE", RG).status == 202
    hand.tend()
    hand.tend()
    assert (hand.world.state.runs, hand.world.state.spares) == ({}, {})


def test_a_pool_that_finds_no_quota_says_so_and_tries_again_later(
    hand: Hand, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_rules, "MOST_GROUPS", 1)
    hand.profile()
    hand.pool(2)
    hand.tend()
    told = hand.ask("GET", f"{POOL_ID}/runtimeViews/latest").body["properties"]["status"]
    assert (told["code"], "quota 'ContainerGroups' exceeded" in told["message"]) == ("HealthState/degraded", True)
    monkeypatch.setattr(group_rules, "MOST_GROUPS", 9)
    hand.tend()
    assert hand.counts()["running"] == 1
    clock.sleep(standby_pools.PAUSE_SECONDS)
    hand.tend()
    assert hand.counts()["running"] == 2
    assert hand.ask("GET", f"{POOL_ID}/runtimeViews/latest").body["properties"]["status"]["code"].endswith("/healthy")


REFUSED: dict[str, tuple[Callable[[Hand], Any], str]] = {
    "a port at a container": (
        lambda hand: hand.take("x", containers=[{"name": "ollama", "properties": {"ports": [{"port": 1}]}}]),
        "ContainerGroup properties other than config map are not allowed",
    ),
    "an address": (
        lambda hand: hand.take("x", ipAddress={"type": "Public", "ports": [{"port": 11434}]}),
        "ContainerGroup properties other than config map are not allowed",
    ),
    "a revision that never was": (
        lambda hand: hand.take("x", revision=7),
        "The container group profile 'llm' has no revision 7.",
    ),
    "a pool that is not there": (
        lambda hand: hand.take("x", standbyPoolProfile={"id": f"{POOL_ID}-2"}),
        f"The standby pool '{POOL_ID}-2' was not found.",
    ),
    "a name in use": (lambda hand: [hand.take("x"), hand.take("x")], "The container group 'x' is there already."),
    "a pool of no profile": (
        lambda hand: hand.pool(
            containerGroupProperties={"containerGroupProfile": {"id": f"{PROFILE_ID}-2", "revision": 1}}
        ),
        f"The container group profile '{PROFILE_ID}-2' was not found.",
    ),
    "a pool of thousands": (lambda hand: hand.pool(2001), "2001 is greater than the maximum of 2000"),
    "another refill": (
        lambda hand: hand.pool(elasticityProfile={"maxReadyCapacity": 1, "refillPolicy": "never"}),
        "'never' is not one of ['always']",
    ),
    "another view": (
        lambda hand: hand.ask("GET", f"{POOL_ID}/runtimeViews/first"),
        "A standby pool has the runtime view 'latest' only.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_azure_refuses_is_refused(what: str, hand: Hand) -> None:
    does, words = REFUSED[what]
    hand.profile()
    hand.pool()
    with pytest.raises(ArmError) as caught:
        does(hand)
    assert words in caught.value.message


def test_a_pools_name_has_at_most_24_characters(hand: Hand) -> None:
    hand.profile()
    hand.pool()
    properties = hand.world.state.resources[POOL_ID.lower()]["properties"]
    body = {"location": "eastus", "properties": {k: v for k, v in properties.items() if k != "provisioningState"}}
    with pytest.raises(ArmError) as caught:
        hand.ask("PUT", POOL_ID.replace("spares", "s" * 25), body)
    assert caught.value.message.startswith("The request content was invalid: name: ")
    hand.ask("PUT", POOL_ID.replace("spares", "s" * 24), body)


def test_spares_are_real_servers_outlive_the_stage_and_are_billed(azure: Azure) -> None:
    hand = Hand(azure.emulator._world)
    hand.ask("PUT", RG, {"location": "eastus"})
    hand.profile()
    hand.pool(1)
    eventually(lambda: hand.counts()["running"] == 1 and azure.emulator.containers())
    [spare] = azure.emulator.containers()
    assert spare.target.startswith("spares-")
    eventually(lambda: hand.world.meter.bill("llm", hand.world.today.date(), hand.world.today.date()))
    assert hand.take("llm-r1-1").status == 201
    rows = eventually(lambda: (found := azure.emulator.containers()) and len(found) == 2 and found)
    assert {row.pid for row in rows if row.target == "llm-r1-1"} == {spare.pid}
    azure.restart()
    hand = Hand(azure.emulator._world)
    eventually(lambda: len(azure.emulator.containers()) == 2)
    assert hand.counts()["running"] == 1
    assert len(hand.names()) == 2
