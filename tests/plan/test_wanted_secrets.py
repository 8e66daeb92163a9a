"""Secrets that tasks at AWS get by reference: in the definition their ARNs, in the execution role no more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from arriero.clouds.aws.variables import site_variables
from arriero.cost import way_out
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts
from arriero.plan.wanted import aws, aws_task
from arriero.spec.model import ResolvedSite, Spec

ACCOUNT = "us-east-1:123456789012"
TOKEN = f"arn:aws:secretsmanager:{ACCOUNT}:secret:llm/hf-AbCdEf"
ONE_VALUE = f"arn:aws:secretsmanager:{ACCOUNT}:secret:llm/all-AbCdEf:proxy::"
PARAMETER = f"arn:aws:ssm:{ACCOUNT}:parameter/llm/proxy"
GIVEN = {"environment_from": {"HF_TOKEN": TOKEN, "PROXY": PARAMETER, "OTHER": ONE_VALUE}, "registry_login": TOKEN}
EMPTY = SiteFacts("east", "aws", "us-east-1")


def spec(**site: Any) -> Spec:
    where = {"cloud": "aws", "region": "us-east-1", **site}
    return Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"east": where}})


def site(**more: Any) -> ResolvedSite:
    return spec(**more).site("east")


def containers(**more: Any) -> dict[str, Any]:
    return {each["name"]: each for each in aws_task.document(site(**more), {})["containerDefinitions"]}


def test_ollama_gets_the_references_and_its_sidecar_none() -> None:
    found = containers(**GIVEN)
    assert found["ollama"]["secrets"] == [
        {"name": "HF_TOKEN", "valueFrom": TOKEN},
        {"name": "OTHER", "valueFrom": ONE_VALUE},
        {"name": "PROXY", "valueFrom": PARAMETER},
    ]
    assert "secrets" not in found["sidecar"]


def test_every_container_is_pulled_with_the_login() -> None:
    logins = {name: each["repositoryCredentials"] for name, each in containers(**GIVEN).items()}
    assert logins == {name: {"credentialsParameter": TOKEN} for name in ("ollama", "sidecar")}


def test_another_reference_is_another_release() -> None:
    digests = {
        place.definition_hash(aws.definition(site(environment_from={"A": arn}))) for arn in (TOKEN, PARAMETER)
    }  # fmt: skip
    assert len({*digests, place.definition_hash(aws.definition(site()))}) == 3


def test_the_execution_role_may_read_these_and_no_others() -> None:
    document: Any = aws.execution_policies(site(**GIVEN))["read-secrets"]
    assert document["Statement"] == (
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": (ONE_VALUE.removesuffix(":proxy::"), TOKEN),
        },
        {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": (PARAMETER,)},
    )
    assert aws.execution_policies(site()) == {}


def test_the_role_is_given_the_policy_and_loses_it_with_the_secrets() -> None:
    wish = spec(**GIVEN)
    planned = place.plan(wish, Facts("llm", {"east": EMPTY})).sites[0]
    own: Any = site_variables(wish.site("east"), planned, EMPTY)["aws_site_own_policies"]
    assert ("llm-east-exec", "read-secrets") in {(each["role"], each["policy"]) for each in own}
    details: Any = {"revisions": (), "arn": "", "propagate_tags": ""}
    standing = replace(EMPTY, resources=tuple(replace(each, details=details) for each in planned.wanted))
    without = place.plan(spec(), Facts("llm", {"east": standing})).sites[0]
    stray: Any = site_variables(site(), without, standing)["aws_site_stray_policies"]
    assert stray == [{"role": "llm-east-exec", "policy": "read-secrets"}]


def test_a_network_without_the_internet_leads_to_what_keeps_them() -> None:
    assert way_out.interfaces(site(**GIVEN)) == ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "ssm")


def test_a_secret_that_somebody_added_by_hand_is_a_difference() -> None:
    document = aws_task.document(site(environment_from={"A": TOKEN}), {})
    document["containerDefinitions"][0]["secrets"].append({"name": "B", "valueFrom": PARAMETER})
    wish = aws_task.normal_form(aws_task.document(site(environment_from={"A": TOKEN}), {}))
    assert json.dumps(aws_task.normal_form(document)) != json.dumps(wish)
