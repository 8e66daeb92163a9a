"""A site whose load balancer leads to edges, made by the role `aws_site` on the emulated AWS: asked with and without
keys, killed, changed, removed.

One site lives through all tests of this file, in their order.
"""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest
from aws_site import BASE, AwsSite, until
from edges_site import Keyed, asked, processes

from arriero.pipeline.terraform import module as terraform
from arriero.plan.model import Facts
from arriero.policy import reach

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]


@pytest.fixture(scope="module")
def keyed(site: AwsSite, tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    return Keyed(site, tmp_path_factory.mktemp("keys"))


def test_a_site_is_made_with_its_edges(site: AwsSite, keyed: Keyed) -> None:
    made = site.up(keyed.wish())
    assert made.code == 0, made.output
    assert [f"{c.kind} {c.name}: {c.reason}" for c in site.plan(keyed.wish()).changes] == []
    assert len(processes(site, "edge")) == 2
    assert len(site.read().targets) == 2


def test_nobody_is_answered_without_a_key(site: AwsSite, keyed: Keyed) -> None:
    assert asked(site).status == 401
    assert asked(site, "ak_0123456789ab_" + "x" * 43).status == 401
    answer = asked(site, keyed.key)
    assert (answer.status, json.loads(answer.read())["done"]) == (200, True)
    assert asked(site, keyed.key, path="/metrics").status in (403, 404, 405)


def test_the_only_way_in_leads_through_edges(site: AwsSite) -> None:
    said = [str(way) for way in reach.ways(site.read())]
    [https] = [line for line in said if "may reach port 443" in line]
    assert https.endswith(
        f"to port 11434 of the edges, which ask for keys (tcp 11434 group:{BASE}-alb), "
        f"to port 11434 of the targets (tcp 11434 group:{BASE}-edge)"
    )
    assert all("load balancer" in line for line in said)


def test_terraform_would_take_over_all_that_stands(site: AwsSite, keyed: Keyed) -> None:
    wish, found = keyed.wish(), site.read()
    files = terraform.files(wish, Facts("llm", {"aws-east": found}))
    lines = files["aws.tf"].splitlines()
    made = [line.split('"')[1::2] for line in lines if line.startswith("resource ")]
    imported = re.findall(r"  to = ([\w.]+)(?:\[.*\])?\n  id = (.*)", files["imports.tf"])
    assert {".".join(each) for each in made} == {address for address, _ in imported}
    assert {len(identity) > 2 for _, identity in imported} == {True}
    cloud_map, ids = site.client("servicediscovery"), dict(imported)
    [zone], [name] = cloud_map.list_namespaces()["Namespaces"], cloud_map.list_services()["Services"]
    [vpc] = [each.id for each in found.resources if each.kind == "aws.vpc"]
    assert ids["aws_service_discovery_private_dns_namespace.aws_east"] == f'"{zone["Id"]}:{vpc}"'
    assert ids["aws_service_discovery_service.aws_east"] == f'"{name["Id"]}"'
    assert ids["aws_ecs_service.aws_east_edge"] == f'"{BASE}/{BASE}-edge"'
    service = cloud_map.get_service(Id=name["Id"])["Service"]
    assert service["HealthCheckCustomConfig"] == {"FailureThreshold": 1}
    assert service["DnsConfig"]["RoutingPolicy"] == "MULTIVALUE"


def test_keys_are_in_no_definition_log_or_variable(site: AwsSite, keyed: Keyed) -> None:
    hashes = re.findall(r'"([0-9a-f]{32,})"', keyed.hashes)
    secrets = [keyed.key, *hashes]
    ecs = site.client("ecs")
    told = [
        json.dumps(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"], default=str)
        for arn in ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
    ]
    told.append(json.dumps(site.variables(keyed.wish()), default=str))
    told += [path.read_text(errors="replace") for path in site.folder.rglob("*.log")]
    assert hashes
    assert not [text for text in told for secret in secrets if secret in text]


def test_a_stream_comes_whole_while_its_edge_is_replaced_for_a_change_of_settings(site: AwsSite, keyed: Keyed) -> None:
    before = set(processes(site, "edge"))
    answer = asked(site, keyed.key, stream=True, options={"num_predict": 600})
    answer.readline()
    changed = keyed.wish(gateway={"limits": {"queue": 7}})
    assert {step.name for step in site.plan(changed).steps} == {"edges"}
    rolled = site.up(changed)
    assert rolled.code == 0, rolled.output
    lines = answer.read().splitlines()
    assert json.loads(lines[-1])["done"] is True
    until(lambda: not before & set(processes(site, "edge")))
    assert site.plan(changed).changes == ()
    assert asked(site, keyed.key).status == 200


def test_a_killed_target_is_hidden_by_the_edges(site: AwsSite, keyed: Keyed) -> None:
    [first, *_] = processes(site, "sidecar")
    os.kill(first, signal.SIGKILL)
    assert [asked(site, keyed.key).status for _ in range(20)] == [200] * 20
    until(lambda: len(processes(site, "sidecar")) == 2 and first not in processes(site, "sidecar"), 30)


def test_a_killed_edge_is_out_of_use_in_two_seconds_and_another_one_comes(site: AwsSite, keyed: Keyed) -> None:
    [first, *_] = processes(site, "edge")
    os.kill(first, signal.SIGKILL)
    elb = site.client("elbv2")
    group = elb.describe_target_groups(Names=[BASE])["TargetGroups"][0]["TargetGroupArn"]
    gone = processes(site, "edge")
    until(lambda: len(registered(elb, group) - set(gone.values())) == 0, 2)
    assert [asked(site, keyed.key).status for _ in range(20)] == [200] * 20
    until(lambda: len(processes(site, "edge")) == 2 and len(registered(elb, group)) == 2, 30)


def registered(elb: Any, group: str) -> set[str]:
    described = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {each["Target"]["Id"] for each in described if each["TargetHealth"]["State"] != "draining"}


def test_a_target_that_comes_is_found_and_one_more_edge_costs_no_target(site: AwsSite, keyed: Keyed) -> None:
    targets = set(processes(site, "ollama"))
    more = keyed.wish(3, gateway={"limits": {"queue": 7}})
    done = site.up(more)
    assert done.code == 0, done.output
    assert len(processes(site, "edge")) == 3
    assert set(processes(site, "ollama")) == targets
    assert site.plan(more).changes == ()


def test_a_removal_leaves_nothing(site: AwsSite) -> None:
    removed = site.down()
    assert removed.code == 0, removed.output
    assert site.read().resources == ()
    cloud_map = site.client("servicediscovery")
    assert cloud_map.list_namespaces()["Namespaces"] == cloud_map.list_services()["Services"] == []
    assert site.client("route53").list_hosted_zones()["HostedZones"] == []
    until(lambda: not site.aws.containers())
