"""A site's lines from its groups' tails and its workspace: what is asked for, and that each line comes once."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure_sites import REF, Azure
from test_facts import SITE, make_parent, put

from arriero.clouds.azure import logs, workspaces
from arriero.clouds.azure.connection import connect
from arriero.plan.model import LogLine
from arriero.rehearse.azure import accounts
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import SUBSCRIPTION

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORKSPACE = f"{SITE}/providers/{workspaces.TYPE}/llm-azure-east"
KEEPING = replace(REF, has_workspace=True)
ONE = ("llm-azure-east-r1-1", "ollama")


def lines(*told: tuple[int, str]) -> list[LogLine]:
    return [LogLine(NOON + timedelta(seconds=second), "azure-east", ONE[0], text) for second, text in told]


@pytest.mark.parametrize(
    ("tail", "kept", "found"),
    [
        ([], [(0, "a"), (1, "b")], ["a", "b"]),  # the group is gone
        ([(300, "c"), (301, "d")], [(0, "a"), (299, "b"), (302, "c"), (303, "d")], ["a", "b"]),
        ([(300, "c")], [(295, "c")], []),  # told a little apart
        ([(300, "x")], [(290, "x"), (295, "x")], ["x"]),  # twice the same, of which the tail has one
        ([(300, "c")], [(361, "later")], []),  # the tail has all from there on
    ],
)
def test_the_workspace_fills_what_no_tail_has(
    tail: list[tuple[int, str]], kept: list[tuple[int, str]], found: list[str]
) -> None:
    assert [line.text for line in logs.filled({ONE: lines(*tail)}, {ONE: lines(*kept)})] == found


def test_it_is_asked_only_where_a_tail_may_lack_something() -> None:
    now, whole = NOON + timedelta(minutes=10), lines((590, "a"))
    cut = lines(*((590, str(number)) for number in range(logs.TAIL_LINES)))
    assert not logs.is_needed({ONE: whole}, now - timedelta(seconds=60), now)
    assert logs.is_needed({ONE: whole}, now - timedelta(minutes=3), now), "a group may be gone"
    assert logs.is_needed({ONE: cut}, now - timedelta(seconds=60), now)
    assert not logs.is_needed({ONE: cut}, now - timedelta(seconds=5), now)


def test_the_question_is_about_this_site_alone() -> None:
    assert workspaces.question(REF, NOON) == (
        "ContainerInstanceLog_CL\n| where TimeGenerated >= datetime(2026-11-29T12:00:00Z)\n"
        '| where ContainerGroup_s startswith "llm-azure-east-r"\n| order by TimeGenerated asc\n| take 50000\n'
        "| project TimeGenerated, ContainerGroup_s, ContainerName_s, Message"
    )


def make(azure: Azure, number: int, key: str = "") -> None:
    """A group whose lines go to the site's workspace, given its key or another."""
    found = ResourceId.parse(f"/subscriptions/{SUBSCRIPTION}{WORKSPACE}")
    assert found is not None
    with azure.entered():
        standing = workspaces.read(connect(), REF)
    assert standing is not None
    told = {"workspaceId": workspaces.id_of(standing), "workspaceKey": key or accounts.key(found, "primary")}
    resources = {"requests": {"cpu": 1, "memoryInGB": 2}}
    container = {"image": "acme/llm:1", "resources": resources, "ports": [{"port": 11434}]}
    properties = {
        "osType": "Linux",
        "containers": [{"name": "ollama", "properties": container}],
        "diagnostics": {"logAnalytics": told},
    }
    name = f"llm-azure-east-r1-{number}"
    tags = {"arriero-service": "llm", "arriero-site": "azure-east", "arriero-release": "1"}
    whole: dict[str, Any] = {"location": "eastus", "tags": tags, "properties": properties}
    put(azure, f"{SITE}/providers/Microsoft.ContainerInstance/containerGroups/{name}", "2025-09-01", whole)


def read(azure: Azure, back: timedelta = timedelta(hours=1)) -> set[tuple[str, str]]:
    """Each line, by group; no line twice."""
    with azure.entered():
        found = [(line.target, line.text) for line in logs.read(KEEPING, datetime.now(UTC) - back)]
    assert len(found) == len(set(found)), found
    return set(found)


def eventually(azure: Azure, groups: set[str]) -> set[tuple[str, str]]:
    end, found = time.monotonic() + 30, read(azure)
    while {target for target, _ in found} != groups:
        assert time.monotonic() < end, found
        time.sleep(0.1)
        found = read(azure)
    return found


def test_a_group_that_is_gone_is_still_read_and_one_with_a_wrong_key_is_not(azure: Azure) -> None:
    make_parent(azure)
    put(azure, WORKSPACE, workspaces.VERSION, {"location": "eastus", "properties": {"sku": {"name": "PerGB2018"}}})
    assert read(azure) == set(), "the workspace has no table yet"
    make(azure, 1)
    make(azure, 2, "d3Jvbmc=")
    both = {"llm-azure-east-r1-1", "llm-azure-east-r1-2"}
    before = eventually(azure, both)
    for number in (1, 2):
        group = f"{SITE}/providers/Microsoft.ContainerInstance/containerGroups/llm-azure-east-r1-{number}"
        put(azure, group, "2025-09-01", {}, "DELETE")
    after = eventually(azure, {"llm-azure-east-r1-1"})
    assert after >= {line for line in before if line[0] == "llm-azure-east-r1-1"}
    assert read(azure, timedelta(seconds=60)) == set(), "so near, no workspace is asked"


@pytest.mark.parametrize("page_lines", [2, 3, 4, 6, 7])
def test_more_lines_than_one_answer_has_come_whole_and_once(azure: Azure, page_lines: int) -> None:
    """Several were written at the same moment, also where a page ends."""
    make_parent(azure)
    tags = {"arriero-service": "llm", "arriero-site": "azure-east"}
    told = {"location": "eastus", "tags": tags, "properties": {"sku": {"name": "PerGB2018"}}}
    put(azure, WORKSPACE, workspaces.VERSION, told)
    begun = datetime.now(UTC) - timedelta(hours=1)
    planted = [
        {"at": str(begun + timedelta(seconds=second)), "group": ONE[0], "container": ONE[1], "text": str(number)}
        for number, second in enumerate((0, 1, 1, 2, 3, 3))
    ]
    (azure.folder / "lines").mkdir()
    (azure.folder / "lines/llm-azure-east.jsonl").write_text("\n".join(map(json.dumps, planted)))
    with azure.entered():
        standing = workspaces.read(connect(), REF)
        assert standing is not None
        found = workspaces.lines(REF, workspaces.id_of(standing), begun, page_lines)
        assert [line.text for line in found] == ["0", "1", "2", "3", "4", "5"]


def test_no_other_workspace_and_no_other_token_is_taken(azure: Azure) -> None:
    make_parent(azure)
    with azure.entered(), pytest.raises(HttpResponseError, match="could not be found"):
        list(workspaces.lines(REF, "00000000-0000-0000-0000-000000000000", NOON))
    with azure.entered(), pytest.raises(Exception, match="access token is invalid"):
        connect().post_at(f"{workspaces.ASKED_AT}/v1/workspaces/0/query", {"query": "ContainerInstanceLog_CL"})


def test_without_a_workspace_none_is_asked_and_a_missing_site_has_no_lines(azure: Azure) -> None:
    with azure.entered():
        assert list(logs.read(REF, NOON)) == []
        assert list(logs.read(KEEPING, NOON)) == []
    said = (azure.folder / "requests.jsonl").read_text()
    assert "POST query" not in said
