"""Terraform makes things in the roles' order, and removes them in that of `clear.yml`: by references or depends_on.

Terraform removes a thing before what it needs, so one figure says both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter

import pytest
from terraform_specs import SPECS, nothing, spec

from arriero.pipeline.terraform import module

RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
REFERENCE = re.compile(r"\b(?:aws|terraform)_\w+\.\w+")
ONE_SITE = [name for name, changes in SPECS.items() if list(changes.get("sites", ())) == ["aws-east"]]
# What only guards what others need, and what is made for a service that stands.
BESIDE = ("aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive")
AFTER = ("aws_appautoscaling_",)
SERVICE, EDGES = "aws_ecs_service.aws_east", "aws_ecs_service.aws_east_edge"
STORAGE = "models from storage"
MACHINES = "on machines with GPUs"
MANAGED = "on machines with GPUs that ECS keeps"
# Each goes before the one beside it: `roles/aws_site/tasks/clear.yml`.
REMOVED_BEFORE = [
    (SERVICE, "aws_ecs_cluster_capacity_providers.aws_east"),
    ("aws_ecs_cluster_capacity_providers.aws_east", "aws_ecs_capacity_provider.aws_east"),
    ("aws_ecs_capacity_provider.aws_east", "aws_autoscaling_group.aws_east"),
    ("aws_autoscaling_group.aws_east", "aws_launch_template.aws_east"),
    ("aws_autoscaling_group.aws_east", "aws_ecs_cluster.aws_east"),
    ("aws_launch_template.aws_east", "aws_security_group.aws_east_machines"),
    ("aws_launch_template.aws_east", "aws_iam_instance_profile.aws_east"),
    ("aws_iam_instance_profile.aws_east", "aws_iam_role.aws_east_machine"),
]
MANAGED_REMOVED_BEFORE = [
    (SERVICE, "aws_ecs_capacity_provider.aws_east"),
    ("aws_ecs_capacity_provider.aws_east", "aws_ecs_cluster.aws_east"),
    ("aws_ecs_capacity_provider.aws_east", "aws_security_group.aws_east_machines"),
    ("aws_ecs_capacity_provider.aws_east", "aws_subnet.aws_east_1"),
    ("aws_ecs_capacity_provider.aws_east", "aws_iam_role_policy.aws_east_infra_pass_machine_role"),
    ("aws_ecs_capacity_provider.aws_east", "aws_iam_role_policy_attachment.aws_east_infra"),
    ("aws_ecs_capacity_provider.aws_east", "aws_iam_instance_profile.aws_east"),
]
STORAGE_REMOVED_BEFORE = [
    (SERVICE, "aws_efs_mount_target.aws_east_1"),
    ("aws_efs_mount_target.aws_east_1", "aws_security_group.aws_east_files"),
    ("aws_efs_mount_target.aws_east_1", "aws_subnet.aws_east_1"),
    ("aws_ecs_task_definition.aws_east", "aws_efs_access_point.aws_east"),
]


@cache
def needs(name: str) -> Mapping[str, frozenset[str]]:
    """By address, all that Terraform makes before it."""
    wish = spec(SPECS[name])
    text = module.files(wish, nothing(wish))["aws.tf"]
    direct = {f"{kind}.{label}": set(REFERENCE.findall(body)) for kind, label, body in RESOURCE.findall(text)}
    found: dict[str, frozenset[str]] = {}
    for address in TopologicalSorter(direct).static_order():  # fails on a circle
        found[address] = frozenset(direct[address].union(*(found[each] for each in direct[address])))
    return found


@pytest.mark.parametrize("name", ONE_SITE)
def test_a_service_comes_after_all_that_its_tasks_need(name: str) -> None:
    """That is all there is: for edges, for targets behind these all but what leads clients to edges."""
    last = EDGES if EDGES in needs(name) else SERVICE
    before = needs(name)[last]
    left = {each for each in needs(name) if each not in before and not each.startswith((*BESIDE, *AFTER))}
    assert left == {last}


@pytest.mark.parametrize("name", [name for name in ONE_SITE if "edges" in name])
def test_edges_come_after_their_targets_which_wait_for_nothing_of_theirs_but_the_name(name: str) -> None:
    before = needs(name)[SERVICE]
    assert SERVICE in needs(name)[EDGES]
    assert "aws_service_discovery_service.aws_east" in before
    assert {each for each in needs(name).keys() - before if not each.startswith((*BESIDE, *AFTER))} == {
        SERVICE,
        EDGES,
        "aws_ecs_task_definition.aws_east_edge",
        "aws_lb.aws_east",
        "aws_lb_listener.aws_east_443",
        "aws_lb_listener.aws_east_80",
        "aws_lb_target_group.aws_east",
    }


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        *((MACHINES, *pair) for pair in REMOVED_BEFORE),
        *((MANAGED, *pair) for pair in MANAGED_REMOVED_BEFORE),
        *((STORAGE, *pair) for pair in STORAGE_REMOVED_BEFORE),
    ],
)
def test_what_hangs_on_another_thing_goes_before_it(name: str, first: str, second: str) -> None:
    assert second in needs(name)[first]


def test_how_many_machines_run_is_nothing_that_terraform_says() -> None:
    wish = spec(SPECS[MACHINES])
    [group] = [
        body
        for kind, _, body in RESOURCE.findall(module.files(wish, nothing(wish))["aws.tf"])
        if kind == "aws_autoscaling_group"
    ]
    assert re.findall(r"desired_capacity.*", group) == ["desired_capacity]"]
    assert "  lifecycle {\n    ignore_changes = [desired_capacity]\n  }\n" in group
