"""What the stage makes of policies: allowed is only what a statement covers, and what it can't judge it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arriero.errors import Refused
from arriero.rehearse.permissions import AwsPolicies, AzureRole, Need, Permits, read

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/llm"


def statement(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": ["ecs:CreateCluster"], "Resource": [CLUSTER], **more}


def allows(need: Need, **more: Any) -> bool:
    return AwsPolicies([{"Version": "2012-10-17", "Statement": [statement(**more)]}]).allows(need)


TAGGED = {"StringEquals": {"aws:ResourceTag/arriero-service": "llm"}}
CASES: list[tuple[bool, Need, dict[str, Any]]] = [
    (True, Need("ecs:CreateCluster", CLUSTER), {}),
    (True, Need("ecs:createcluster", CLUSTER), {}),
    (False, Need("ecs:DeleteCluster", CLUSTER), {}),
    (False, Need("ecs:CreateCluster", f"{CLUSTER}-2"), {}),
    (False, Need("ecs:CreateCluster", CLUSTER.upper()), {}),
    (True, Need("ecs:CreateCluster", f"{CLUSTER}-2"), {"Resource": f"{CLUSTER}*"}),
    (True, Need("ecs:DeleteCluster", CLUSTER), {"Action": "ecs:*"}),
    (False, Need("ecs:DeleteCluster", CLUSTER), {"Action": "ecs:Delete?"}),
    (False, Need("ecs:CreateCluster", CLUSTER), {"Condition": TAGGED}),
    (True, Need("ecs:CreateCluster", CLUSTER, {"aws:resourcetag/arriero-service": "llm"}), {"Condition": TAGGED}),
    (False, Need("ecs:CreateCluster", CLUSTER, {"aws:ResourceTag/arriero-service": "llm2"}), {"Condition": TAGGED}),
    (
        False,
        Need("ecs:CreateCluster", CLUSTER, {"aws:ResourceTag/arriero-service": "llm"}),
        {"Condition": {"StringEquals": {"aws:ResourceTag/arriero-service": "l*"}}},
    ),
    (
        True,
        Need("ecs:CreateCluster", CLUSTER, {"ecs:cluster": CLUSTER}),
        {"Condition": {"ArnEquals": {"ecs:cluster": ["arn:other", "arn:aws:ecs:*:123456789012:cluster/llm"]}}},
    ),
    (
        False,
        Need("ecs:CreateCluster", CLUSTER, {"a": "1", "b": "3"}),
        {"Condition": {"StringEquals": {"a": "1", "b": "2"}}},
    ),
]


@pytest.mark.parametrize(("is_allowed", "need", "more"), CASES)
def test_a_statement_covers_what_all_of_it_covers(is_allowed: bool, need: Need, more: dict[str, Any]) -> None:
    assert allows(need, **more) is is_allowed


@pytest.mark.parametrize(
    "more",
    [
        {"Effect": "Deny"},
        {"NotAction": ["ecs:DeleteCluster"]},
        {"Condition": {"ForAnyValue:StringEquals": {"a": "b"}}},
        {"Principal": "*"},
    ],
)
def test_what_it_can_not_judge_is_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    (tmp_path / "aws-a.json").write_text(json.dumps({"Statement": [statement(**more)]}))
    with pytest.raises(Refused, match="this stage can't judge"):
        read(tmp_path)


ROLE = {
    "Actions": ["Microsoft.Network/*/read", "Microsoft.Network/natGateways/write"],
    "NotActions": ["Microsoft.Network/virtualNetworks/read"],
    "AssignableScopes": ["/subscriptions/1"],
}


@pytest.mark.parametrize(
    ("is_allowed", "action", "scope"),
    [
        (True, "microsoft.network/NATGateways/write", "/subscriptions/1/resourceGroups/a"),
        (True, "Microsoft.Network/natGateways/read", "/SUBSCRIPTIONS/1"),
        (False, "Microsoft.Network/natGateways/delete", "/subscriptions/1"),
        (False, "Microsoft.Network/virtualNetworks/read", "/subscriptions/1"),
        (False, "Microsoft.Network/natGateways/write", "/subscriptions/12/resourceGroups/a"),
    ],
)
def test_a_role_covers_its_actions_in_its_scope(is_allowed: bool, action: str, scope: str) -> None:
    assert AzureRole(ROLE).allows(Need(action, scope)) is is_allowed


def test_a_data_action_is_none_of_the_actions_and_several_roles_add_up() -> None:
    reading = Need("Microsoft.KeyVault/vaults/secrets/getSecret/action", "/subscriptions/1/secrets/hf", is_data=True)
    everything = {"Actions": ["*"], "AssignableScopes": ["/subscriptions/1"]}
    reader = {"Actions": [], "DataActions": [reading.action], "AssignableScopes": ["/subscriptions/1/secrets/hf"]}
    assert not AzureRole(everything).allows(reading)
    assert AzureRole(everything, reader).allows(Need.of(reading.as_json()))
    assert not AzureRole(everything, reader).allows(replace(reading, resource="/subscriptions/1/secrets/other"))


def test_permissions_hold_from_when_they_are_put_there_until_they_are_taken_away(tmp_path: Path) -> None:
    permits = Permits(tmp_path)
    assert permits.now().aws is None
    (tmp_path / "permissions").mkdir()
    (tmp_path / "permissions/aws-a.json").write_text(json.dumps({"Statement": [statement()]}))
    held = permits.now()
    assert held.aws
    assert held.aws.allows(Need("ecs:CreateCluster", CLUSTER))
    assert held.azure
    assert not held.azure.allows(Need("Microsoft.Network/natGateways/read", "/subscriptions/1"))
    (tmp_path / "permissions/aws-a.json").unlink()
    (tmp_path / "permissions").rmdir()
    assert permits.now().aws is None


def test_a_folder_without_policies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no policies; write them with: arriero export iam"):
        read(tmp_path)
    (tmp_path / "aws-a.json").write_text("{")
    with pytest.raises(Refused, match="is not what `arriero export iam` writes"):
        read(tmp_path)
