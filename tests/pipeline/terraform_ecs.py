"""Reads what a module says of ECS, and of its logs, in the plan's words, as `terraform_module.py` reads the rest."""

from __future__ import annotations

import json

from terraform_blocks import Module, Read, Values, done, many
from terraform_files import volume
from terraform_ingress import attachment, registry

from arriero.plan.wanted import aws_task


def aws_service(module: Module) -> Read:
    for _, group in module.of("aws_cloudwatch_log_group"):
        days = {"retention_days": group.pop("retention_in_days")}
        yield "aws.log_group", group.pop("name"), days, group.pop("tags")
        done(group)
    for _, cluster in module.of("aws_ecs_cluster"):
        settings = {each.pop("name"): each.pop("value") for each in many(cluster, "setting")}
        insights = {"container_insights": settings.pop("containerInsights")} if settings else {}
        assert settings == {}
        yield "aws.cluster", cluster.pop("name"), insights, cluster.pop("tags")
        done(cluster)
    for _, one in module.of("aws_ecs_cluster_capacity_providers"):
        properties = {
            "capacity_providers": one.pop("capacity_providers"),
            "default_strategy": _shares(many(one, "default_capacity_provider_strategy")),
        }
        yield "aws.cluster", one.pop("cluster_name"), properties, {}
        done(one)
    families: dict[str, str] = {}
    for address, definition in module.of("aws_ecs_task_definition"):
        families[address] = definition["family"]
        kind = "aws.edge_definition" if "taskRoleArn" not in (task := _task(definition)) else "aws.task_definition"
        yield kind, families[address], task, {}
        done(definition)
    for _, service in module.of("aws_ecs_service"):
        is_edge = families[service.pop("task_definition")].endswith("-edge")
        yield (
            "aws.edges" if is_edge else "aws.service",
            service.pop("name"),
            _service(service, module),
            service.pop("tags"),
        )
        done(service)


def _shares(blocks: list[Values]) -> Values:
    return {block.pop("capacity_provider"): block for block in blocks}


def _task(values: Values) -> Values:
    """The document that ECS would be given, in the plan's normal form."""
    [runtime] = many(values, "runtime_platform")
    storage = many(values, "ephemeral_storage") or [{"size_in_gib": 20}]
    places = [
        {"type": each["type"], "expression": each["expression"]} for each in many(values, "placement_constraints")
    ]
    document = {
        "family": values.pop("family"),
        "cpu": values.pop("cpu"),
        "memory": values.pop("memory"),
        "networkMode": values.pop("network_mode"),
        "requiresCompatibilities": values.pop("requires_compatibilities"),
        "executionRoleArn": values.pop("execution_role_arn"),
        **({"taskRoleArn": values.pop("task_role_arn")} if "task_role_arn" in values else {}),
        "runtimePlatform": {
            "operatingSystemFamily": runtime["operating_system_family"],
            "cpuArchitecture": runtime["cpu_architecture"],
        },
        "ephemeralStorage": {"sizeInGiB": storage[0]["size_in_gib"]},
        "placementConstraints": places,
        "volumes": [volume(each) for each in many(values, "volume")],
        "containerDefinitions": json.loads(values.pop("container_definitions")),
    }
    return dict(aws_task.normal_form(document))


def _service(values: Values, module: Module) -> Values:
    [breaker], [network] = many(values, "deployment_circuit_breaker"), many(values, "network_configuration")
    assert values.pop("cluster").startswith("aws_ecs_cluster.")
    assert values.pop("propagate_tags") in ("SERVICE", "NONE")
    assert values.pop("depends_on")
    return {
        "desired_count": values.pop("desired_count"),
        "capacity_providers": _shares(many(values, "capacity_provider_strategy")),
        "deployment": {
            "minimum_healthy_percent": values.pop("deployment_minimum_healthy_percent"),
            "maximum_percent": values.pop("deployment_maximum_percent"),
            "breaker": breaker["enable"],
            "rollback": breaker["rollback"],
        },
        "network": {
            "subnets": network["subnets"],
            "security_groups": network["security_groups"],
            "public_ip": network["assign_public_ip"],
        },
        "load_balancers": [attachment(each) for each in many(values, "load_balancer")],
        "grace_seconds": values.pop("health_check_grace_period_seconds", 0),
        **_registries(values, module),
        "tags": dict(values["tags"]),
    }


def _registries(values: Values, module: Module) -> Values:
    names = [registry(module, each) for each in many(values, "service_registries")]
    return {"registries": names} if names else {}
