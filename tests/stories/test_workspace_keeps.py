"""What a group in Azure wrote is read after it is gone, where a workspace keeps it; all under the exported permissions.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from places import Place, open_spec, wait_for

from arriero.rehearse.azure import accounts
from arriero.rehearse.azure.ids import ResourceId

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
accounts: {azure: 00000000-0000-0000-0000-000000000001}
scale: {min: 1}
logs: {to_workspace: true, retention_days: 90}
sites:
  azure-east: {cloud: azure, region: eastus}
"""
WORKSPACES = "Microsoft.OperationalInsights/workspaces"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("workspace"), SPEC):
        assert found.arriero("export", "iam", "--out", "iam").code == 0
        assert found.arriero("rehearse", "start", "--permissions", "iam").code == 0
        yield found


def writers(place: Place) -> set[str]:
    """The groups whose lines the last hour has."""
    told = place.arriero("logs", "--since", "1h", "--json")
    assert told.code == 0, told.err
    return {f"llm-azure-east-r{n}-1" for n in (1, 2) if f'"llm-azure-east-r{n}-1"' in told.out}


def test_a_release_brings_the_workspace_and_another_leaves_its_lines(place: Place) -> None:
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert place.arriero("plan").code == 0
    assert wait_for(lambda: writers(place) == {"llm-azure-east-r1-1"}, 20)
    (place.folder / "arriero.yaml").write_text(SPEC + "environment: {A: b}\n")
    again = place.arriero("up", "--yes")
    assert again.code == 0, again.err + again.out
    (target,) = place.arriero("status", "--json").json["sites"][0]["targets"]
    assert target["id"].endswith("-r2-1")
    assert wait_for(lambda: writers(place) == {"llm-azure-east-r1-1", "llm-azure-east-r2-1"}, 30)


def test_its_key_stands_in_no_file(place: Place) -> None:
    subscription = place.environment()["AZURE_SUBSCRIPTION_ID"]
    base = f"/subscriptions/{subscription}/resourceGroups/llm-azure-east/providers/{WORKSPACES}"
    found = ResourceId.parse(f"{base}/llm-azure-east")
    assert found is not None
    keys = [accounts.key(found, which) for which in ("primary", "secondary")]
    assert not any(place.files_with(keys).values())


def test_a_module_made_it_and_every_call_was_allowed(place: Place) -> None:
    calls = [call for call in place.calls() if call["cloud"] == "azure"]
    made = [call for call in calls if call["action"] == f"PUT {WORKSPACES}"]
    assert made
    assert all("Ansible" in call["client"] for call in made)
    assert any(call["action"] == "POST query" and call["status"] == 200 for call in calls)
    assert {call["action"] for call in calls if call["status"] == 403} == set()
    assert {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])} == set()


def test_it_goes_with_the_site(place: Place) -> None:
    assert place.arriero("down", "--yes").code == 0
    assert writers(place) == set()
