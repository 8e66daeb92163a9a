"""Reading a real conversation: the SDK's pipeline against the emulated Azure."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure_sites import DIGEST, REF, Azure, planned, site

from arriero.clouds.azure import facts, variables
from arriero.errors import CloudError
from arriero.plan.model import SiteFacts, SiteRef
from arriero.rehearse.emulator import Fault

SITE = "/resourceGroups/llm-azure-east"


def put(azure: Azure, path: str, version: str, body: dict[str, Any], method: str = "PUT") -> None:
    """A hand at the API, beside our own code."""
    with azure.entered():
        values = azure.environment()
        subscription = values["AZURE_SUBSCRIPTION_ID"]
        login = ClientSecretCredential(
            values["AZURE_TENANT"], values["AZURE_CLIENT_ID"], client_secret=values["AZURE_SECRET"]
        )
        bearer = policies.BearerTokenCredentialPolicy(login, "https://management.azure.com/.default")
        with PipelineClient("https://management.azure.com", policies=[bearer]) as client:
            url = f"https://management.azure.com/subscriptions/{subscription}{path}"
            answer = client.send_request(HttpRequest(method, url, params={"api-version": version}, json=body))
            assert answer.status_code < 300, answer.text()


def make_parent(azure: Azure, location: str = "eastus", **tags: str) -> None:
    put(azure, SITE, "2022-09-01", {"location": location, "tags": tags})


def make_group(azure: Azure, number: int = 1) -> None:
    """A group without a network around it, as wished in everything else."""
    wanted = site(deploy={"hung_after": "1m"})
    empty = SiteFacts("azure-east", "azure", "eastus", account="0")
    plan: Any = variables.site_variables(wanted, planned(wanted, empty, count=number), empty)
    body = plan["azure_site_groups"][number - 1]["body"]
    del body["properties"]["subnetIds"]
    body["properties"]["ipAddress"]["type"] = "Public"
    put(
        azure,
        f"{SITE}/providers/Microsoft.ContainerInstance/containerGroups/llm-azure-east-r1-{number}",
        "2025-09-01",
        body,
    )


def test_a_site_that_is_not_there_is_empty_and_no_error(azure: Azure) -> None:
    with azure.entered():
        found = facts.read_site(REF)
        assert (found.resources, found.targets, found.count, found.problem) == ((), (), 0, None)
        assert found.account == facts.account() == azure.environment()["AZURE_SUBSCRIPTION_ID"]
        assert facts.read_targets(REF) == ()


def test_groups_are_read_with_their_states_although_listings_leave_them_out(azure: Azure) -> None:
    make_parent(azure)
    make_group(azure, 1)
    make_group(azure, 2)
    found = azure.read()
    assert found.count == 2
    assert {t.id for t in found.targets} == {"llm-azure-east-r1-1", "llm-azure-east-r1-2"}
    assert all(t.release == 1 and t.state in ("starting", "ready") for t in found.targets)
    group = found.find("azure.container_group", "llm-azure-east-r1-1")
    assert group is not None
    wanted = planned(site(deploy={"hung_after": "1m"}), found).wanted[-1]
    assert {**wanted.properties, "address": "public", "subnet": None} == dict(group.properties)
    with azure.entered():
        assert [t.id for t in facts.read_targets(REF)] == [t.id for t in found.targets]


def test_a_resource_group_without_our_tags_is_not_ours(azure: Azure) -> None:
    make_parent(azure)
    found = azure.read().find("azure.resource_group")
    assert found is not None
    assert found.details["ours"] is False
    make_parent(azure, **{"arriero-service": "llm", "arriero-site": "azure-east"})
    found = azure.read().find("azure.resource_group")
    assert found is not None
    assert found.details["ours"] is True


def test_a_resource_group_in_another_region_is_a_problem_that_says_the_way_out(azure: Azure) -> None:
    make_parent(azure, "westeurope")
    assert str(azure.read().problem) == (
        "its resource group llm-azure-east is in westeurope, and Azure can't move it to eastus; give the site another "
        "name; or put the region back, run `arriero down` for the site, and then change it"
    )


def test_sites_that_only_their_tags_remember_are_found(azure: Azure) -> None:
    make_parent(azure, **{"arriero-service": "llm", "arriero-site": "azure-old"})
    with azure.entered():
        assert facts.other_sites("llm", {"azure-east"}) == (SiteRef("llm", "azure-old", "azure", "eastus"),)
        assert facts.other_sites("llm", {"azure-old"}) == ()
        assert facts.other_sites("other", ()) == ()


def test_a_region_that_is_down_is_a_problem_with_a_remedy(azure: Azure) -> None:
    make_parent(azure)
    azure.emulator.apply(Fault("azure", "eastus", "refuse", until=2**33))
    with azure.entered(), pytest.raises(CloudError) as caught:
        facts.read_site(REF)
    assert caught.value.site == "azure-east"
    assert "Azure answers 503 in eastus; look at https://azure.status.microsoft" in str(caught.value)


def test_a_region_that_is_down_is_a_problem_even_where_nothing_ever_stood(azure: Azure) -> None:
    azure.emulator.apply(Fault("azure", "eastus", "refuse", until=2**33))
    with azure.entered():
        for read in (facts.read_site, facts.read_targets):
            with pytest.raises(CloudError, match="Azure answers 503 in eastus"):
                read(REF)
        elsewhere = facts.read_site(SiteRef("llm", "azure-eu", "azure", "westeurope"))
        assert (elsewhere.resources, elsewhere.problem) == ((), None)


def test_a_wrong_secret_is_said_and_never_shown(azure: Azure, capfd: pytest.CaptureFixture[str]) -> None:
    with azure.entered(AZURE_CLIENT_SECRET="not-the-one"), pytest.raises(CloudError) as caught:
        facts.read_site(REF)
    assert "the client secret is wrong (AADSTS7000215)" in str(caught.value)
    assert "not-the-one" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_login_is_used_again(azure: Azure) -> None:
    with azure.entered():
        for _ in range(3):
            facts.read_targets(REF)
    log = (azure.folder / "requests.jsonl").read_text().splitlines()
    asked = [json.loads(line) for line in log]
    assert sum("token" in line["action"].lower() for line in asked) <= 1
    assert not any(line["writes"] for line in asked)


def test_the_reader_does_not_import_the_heavy_sdks() -> None:
    code = "import sys, arriero.clouds.azure.facts as f, arriero.clouds.azure.variables; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'azure.mgmt" not in loaded
    assert "'msal'" not in loaded


def test_the_definition_tag_comes_back(azure: Azure) -> None:
    make_parent(azure)
    make_group(azure)
    assert azure.read().resources[-1].tags["arriero-definition"] == DIGEST
