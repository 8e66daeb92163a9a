"""A site at Azure whose edges are one container app, made by the role `azure_site` on the emulated Azure: asked with
and without keys, killed, changed, taken away, removed.

One site lives through all tests of this file, in their order.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from azure_sites import REF, Azure, allowed, planned, wait_for, whole
from azure_sites import site as plain
from edged_site import Keyed, asked, processes

from arriero.clouds.azure import names, scaling, variables
from arriero.pipeline.terraform import module as terraform
from arriero.plan import order
from arriero.plan.compare import compare
from arriero.plan.model import SitePlan
from arriero.plan.wanted import azure as wish
from arriero.spec.model import ResolvedSite
from key_vault import MANAGEMENT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with Azure.running(tmp_path_factory.mktemp("azure")) as running:
        yield running


@pytest.fixture(scope="module")
def keyed(azure: Azure, tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    return Keyed(Hand(azure.environment()), tmp_path_factory.mktemp("keys"))


def changes(azure: Azure, wanted: ResolvedSite) -> list[str]:
    return [f"{c.action} {c.kind} {c.name}: {c.reason}" for c in planned(wanted, azure.read()).changes]


def test_a_site_is_made_with_its_edges(azure: Azure, keyed: Keyed) -> None:
    plan, made = azure.up(keyed.wish())
    assert made.code == 0, made.text
    assert [step.name for step in plan.steps] == ["group", "network", "names", "targets", "edges"]
    assert changes(azure, keyed.wish()) == []
    assert len(processes(azure, "edge")) == 2
    found = azure.read()
    assert [target.state for target in found.targets] == ["ready", "ready"]
    again = azure.play(variables.site_variables(keyed.wish(), whole(planned(keyed.wish(), found)), found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text


def test_terraform_would_import_all_that_stands(azure: Azure, keyed: Keyed) -> None:
    found = azure.read()
    site = terraform.Site(keyed.wish(), planned(keyed.wish(), found), found)
    made = [each for each in terraform.pieces(site, terraform.MAKERS["azure"]) if each.kind == "resource"]
    assert {each.label for each in made} >= {"azure_east_edges", "azure_east_targets", "azure_east_edge_environment"}
    assert [f"{each.type}.{each.label}" for each in made if not each.standing] == []


def test_nobody_is_answered_without_a_key(azure: Azure, keyed: Keyed) -> None:
    assert asked(azure).status == 401
    assert asked(azure, "ak_0123456789ab_" + "x" * 43).status == 401
    answer = asked(azure, keyed.key)
    assert (answer.status, json.loads(answer.read())["done"]) == (200, True)
    assert asked(azure, keyed.key, path="/metrics").status in (403, 404, 405)


def test_only_edges_reach_targets(azure: Azure) -> None:
    guard = azure.read().find("azure.network_security_group")
    assert guard is not None
    rules = guard.properties["rules"]
    assert isinstance(rules, dict)
    assert rules["allow-ollama"] == "100 inbound allow tcp from 10.64.64.0/18 to *:11434"


def test_keys_are_in_no_definition_log_or_variable(azure: Azure, keyed: Keyed) -> None:
    hashes = re.findall(r'"([0-9a-f]{32,})"', keyed.hashes)
    app = Hand(azure.environment()).ask(
        "GET",
        Hand(azure.environment()).managed(
            "/resourceGroups/llm-azure-east/providers/Microsoft.App/containerApps/llm-azure-east-edge"
        ),
        None,
        "2025-01-01",
        "https://management.azure.com",
    )
    told = [
        app.text,
        json.dumps(variables.site_variables(keyed.wish(), planned(keyed.wish(), azure.read()), azure.read())),
    ]
    kept = [*azure.folder.rglob("*.log"), *azure.folder.rglob("*.jsonl"), *azure.folder.glob("*.yml")]
    told += [file.read_text(errors="replace") for file in (*kept, azure.folder / "azure" / "state.json")]
    assert hashes
    assert not [text[:200] for text in told for secret in (keyed.key, *hashes) if secret in text]


def test_a_stream_comes_whole_while_a_new_revision_takes_over(azure: Azure, keyed: Keyed) -> None:
    before = set(processes(azure, "edge"))
    answer = asked(azure, keyed.key, stream=True, options={"num_predict": 600})
    answer.readline()
    changed = keyed.wish(gateway={"limits": {"queue": 7}})
    assert changes(azure, changed) == [
        "update azure.edges llm-azure-east-edge: settings.limits.queue_length: is 256, should be 7"
    ]
    plan, rolled = azure.up(changed)
    assert rolled.code == 0, rolled.text
    assert [step.name for step in plan.steps] == ["edges"]
    lines = answer.read().splitlines()
    assert json.loads(lines[-1])["done"] is True
    assert wait_for(lambda: not before & set(processes(azure, "edge")))
    assert changes(azure, changed) == []
    assert asked(azure, keyed.key).status == 200


def test_only_clients_of_the_ranges_get_in_and_what_a_hand_opened_is_closed(azure: Azure, keyed: Keyed) -> None:
    closed = keyed.wish(gateway={"limits": {"queue": 7}}, allow_from=("203.0.113.0/24",))
    before = set(processes(azure, "edge"))
    plan, made = azure.up(closed)
    assert made.code == 0, made.text
    assert [step.name for step in plan.steps] == ["edges"]
    assert asked(azure, keyed.key).status == 403
    hand = Hand(azure.environment())
    path = hand.managed("/resourceGroups/llm-azure-east/providers/Microsoft.App/containerApps/llm-azure-east-edge")
    app = hand.ask("GET", path, None, "2025-01-01", MANAGEMENT).json()
    ingress = app["properties"]["configuration"]["ingress"]
    ingress["ipSecurityRestrictions"].append({"name": "me", "ipAddressRange": "127.0.0.1", "action": "Allow"})
    assert hand.ask("PUT", path, app, "2025-01-01", MANAGEMENT).status_code < 300
    assert wait_for(lambda: asked(azure, keyed.key).status == 200)
    assert changes(azure, closed) == [
        "update azure.edges llm-azure-east-edge: clients: is [127.0.0.1/32, 203.0.113.0/24], should be [203.0.113.0/24]"
    ]
    assert azure.up(closed)[1].code == 0
    assert wait_for(lambda: asked(azure, keyed.key).status == 403)
    opened = keyed.wish(gateway={"limits": {"queue": 7}})
    assert azure.up(opened)[1].code == 0
    assert wait_for(lambda: asked(azure, keyed.key).status == 200)
    assert set(processes(azure, "edge")) == before  # ranges are no part of a revision


def test_a_killed_target_is_hidden_by_the_edges(azure: Azure, keyed: Keyed) -> None:
    [first, *_] = processes(azure, "sidecar")
    os.kill(first, signal.SIGKILL)
    assert [asked(azure, keyed.key).status for _ in range(20)] == [200] * 20
    assert wait_for(lambda: len(processes(azure, "sidecar")) == 2 and first not in processes(azure, "sidecar"))


def test_a_killed_edge_loses_nothing_that_was_not_in_it(azure: Azure, keyed: Keyed) -> None:
    [first, *_] = processes(azure, "edge")
    os.kill(first, signal.SIGKILL)
    assert wait_for(lambda: first not in processes(azure, "edge"))
    assert [asked(azure, keyed.key).status for _ in range(20)] == [200] * 20
    assert wait_for(lambda: len(processes(azure, "edge")) == 2)


def test_who_scales_has_the_name_follow(azure: Azure, keyed: Keyed) -> None:
    ref = replace(REF, edges=True)
    with azure.entered():
        standing = scaling.read(ref)
        assert not standing.is_misnamed
        scaling.start(ref, standing, 1, allowed)
        assert wait_for(lambda: scaling.read(ref).is_misnamed)
        assert wait_for(lambda: len([t for t in scaling.read(ref).targets if t.address]) == 3)
        names.set_right(ref, allowed)
        assert not scaling.read(ref).is_misnamed
    settled = keyed.wish(gateway={"limits": {"queue": 7}})
    assert planned(settled, azure.read(), count=3).changes == ()
    records = azure.read().find("azure.target_names")
    assert records
    assert records.properties["targets"] == tuple(f"llm-azure-east-r1-{n}" for n in (1, 2, 3))


def test_edges_that_are_not_asked_for_go_with_all_that_is_theirs(azure: Azure) -> None:
    found, without = azure.read(), plain(deploy={"stop_within": "5s"})
    resources = wish.wanted(without, found, 1, 3, "0123456789ab")
    differences = compare("azure-east", resources, found.resources, wish.IMMUTABLE)
    plan = SitePlan("azure-east", "azure", 1, 3, resources, order.steps("azure-east", differences, wish.KINDS))
    assert {c.kind for c in differences if c.action == "remove"} == {
        "azure.edges",
        "azure.edge_environment",
        "azure.edge_subnet",
        "azure.target_zone",
        "azure.target_names",
    }
    gone = azure.play(variables.site_variables(without, plan, found))
    assert gone.code == 0, gone.text
    assert planned(without, azure.read(), count=3).changes == ()
    assert wait_for(lambda: not processes(azure, "edge"))


def test_a_removal_leaves_nothing(azure: Azure, keyed: Keyed) -> None:
    _, made = azure.up(keyed.wish())
    assert made.code == 0, made.text
    removed = azure.down()
    assert removed.code == 0, removed.text
    assert azure.read().resources == ()
    assert wait_for(lambda: not azure.emulator.containers())
