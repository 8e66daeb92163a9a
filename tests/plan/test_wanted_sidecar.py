"""The two containers of a target: what the plan tells the sidecar is what the sidecar understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from arriero.gateway.sidecar.settings import SidecarSettings
from arriero.plan.wanted import aws_task, azure, local, sidecar
from arriero.spec.model import ResolvedSite, Spec

SITES = {
    "aws-east": {"cloud": "aws", "region": "us-east-1"},
    "azure-east": {"cloud": "azure", "region": "eastus"},
    "office": {"cloud": "local", "hosts": ["127.0.0.1"]},
}


def site(name: str, **values: Any) -> ResolvedSite:
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2", "phi3"], "sites": SITES, **values}
    return Spec.model_validate(whole).site(name)


def aws_containers(wish: ResolvedSite) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for each in aws_task.document(wish, {})["containerDefinitions"]}


def aws_environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["environment"]}


def azure_containers(wish: ResolvedSite) -> Mapping[str, Mapping[str, Any]]:
    return azure.definition(wish)["containers"]  # type: ignore[return-value]


@pytest.mark.parametrize("name", SITES)
def test_the_sidecar_understands_what_it_is_told(name: str) -> None:
    wish = site(name, ollama={"num_parallel": 3}, deploy={"stop_within": "20s"})
    told = SidecarSettings.of(sidecar.environment(wish))
    assert (told.listen, told.ollama, told.slots) == ("0.0.0.0:11434", "127.0.0.1:11435", 3)
    assert (told.service, told.site, told.models) == ("llm", name, ("llama2:latest", "phi3:latest"))
    assert told.drain_seconds == 19
    assert told.may_read_figures("10.64.3.4") == (name != "office")
    assert told.may_read_figures("127.0.0.1")
    assert not told.may_read_figures("203.0.113.9")


def test_a_task_holds_both_and_ollama_is_on_loopback_whatever_the_spec_says() -> None:
    both = aws_containers(site("aws-east", environment={"OLLAMA_HOST": "0.0.0.0:11434"}))
    ollama, beside = both["ollama"], both["sidecar"]
    assert aws_environment(ollama)["OLLAMA_HOST"] == "127.0.0.1:11435"
    assert "portMappings" not in ollama
    assert [each["containerPort"] for each in beside["portMappings"]] == [11434]
    assert beside["dependsOn"] == [{"containerName": "ollama", "condition": "START"}]
    assert [ollama["essential"], beside["essential"]] == [True, True]
    assert ollama["image"] == beside["image"]
    assert beside["entryPoint"] == ["arriero", "gateway", "sidecar"]
    assert "OLLAMA_HOST" not in aws_environment(beside), "its health check asks Ollama through the sidecar"


@pytest.mark.parametrize("cpu", ["0.5 vCPU", "1 vCPU", "4 vCPU", "16 vCPU"])
def test_both_containers_of_a_group_share_what_is_paid_for(cpu: str) -> None:
    wish = site("azure-east", size={"cpu": cpu, "memory": "2GiB"})
    both = azure_containers(wish)
    assert sum(each["cpu"] for each in both.values()) == pytest.approx(float(wish.size.cpu))
    assert sum(each["memory_gb"] for each in both.values()) == pytest.approx(2.0)
    assert 0.1 <= both["sidecar"]["cpu"] <= 0.2
    assert (both["ollama"]["ports"], both["sidecar"]["ports"]) == ((), (11434,))


def test_a_group_asks_ollama_whether_it_lives_in_its_own_container() -> None:
    both = azure_containers(site("azure-east", deploy={"hung_after": "30s"}))
    assert both["ollama"]["liveness"] == "`ollama list` every 10s, restart after 3 failures"
    assert both["sidecar"]["liveness"] is None


def test_an_image_without_the_sidecar_is_one_container_on_the_known_port() -> None:
    plain = {"sidecar": False, "deploy": {"hung_after": "30s"}}
    [ollama] = aws_containers(site("aws-east", **plain)).values()
    assert aws_environment(ollama)["OLLAMA_HOST"] == "0.0.0.0:11434"
    assert [each["containerPort"] for each in ollama["portMappings"]] == [11434]
    [group] = azure_containers(site("azure-east", **plain)).values()
    assert (group["ports"], group["cpu"]) == ((11434,), 4.0)
    assert group["liveness"] == "GET :11434/ every 10s, restart after 3 failures"
    assert local.definition(site("office", **plain))["sidecar"] is None


def test_a_local_sidecar_is_told_everything_but_where_to_listen() -> None:
    told = local.definition(site("office"))["sidecar"]
    assert isinstance(told, Mapping)
    assert told["ARRIERO_SLOTS"] == "4"
    assert not {"ARRIERO_LISTEN", "ARRIERO_OLLAMA_ADDRESS"} & set(told)
