"""What a site's state means, and the document that machines read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from arriero.cli import show
from arriero.errors import Problem
from arriero.observe import status
from arriero.observe.status import ServerProcess
from arriero.plan.model import Resource, SiteFacts, TargetFacts, TargetState
from arriero.plan.wanted import aws_edges, azure_edges
from arriero.spec.model import Spec

MODELS = ("llama2:latest",)
GIVEN = {
    "name": "llm",
    "image": "registry.example.com/acme/llm:1",
    "models": [{"name": "llama2:latest"}],
    "sites": {"a": {"cloud": "aws", "region": "us-east-1"}},
    "scale": {"min": 2},
}
SPEC = Spec.model_validate(GIVEN)


def site(*states: TargetState, problem: Problem | None = None) -> SiteFacts:
    targets = tuple(TargetFacts(f"t{n}", "a", state, f"127.9.0.{n}:11434", 3) for n, state in enumerate(states))
    resources = (Resource("aws.service", "llm-a"),) if states else ()
    return SiteFacts("a", "aws", "us-east-1", resources=resources, targets=targets, problem=problem)


def state(found: SiteFacts, answers: dict[str, tuple[str, ...] | None]) -> str:
    return status.look(SPEC, {"a": found}, None, {}, answers.get).sites[0].state


BOTH = {"127.9.0.0:11434": MODELS, "127.9.0.1:11434": MODELS}


@pytest.mark.parametrize(
    ("found", "answers", "expected"),
    [
        (site("ready", "ready"), BOTH, "ready"),
        (site("ready", "starting"), BOTH, "degraded"),
        (site("ready", "ready"), {"127.9.0.0:11434": MODELS}, "degraded"),
        (site("ready", "ready"), {**BOTH, "127.9.0.1:11434": ("other:latest",)}, "degraded"),
        (site("starting", "starting"), BOTH, "down"),
        (site("ready", "ready"), {}, "down"),
        (site(), {}, "absent"),
        (site(problem=Problem("no", "wait")), {}, "unknown"),
    ],
    ids=[
        "min targets answer for all models",
        "one is not ready for its cloud",
        "one does not answer",
        "one lacks a model",
        "none is ready",
        "none answers",
        "nothing stands there",
        "the cloud can't be read",
    ],
)
def test_the_state_of_a_site(found: SiteFacts, answers: dict[str, tuple[str, ...] | None], expected: str) -> None:
    assert state(found, answers) == expected


def test_the_document_for_machines() -> None:
    now = status.look(
        SPEC, {"a": site("ready")}, "http://127.0.0.1:11434", {"t0": ServerProcess(42, "simulated")}, BOTH.get
    )
    assert json.loads(json.dumps(now.as_json())) == {
        "schema": 1,
        "service": "llm",
        "release": 3,
        "gateway": {"url": "http://127.0.0.1:11434"},
        "scaling": None,
        "pairs": [],
        "sites": [
            {
                "name": "a",
                "cloud": "aws",
                "region": "us-east-1",
                "role": "active",
                "state": "degraded",
                "engine": "simulated",
                "load_balancer": None,
                "problem": None,
                "targets": [
                    {
                        "id": "t0",
                        "state": "ready",
                        "address": "127.9.0.0:11434",
                        "pid": 42,
                        "release": 3,
                        "models": ["llama2:latest"],
                        "reason": "",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (SiteFacts("a", "aws", "us-east-1", resources=(Resource("aws.service", "llm-a"),)), "asleep"),
        (site("stopped"), "asleep"),
        (site("ready"), "degraded"),
        (SiteFacts("a", "aws", "us-east-1"), "absent"),
        (site(problem=Problem("no", "wait")), "unknown"),
    ],
)
def test_a_site_that_is_off_sleeps_once_nothing_runs_there(found: SiteFacts, expected: str) -> None:
    assert status.look(SPEC, {"a": found}, None, {}, BOTH.get, ["a"]).sites[0].state == expected


@pytest.mark.parametrize(
    ("details", "wanted", "expected"),
    [
        ({"running": 1, "health": ""}, 2, {"ready": 1, "wanted": 2, "trouble": ""}),
        ({"running": 0, "health": "no permission"}, 1, {"ready": 0, "wanted": 1, "trouble": "no permission"}),
    ],
)
def test_spares_are_told_where_a_pool_keeps_some(
    details: dict[str, str | int], wanted: int, expected: dict[str, str | int]
) -> None:
    pool = Resource("azure.spare_pool", "spares", {"ready": wanted}, details=details)
    found = status.look(SPEC, {"a": replace(site("ready"), resources=(pool,))}, None, {}, BOTH.get)
    assert found.as_json()["sites"][0]["spares"] == expected  # type: ignore[index,call-overload]
    [line] = [line for line in show.status_lines(found, SPEC) if "spares" in line]
    said = f"  spares {expected['ready']} of {expected['wanted']} ready"
    assert line == said + (f"; Azure says: {expected['trouble']}" if expected["trouble"] else "")


APP = Resource(azure_edges.APP_KIND, "llm-a-edge", {"replicas": (2, 2)}, details={"host": "llm-a-edge.eu.example.com"})
SERVICE = Resource(aws_edges.SERVICE, "llm-a-edge", {"desired_count": 3})
AZURE_EDGES = {
    "keys": "https://llm-vault.vault.azure.net/secrets/llm-keys",
    "identity": "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge",
}
ALB = {
    "hosts": ["llm.example.com"],
    "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"],
    "edges": {"keys": ["arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"]},
}


@pytest.mark.parametrize(
    ("cloud", "ingress", "resource", "expected", "said"),
    [
        ("azure", {"edges": AZURE_EDGES}, APP, {"count": 2, "url": "https://llm-a-edge.eu.example.com"}, ""),
        (
            "azure",
            {"edges": AZURE_EDGES, "front_door": {}},
            APP,
            {"count": 2, "url": "https://llm-a-edge.eu.example.com"},
            ", for the Front Door alone",
        ),
        ("azure", {}, APP, {"count": 2, "url": "https://llm-a-edge.eu.example.com"}, ""),
        ("aws", {"alb": ALB}, SERVICE, {"count": 3, "url": "https://llm.example.com"}, ""),
        ("aws", {}, SERVICE, {"count": 3}, ""),
    ],
    ids=["at Azure", "behind a Front Door", "that left the spec", "at AWS", "at AWS, that left the spec"],
)
def test_edges_are_told_by_the_name_that_clients_use(
    cloud: str, ingress: dict[str, Any], resource: Resource, expected: dict[str, Any], said: str
) -> None:
    region = {"aws": "us-east-1", "azure": "westeurope"}[cloud]
    given = {**GIVEN, "sites": {"a": {"cloud": cloud, "region": region}}, "ingress": ingress}
    wish = Spec.model_validate(given)
    found = status.look(wish, {"a": SiteFacts("a", cloud, region, resources=(resource,))}, None, {}, BOTH.get)  # type: ignore[arg-type]
    assert found.as_json()["sites"][0]["edges"] == expected  # type: ignore[index,call-overload]
    [line] = [line for line in show.status_lines(found, wish) if " edges" in line]
    assert line == f"  {expected['count']} edges {expected.get('url', '')}".rstrip() + said


def test_where_no_edges_stand_none_are_told() -> None:
    found = status.look(SPEC, {"a": site("ready")}, None, {}, BOTH.get)
    assert "edges" not in found.as_json()["sites"][0]  # type: ignore[index,operator,call-overload]


def test_stopped_targets_are_not_listed() -> None:
    assert status.look(SPEC, {"a": site("stopped")}, None, {}, BOTH.get).sites[0].targets == ()
