"""The steps that plain Ansible plays: those that make what the spec asks for, whether something is to do or not."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.deploy.fleet import all_steps
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.spec.model import Spec

PLAIN = ["identity", "network", "firewall", "logs", "cluster", "service"]


def steps(more: dict[str, Any], found: tuple[Resource, ...] = ()) -> list[str]:
    spec = Spec.model_validate(
        {
            "name": "llm",
            "image": "registry.example.com/acme/llm:1",
            "models": [{"name": "llama2:latest"}],
            "sites": {"east": {"cloud": "aws", "region": "us-east-1"}},
            **more,
        }
    )
    plan = place.plan(spec, Facts("llm", {"east": SiteFacts("east", "aws", "us-east-1", resources=found)}))
    return [step.name for step in all_steps(plan.sites[0]).steps]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({}, PLAIN, id="nothing that is not asked for"),
        pytest.param({"scale": {"min": 1, "max": 3, "by": "cloud"}}, [*PLAIN, "scaling"], id="scaling by the cloud"),
        pytest.param(
            {"models": [{"name": "llama2:latest", "from": "storage"}]},
            ["identity", "network", "firewall", "storage", "logs", "cluster", "seed", "service"],
            id="models on storage",
        ),
    ],
)
def test_what_is_asked_for_has_its_step(more: dict[str, Any], expected: list[str]) -> None:
    assert steps(more) == expected


def test_what_is_no_longer_asked_for_is_removed_by_one_step() -> None:
    scaling = Resource("aws.scaling", "llm-east", {}, tags={})
    assert steps({}, (scaling,)) == [*PLAIN, "retire"]
