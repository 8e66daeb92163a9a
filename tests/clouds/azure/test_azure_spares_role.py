"""Spares through ansible-playbook, with the unmodified Azure modules, against the emulated Azure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from azure_sites import REF, Azure, Played, planned, site, wait_for, whole
from test_azure_spares import POOL, pool_of, ready
from test_facts import put

from arriero.clouds.azure import scaling, variables
from arriero.pipeline.iam.azure import role
from arriero.plan.model import SitePlan
from arriero.plan.wanted import azure_spares
from arriero.spec.model import ResolvedSite, Spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

KEEPING = replace(REF, spares=True)
SPARES = {"scale": {"spares": 1}}
NEXT = {"release": 2, "digest": "fedcba987654"}


def made(azure: Azure, wanted: ResolvedSite, **how: object) -> SitePlan:
    """Has it so, and sees that nothing is left to do."""
    plan, played = azure.up(wanted, **how)
    assert played.code == 0, played.text
    assert planned(wanted, azure.read(), **how).changes == ()  # type: ignore[arg-type]
    return plan


def steps(plan: SitePlan) -> list[str]:
    return [step.name for step in plan.steps]


def again(azure: Azure, wanted: ResolvedSite, plan: SitePlan) -> Played:
    """Every step, as plain Ansible goes through them."""
    return azure.play(variables.site_variables(wanted, whole(plan), azure.read()))


def images(azure: Azure) -> set[str]:
    """What the spares run."""
    [kept] = [r for r in azure.read().resources if r.kind == azure_spares.PROFILE_KIND]
    return {each["image"] for each in kept.properties["containers"].values()}  # type: ignore[union-attr,call-overload,index]


def spare_servers(azure: Azure) -> int:
    return sum(row.target.startswith("spares-") and row.container == "ollama" for row in azure.emulator.containers())


def test_spares_are_kept_taken_renewed_repaired_and_let_go(azure: Azure) -> None:
    first = site(**SPARES)
    plan = made(azure, first, count=1)
    assert steps(plan) == ["group", "network", "targets", "spares"]
    assert written_by_modules_only(azure)
    assert ready(azure)
    assert (left := again(azure, first, plan)).recap["changed"] == 0, left.text

    with azure.entered():
        assert scaling.start(KEEPING, scaling.read(KEEPING), 1, lambda: None) == ["llm-azure-east-r1-2"]
    assert wait_for(lambda: [t.state for t in azure.read().targets] == ["ready", "ready"])
    assert planned(first, azure.read(), count=2).changes == ()

    second = site(image="acme/llm:2", **SPARES)
    assert steps(made(azure, second, count=1, **NEXT)) == ["targets", "spares", "retire"]
    assert images(azure) == {"acme/llm:2"}
    assert ready(azure)
    repaired(azure, second)
    asleep_and_awake(azure, second)
    let_go(azure)
    made(azure, second, count=1, **NEXT)
    let_go_without_the_pool(azure)
    made(azure, second, count=1, **NEXT)
    assert azure.down().code == 0
    assert azure.read().resources == ()
    assert wait_for(lambda: not azure.emulator.containers())
    assert needed(azure) <= exported()


def needed(azure: Azure) -> set[str]:
    """What all of it had to be allowed, in the words of Resource Manager, which mind no case."""
    log = map(json.loads, (azure.folder / "requests.jsonl").read_text().splitlines())
    return {need["action"].lower() for line in log for need in line.get("needs", ())}


def exported() -> set[str]:
    given = {"cloud": "azure", "region": "eastus", **SPARES}
    account = {"azure": "00000000-0000-0000-0000-000000000001"}
    spec = {
        "name": "llm",
        "image": "acme/llm",
        "models": ["llama2"],
        "sites": {"azure-east": given},
        "accounts": account,
    }
    return {action.lower() for action in role(Spec.model_validate(spec))["Actions"]}


def repaired(azure: Azure, wanted: ResolvedSite) -> None:
    subscription = azure.environment()["AZURE_SUBSCRIPTION_ID"]
    profile = f"/subscriptions/{subscription}{POOL}".partition("/providers/")[0]
    profile += "/providers/Microsoft.ContainerInstance/containerGroupProfiles/llm-azure-east"
    made_of = {"containerGroupProfile": {"id": profile, "revision": 1}, "subnetIds": []}
    elastic = {"maxReadyCapacity": 0, "refillPolicy": "always"}
    properties = {"elasticityProfile": elastic, "containerGroupProperties": made_of}
    put(azure, POOL, "2025-03-01", {"location": "eastus", "properties": properties})
    plan, played = azure.up(wanted, count=1, **NEXT)
    [change] = plan.changes
    assert (change.name, "revision: is 1 of 2, should be newest" in change.reason) == ("spares", True), change.reason
    assert (played.code, played.recap["changed"]) == (0, 1), played.text
    assert planned(wanted, azure.read(), count=1, **NEXT).changes == ()  # type: ignore[arg-type]


def asleep_and_awake(azure: Azure, wanted: ResolvedSite) -> None:
    assert steps(made(azure, wanted, count=0, **NEXT)) == ["spares", "retire"]
    assert pool_of(azure).properties["ready"] == 0
    assert wait_for(lambda: not azure.emulator.containers())
    made(azure, wanted, count=1, **NEXT)
    assert ready(azure)


def let_go(azure: Azure) -> None:
    """The key is gone from the spec; the tag told where to look, and now tells that nothing is left."""
    plan = made(azure, site(image="acme/llm:2"), count=1, **NEXT)
    assert [(c.action, c.kind) for c in plan.changes] == [
        ("remove", azure_spares.PROFILE_KIND),
        ("remove", azure_spares.POOL_KIND),
    ]
    assert wait_for(lambda: spare_servers(azure) == 0)
    nothing_is_asked(azure)


def let_go_without_the_pool(azure: Azure) -> None:
    """A hand has deleted it before."""
    put(azure, POOL, "2025-03-01", {}, "DELETE")
    assert wait_for(lambda: azure.read().find(azure_spares.POOL_KIND) is None)
    plan = made(azure, site(image="acme/llm:2"), count=1, **NEXT)
    assert [(c.action, c.kind) for c in plan.changes] == [("remove", azure_spares.PROFILE_KIND)]
    nothing_is_asked(azure)


def nothing_is_asked(azure: Azure) -> None:
    before = len((azure.folder / "requests.jsonl").read_text().splitlines())
    azure.read()
    asked = [json.loads(line) for line in (azure.folder / "requests.jsonl").read_text().splitlines()[before:]]
    assert not [each for each in asked if "Standby" in each["action"] or "Profiles" in each["action"]]


def written_by_modules_only(azure: Azure) -> bool:
    """Both were put by Ansible's modules, and judged by Microsoft's schemas."""
    log = map(json.loads, (azure.folder / "requests.jsonl").read_text().splitlines())
    puts = [
        line
        for line in log
        if line["action"].startswith("PUT") and ("Standby" in line["action"] or "Profiles" in line["action"])
    ]
    return len(puts) == 2 and all("Ansible" in line["client"] and line["judged"][:2] == "20" for line in puts)
