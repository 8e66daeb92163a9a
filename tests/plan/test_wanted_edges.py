"""What a site whose load balancer leads to edges should hold, and how it comes to that and away from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from test_wanted_alb import as_wished, nothing, of, planned, said, spec

from arriero.control import keys as keys_file
from arriero.control.settings import GatewaySettings
from arriero.gateway import config
from arriero.gateway.edge import main as edge
from arriero.plan.wanted import aws, aws_edges
from arriero.spec.model import Spec

KEYS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
BASE, EDGE, ZONE = "llm-aws-east", "llm-aws-east-edge", "llm-aws-east.arriero.internal"


def wish(count: int = 2, **changes: Any) -> Spec:
    return spec({"edges": {"count": count, "keys": [KEYS]}}, **changes)


def settings(of_spec: Spec) -> Mapping[str, Any]:
    document = aws_edges.document(of_spec.site("aws-east"), BASE, {})
    [container] = document["containerDefinitions"]
    [given] = container["environment"]
    assert given["name"] == "ARRIERO_SETTINGS"
    found: Mapping[str, Any] = json.loads(given["value"])
    return found


def test_only_the_load_balancer_reaches_edges_and_only_edges_reach_targets() -> None:
    plan = planned(wish(), nothing())
    assert of(plan, "aws.security_group", BASE)["ingress"] == (f"tcp 11434 group:{EDGE}",)
    assert of(plan, "aws.security_group", EDGE) == {
        "ingress": (f"tcp 11434 group:{BASE}-alb",),
        "egress": ("tcp 11434 10.64.0.0/20", "tcp 11434 10.64.16.0/20", "tcp 443 0.0.0.0/0"),
    }
    steps = [step.name for step in plan.steps]
    assert steps == ["identity", "network", "firewall", "ingress", "names", "logs", "cluster", "service", "edges"]
    assert plan.notes == ("the load balancer leads to 2 edges, which ask for keys: 10.64.0.0/16 may reach it",)


def test_targets_have_a_name_and_no_load_balancer_and_edges_have_it() -> None:
    plan = planned(wish(3), nothing())
    targets, edges = of(plan, "aws.service", BASE), of(plan, aws_edges.SERVICE, EDGE)
    assert (targets["load_balancers"], targets["registries"]) == ((), (f"targets.{ZONE}",))
    assert edges["load_balancers"] == ({"group": BASE, "container": "edge", "port": 11434},)
    assert (edges["desired_count"], edges["network"]["security_groups"]) == (3, (EDGE,))
    assert of(plan, "aws.target_group", BASE)["health"]["path"] == "/readyz"
    assert of(plan, "aws.vpc", BASE)["dns_names"] is True


def test_a_site_without_edges_wishes_for_nothing_of_it() -> None:
    for plain in (spec(), spec({})):
        plan = planned(plain, nothing())
        assert not {r.kind for r in plan.wanted} & {aws_edges.NAMES, aws_edges.DEFINITION, aws_edges.SERVICE}
        assert "registries" not in of(plan, "aws.service", BASE)
        assert "dns_names" not in of(plan, "aws.vpc", BASE)


def test_keys_are_a_reference_that_ecs_alone_may_read() -> None:
    site = wish().site("aws-east")
    [container] = aws_edges.document(site, BASE, {})["containerDefinitions"]
    assert container["secrets"] == [{"name": "ARRIERO_KEYS", "valueFrom": KEYS}]
    [statement] = aws.execution_policies(site)[aws.SECRETS_POLICY]["Statement"]  # type: ignore[index,call-overload]
    assert statement["Resource"] == (KEYS,)
    assert "taskRoleArn" not in aws_edges.document(site, BASE, {})


def test_what_the_spec_says_of_gateways_is_what_an_edge_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = {
        "hosts": ["llm.example.org"],
        "origins": ["https://chat.example.com"],
        "limits": {"queue": 7, "body": "1MiB"},
        "prices": {"in_per_million": 1, "out_per_million": 2},
        "metrics_from": ["10.64.0.0/16"],
        "port": 8080,
        "workers": 4,
    }
    told = settings(wish(gateway=gateway, deploy={"stop_within": "20s"}))
    keys_file.write(tmp_path / "made.json", ())
    edge.write(tmp_path, {"ARRIERO_SETTINGS": json.dumps(told), "ARRIERO_KEYS": (tmp_path / "made.json").read_text()})
    monkeypatch.chdir(tmp_path)
    loaded = config.load(Path(edge.FILE))
    plain = GatewaySettings("llm", "0.0.0.0:11434", edge.CONTROL, edge.TOKEN_FILE)
    changed = {field.name for field in fields(plain) if getattr(loaded, field.name) != getattr(plain, field.name)}
    assert changed == {*told, "keys_file"} - {"service", "listen"}
    assert told["hosts"] == ["llm.example.com", "llm.example.org"]
    assert told["limits"]["queue_length"] == 7
    assert told["limits"]["body_bytes"] == 2**20
    assert told["limits"]["drain_seconds"] == 19.0
    assert (told["price_in_per_million"], told["price_out_per_million"]) == (1.0, 2.0)
    assert told["targets_dns"] == f"targets.{ZONE}:11434"
    assert told["trusted_proxies"] == ["10.64.0.0/16"]
    assert "workers" not in told


def test_a_site_as_wished_needs_nothing_and_a_release_of_its_own_changes_no_edge() -> None:
    assert said(planned(wish(), as_wished(wish()))) == []
    warmer = wish(ollama={"num_parallel": 7})
    assert not [line for line in said(planned(warmer, as_wished(wish()))) if EDGE in line]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (wish(4), f"update aws.edges {EDGE}: desired_count: is 2, should be 4"),
        (wish(gateway={"limits": {"queue": 7}}), f"replace aws.edge_definition {EDGE}: "),
    ],
)
def test_a_change_of_the_gateways_settings_is_of_the_edges_alone(changed: Spec, expected: str) -> None:
    plan = planned(changed, as_wished(wish()))
    assert [step.name for step in plan.steps] == ["edges"]
    assert said(plan)[0].startswith(expected)
    assert plan.release == 1


@pytest.mark.parametrize(
    ("thing", "changed", "expected"),
    [
        (f"aws.edges {EDGE}", {"desired_count": 1}, f"update aws.edges {EDGE}: desired_count: is 1, should be 2"),
        (f"aws.names {ZONE}", {"ttl_seconds": 300}, f"update aws.names {ZONE}: ttl_seconds: is 300, should be 10"),
        (f"aws.names {ZONE}", {"name": None}, f"update aws.names {ZONE}: name: is not set, should be targets"),
        (
            f"aws.security_group {BASE}",
            {"ingress": ("tcp 11434 group:llm-aws-east-alb", f"tcp 11434 group:{EDGE}")},
            f"update aws.security_group {BASE}: ingress: is [tcp 11434 group:{BASE}-alb, tcp 11434 group:{EDGE}], "
            f"should be [tcp 11434 group:{EDGE}]",
        ),
    ],
)
def test_what_was_changed_by_hand_is_named(thing: str, changed: Mapping[str, Any], expected: str) -> None:
    assert said(planned(wish(), as_wished(wish(), {thing: changed}))) == [expected]


def test_a_service_behind_a_load_balancer_gives_way_where_edges_come_and_where_they_go() -> None:
    coming = said(planned(wish(), as_wished(spec({}))))
    assert f"create aws.service {BASE}-r2: it is not there" in coming
    assert any(line.startswith(f"remove aws.service {BASE}:") for line in coming)
    going = said(planned(spec({}), as_wished(wish())))
    assert f"create aws.service {BASE}-r2: it is not there" in going
    removed = {line.partition(":")[0] for line in going if line.startswith("remove")}
    assert removed == {
        f"remove aws.service {BASE}",
        f"remove aws.edges {EDGE}",
        f"remove aws.edge_definition {EDGE}",
        f"remove aws.names {ZONE}",
        f"remove aws.security_group {EDGE}",
    }
