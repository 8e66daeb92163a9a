"""A site with a workspace through ansible-playbook: made once, kept, repaired, and its key nowhere."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure_sites import REF, Azure, planned, site, whole
from test_facts import SITE, put

from arriero.clouds.azure import facts, logs, scaling, variables, workspaces
from arriero.clouds.azure.connection import connect
from arriero.plan.wanted import azure_logs
from key_vault import VAULT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(600)]

TOKEN = f"{VAULT}/secrets/hf"
KEEPING = {"logs": {"to_workspace": True, "retention_days": 90}}


def test_a_workspace_is_made_kept_put_right_and_filled_and_its_key_is_nowhere(azure: Azure) -> None:
    wanted = site(**KEEPING)
    plan, played = azure.up(wanted, count=1)
    assert played.code == 0, played.text
    assert [step.name for step in plan.steps] == ["group", "network", "logs", "targets"]
    found = azure.read()
    assert planned(wanted, found, count=1).changes == ()
    again = azure.play(variables.site_variables(wanted, whole(plan), found))
    assert (again.code, again.recap["changed"]) == (0, 0), again.text
    put_right(azure)
    copied(azure)
    assert_lines_outlive_their_group(azure)
    assert_key_is_nowhere(azure, played.text + again.text)


def test_a_group_with_a_secret_writes_there_by_the_module_that_makes_it(azure: Azure) -> None:
    hand = Hand(azure.environment())
    hand.make_vault()
    hand.keep("hf", "planted-token-5d07")
    wanted = site(**KEEPING, site={"environment_from": {"HF_TOKEN": TOKEN}})
    with azure.entered():
        found = facts.read_site(replace(REF, secrets=(TOKEN,)))
    played = azure.play(variables.site_variables(wanted, planned(wanted, found, count=1), found))
    assert played.code == 0, played.text
    assert "Start the container groups that have secrets" in played.text
    wait_for_lines_of(azure, {"llm-azure-east-r1-1"})
    assert_key_is_nowhere(azure, played.text)


def put_right(azure: Azure) -> None:
    """Set by a hand to another number of days, it is drift, and its step puts it right."""
    wanted, path = site(**KEEPING), f"{SITE}/providers/{workspaces.TYPE}/llm-azure-east"
    put(azure, path, workspaces.VERSION, {"properties": {"retentionInDays": 30}}, "PATCH")
    plan, played = azure.up(wanted, count=1)
    assert [(step.name, [c.reason for c in step.changes]) for step in plan.steps] == [
        ("logs", ["retention_days: is 30, should be 90"])
    ]
    assert played.code == 0, played.text
    assert planned(wanted, azure.read(), count=1).changes == ()


def copied(azure: Azure) -> None:
    """What the controller starts writes there, too."""
    with azure.entered():
        assert scaling.start(REF, scaling.read(REF), 1, lambda: None) == ["llm-azure-east-r1-2"]
    found = azure.read()
    told = [dict(r.properties)[azure_logs.MEMBER] for r in found.resources if r.kind == "azure.container_group"]
    assert told == ["llm-azure-east"] * 2


def assert_lines_outlive_their_group(azure: Azure) -> None:
    groups = ("llm-azure-east-r1-1", "llm-azure-east-r1-2")
    since = wait_for_lines_of(azure, {*groups})
    path = f"{SITE}/providers/Microsoft.ContainerInstance/containerGroups/{groups[0]}"
    put(azure, path, "2025-09-01", {}, "DELETE")
    with azure.entered():
        assert {line.target for line in logs.read(REF, since)} == {*groups}


def wait_for_lines_of(azure: Azure, groups: set[str]) -> datetime:
    """Until the workspace has some of each; returns since when it was asked."""
    end, since = time.monotonic() + 60, datetime.now(UTC) - timedelta(hours=1)
    with azure.entered():
        workspace = workspaces.read(connect(), REF)
        assert workspace is not None
        while {row.target for row in workspaces.lines(REF, workspaces.id_of(workspace), since)} != groups:
            assert time.monotonic() < end
            time.sleep(0.2)
    return since


def assert_key_is_nowhere(azure: Azure, said: str) -> None:
    with azure.entered():
        key = workspaces.key(connect(), REF).reveal()
    assert len(key) > 40
    assert key not in said
    held = [file for file in azure.folder.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]
    assert held == []
