"""The exported module holds every resource and property of the plan and none besides, and imports what stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from terraform_blocks import Module
from terraform_module import as_plan

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import module
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import aws, aws_edges, aws_network, azure, azure_apps, azure_edges, azure_files
from arriero.spec.model import Spec

CONVERGED = Path(__file__).parents[1] / "cases/plan/aws/converged.json"
SITES = {
    "aws-east": {"cloud": "aws", "region": "us-east-1"},
    "aws-china": {"cloud": "aws", "region": "cn-north-1", "role": "standby"},
    "azure-east": {"cloud": "azure", "region": "eastus"},
    "office": {"cloud": "local", "hosts": ["127.0.0.1"]},
}
# What the plan compares and no file can set, with the reason.
STATES = {
    "aws.service": {"status": "a service that is written down is active", "rollout": "how its last deployment went"},
    "aws.task_definition": {"status": "a definition that is written down is active"},
    "aws.nat_gateway": {"state": "whether it works"},
    "aws.vpc_endpoint": {"state": "whether it works"},
    "azure.private_endpoint": {"connection": "whether who is led to approves of it"},
}
GPUS = {"gpu": {"type": "T4", "count": 1}, "size": {"cpu": "4 vCPU", "memory": "14GiB"}}
BIG = {"name": "llama2:70b", "from": "storage"}
ALB = {"hosts": ["llm.example.com"], "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"]}
# Everything that changes what the plan holds; each is exported and read back.
SPECS: Mapping[str, Mapping[str, Any]] = {
    "as it comes": {},
    "without a sidecar": {"sidecar": False},
    "a probe through the sidecar": {"deploy": {"hung_after": "30s"}},
    "a probe without a sidecar": {"sidecar": False, "deploy": {"hung_after": "30s"}},
    "a workspace keeps the lines": {"logs": {"to_workspace": True, "retention_days": 90}},
    "others may reach it": {"network": {"cidr": "10.9.0.0/20", "allow_from": ["198.51.100.0/24", "203.0.113.7/32"]}},
    "private, through a NAT gateway": {"network": {"mode": "private", "allow_from": ["10.8.0.0/24"]}},
    "private, through endpoints": {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1",
        "network": {"mode": "private", "way_out": "endpoints"},
        "sites": {"aws-east": SITES["aws-east"]},
    },
    "private, through endpoints, behind a load balancer that the internet reaches": {
        "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1",
        "network": {"mode": "private", "way_out": "endpoints"},
        "sites": {"aws-east": SITES["aws-east"]},
        "ingress": {"alb": {**ALB, "scheme": "internet-facing", "allow_from": ["203.0.113.0/24"]}},
    },
    "a registry with a port": {"image": "registry.example.com:5000/acme/llm:1"},
    "more storage than is included": {"size": {"storage": "100GiB"}, "sites": {"aws-east": SITES["aws-east"]}},
    "values that Terraform would read": {"environment": {"A": 'say "${b}" and %{c}\\n', "B": "ünï → 1"}},
    "the cloud scales, and sleeps by its own clock": {
        "scale": {"by": "cloud", "track": {"cpu": "60%", "memory": "80%", "requests": 3}, "cooldown": {"in": "10m"}},
        "off": "22:00-06:00 Europe/Berlin on weekdays, weekends",
        "sites": {"aws-east": SITES["aws-east"]},
    },
    "behind a load balancer": {"sites": {"aws-east": SITES["aws-east"]}, "ingress": {"alb": ALB}},
    "behind one that the internet reaches": {
        "sites": {"aws-east": SITES["aws-east"]},
        "network": {"allow_from": ["198.51.100.0/24"]},
        "ingress": {
            "alb": {
                **ALB,
                "scheme": "internet-facing",
                "allow_from": ["203.0.113.0/24"],
                "redirect": False,
                "web_acls": ["arn:aws:wafv2:us-east-1:123456789012:regional/webacl/llm/0a1b"],
            }
        },
    },
    "logs for a year, more targets": {"logs": {"retention_days": 365}, "scale": {"min": 3}},
    "on machines with GPUs": {"sites": {"aws-east": {**SITES["aws-east"], **GPUS}}, "scale": {"min": 2, "max": 5}},
    "on private machines with GPUs, which the cloud scales": {
        "sites": {"aws-east": {**SITES["aws-east"], **GPUS}},
        "network": {"mode": "private"},
        "scale": {"by": "cloud", "track": {"requests": 3}, "max": 3},
    },
    "models from storage": {"models": ["llama2", BIG], "sites": {"aws-east": SITES["aws-east"]}},
    "models from storage at a private site, whose names are too long for a tag": {
        "models": ["llama2", *({"name": f"llama2:{'q' * 60}{n}", "from": "storage"} for n in range(5))],
        "sites": {"aws-east": SITES["aws-east"]},
        "network": {"mode": "private"},
    },
    "each task is measured": {"metrics": {"container_insights": "enhanced"}},
    "models from storage at Azure, through a private endpoint": {
        "models": ["llama2", BIG],
        "network": {"mode": "private"},
        "sites": {"azure-east": SITES["azure-east"]},
    },
    "models from storage at Azure, which the internet reaches": {
        "models": [BIG],
        "logs": {"to_workspace": True},
        "deploy": {"hung_after": "30s"},
        "sites": {"azure-east": SITES["azure-east"]},
    },
    "spares in a standby pool": {
        "deploy": {"hung_after": "30s"},
        "sites": {"azure-east": {**SITES["azure-east"], "scale": {"spares": 2}}},
    },
}


def spec(changes: Mapping[str, Any] | None = None) -> Spec:
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": SITES}
    return Spec.model_validate({**whole, **(changes or {})})


def nothing(wish: Spec, account: str = "") -> Facts:
    """Nothing but the models that Terraform puts nowhere."""
    found = {name: SiteFacts(name, site.cloud, site.region, account) for name, site in wish.sites.items()}
    for name, site in found.items():
        if site.cloud == "azure":
            stored = azure_files.wanted(wish.site(name), site, f"{wish.name}-{name}")
            there = tuple(each for each in stored if each.kind == azure_files.MODELS_KIND)
            found[name] = replace(site, resources=there)
    return Facts(wish.name, found)


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def standing(wish: Spec) -> Facts:
    """AWS as it was once read, with what comes to it by the wish; Azure exactly as wished."""
    data = json.loads(CONVERGED.read_text())
    east = SiteFacts(
        "aws-east",
        "aws",
        "us-east-1",
        data["account"],
        tuple(Resource(**frozen(r)) for r in data["resources"]),
        count=2,
    )
    site = wish.site("azure-east")
    digest = place.definition_hash(azure.definition(site))
    there = tuple(
        replace(each, id=f"/subscriptions/1/{each.kind}/{each.name}")
        for each in azure.wanted(site, nothing(wish).sites["azure-east"], 1, 2, digest)
    )
    sites = {**nothing(wish).sites, "aws-east": east}
    sites["azure-east"] = replace(sites["azure-east"], resources=there, count=2, account="1")
    return Facts(wish.name, sites)


def written(wish: Spec, facts: Facts, folder: Path) -> Module:
    for name, text in module.files(wish, facts).items():
        (folder / name).write_text(text)
    return Module(folder)


def planned(wish: Spec, facts: Facts) -> dict[tuple[str, str], Any]:
    plan = place.plan(wish, facts)
    wanted = [resource for site in plan.sites if site.cloud != "local" for resource in site.wanted]
    return {(r.kind, r.name): unset(r.kind, json.loads(json.dumps(r.properties))) for r in wanted}


def unset(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in STATES.get(kind, {})}


def named(key: tuple[str, str], properties: dict[str, Any], wish: Spec) -> dict[str, Any]:
    """References in the plan's words: Terraform's labels are the sites' names."""
    labels = {name.replace("-", "_"): f"{wish.name}-{name}" for name in wish.sites}
    kind, name = key
    plain = dict(properties)
    if kind == "aws.task_definition":
        plain.pop("status")
        for field, end in (("executionRoleArn", "exec"), ("taskRoleArn", "task")):
            site = next(s for s in wish.sites if name == f"{wish.name}-{s}")
            assert plain[field] == f"aws_iam_role.{site.replace('-', '_')}_{end}"
            plain[field] = f"/arriero/{wish.name}/{wish.sites[site].region}/{name}-{end}"
    if kind == "aws.service":
        ranges = aws_network.subnet_ranges(wish.site(name.removeprefix(f"{wish.name}-")).network.cidr)
        numbered = {str(n): f"{name} {cidr}" for n, cidr in enumerate(ranges, 1)}
        network = plain["network"]
        network["subnets"] = [numbered[each.rpartition("_")[2]] for each in network["subnets"]]
        network["security_groups"] = [labels[each.partition(".")[2]] for each in network["security_groups"]]
        for each in plain["load_balancers"]:
            each["group"] = labels[each["group"].partition(".")[2]]
    if kind == "aws.launch_template":
        plain["security_groups"] = [label_named(each.partition(".")[2], labels) for each in plain["security_groups"]]
    if kind in ("aws.autoscaling_group", "aws.file_system"):
        cidr = wish.site(name.removeprefix(f"{wish.name}-")).network.cidr
        numbered = {str(n): f"{name} {each}" for n, each in enumerate(aws_network.subnet_ranges(cidr), 1)}
        plain["subnets"] = [numbered[each.rpartition("_")[2]] for each in plain["subnets"]]
    if kind == "aws.security_group":
        ours = {label.replace("-", "_"): of for label, of in labels.items()}
        plain = {way: sorted(peer_named(line, ours, wish) for line in lines) for way, lines in plain.items()}
    if kind == "aws.vpc_endpoint":
        for tie in {"security_groups", "route_tables"} & plain.keys():
            plain[tie] = [label_named(each.partition(".")[2], labels) for each in plain[tie]]
    if kind == "aws.load_balancer":
        cidr = wish.site(name.removeprefix(f"{wish.name}-")).network.cidr
        ranges = (*aws_network.subnet_ranges(cidr), *aws_network.edge_ranges(cidr))
        numbered = {str(n): f"{name} {each}" for n, each in enumerate(ranges, 1)}
        plain["subnets"] = [numbered[each.rpartition("_")[2]] for each in plain["subnets"]]
        plain["security_groups"] = [f"{name}-alb"]
        for each in plain["listeners"].values():
            what, _, group = each["action"].partition("aws_lb_target_group.")
            each["action"] = f"{what}{labels[group]}" if group else what
    if kind == "azure.nat_gateway":
        plain["public_ips"] = [labels[each] for each in plain["public_ips"]]
    if kind == "azure.virtual_network":
        plain["subnet"].update({tie: labels[plain["subnet"][tie]] for tie in ("security_group", "nat_gateway")})
    return json.loads(json.dumps(plain))


def label_named(label: str, labels: Mapping[str, str]) -> str:
    """`aws_east_gateway` -> `llm-aws-east-gateway`."""
    site = max((each for each in labels if label.startswith(each)), key=len)
    return labels[site] + label.removeprefix(site).replace("_", "-")


def peer_named(line: str, labels: Mapping[str, str], wish: Spec) -> str:
    """A rule whose peer is another resource, in the plan's words; what only AWS can know, the id of a list, is null."""
    rule, _, peer = line.rpartition(" ")
    kind, _, label = peer.partition(".")
    if kind == "aws_security_group":
        return f"{rule} group:{label_named(label, labels)}"
    if peer == "None":
        return f"{rule} com.amazonaws.{wish.sites['aws-east'].region}.s3"
    return line


@pytest.mark.parametrize("name", SPECS)
def test_every_resource_and_property_of_the_plan_is_there_and_none_besides(name: str, tmp_path: Path) -> None:
    wish = spec(SPECS[name])
    read = written(wish, nothing(wish), tmp_path)
    found, _ = as_plan(read)
    assert read.resources == {}
    assert {key: named(key, properties, wish) for key, properties in found.items()} == planned(wish, nothing(wish))


def test_the_list_of_s3s_ranges_is_the_endpoints_own() -> None:
    wish = spec(SPECS["private, through endpoints"])
    text = module.files(wish, nothing(wish))["aws.tf"]
    assert "prefix_list_ids = [aws_vpc_endpoint.aws_east_s3.prefix_list_id]" in text
    assert "depends_on" not in text.partition('resource "aws_ecs_service"')[0]


def test_every_kind_that_a_plan_can_hold_can_be_written() -> None:
    """But for what would put a secret into it, and edges and container apps, with which no module is written."""
    edges = {aws_edges.NAMES, aws_edges.DEFINITION, aws_edges.SERVICE}
    assert set(module.MAKERS["aws"]) == set(aws.KINDS) - edges
    unsaid = {"azure.action_group", "azure.metric_alert"}  # a webhook's key has no place in a module
    unsaid |= {azure_apps.ENVIRONMENT_KIND, azure_apps.APP_KIND}  # refused by name
    unsaid |= {*azure_edges.KINDS, *azure_edges.LATER_KINDS}
    assert set(module.MAKERS["azure"]) == set(azure.KINDS) - unsaid


def test_what_terraform_can_not_say_is_refused_by_name() -> None:
    wish = spec({"sites": {"aws-east": SITES["aws-east"]}})
    makers = {kind: maker for kind, maker in module.MAKERS["aws"].items() if kind != "aws.log_group"}
    site = module.Site(wish.site("aws-east"), place.plan(wish, nothing(wish)).sites[0], nothing(wish).sites["aws-east"])
    with pytest.raises(Refused, match=r"sites\.aws-east: the plan holds log group, which can't be exported"):
        module.pieces(site, makers)


def test_secrets_that_would_stand_in_terraforms_state_are_refused() -> None:
    site = {**SITES["azure-east"], "registry_login": "https://llm-vault.vault.azure.net/secrets/registry"}
    wish = spec({"sites": {"azure-east": site}})
    with pytest.raises(Refused, match=r"sites\.azure-east\.registry_login: Terraform would read azure-east's secrets"):
        module.files(wish, nothing(wish))


def test_container_apps_are_refused() -> None:
    wish = spec({"sites": {"azure-east": {**SITES["azure-east"], "gpu": "T4"}}})
    with pytest.raises(Refused, match=r"sites\.azure-east\.gpu: this export can't say container apps"):
        module.files(wish, nothing(wish))


def test_edges_are_refused() -> None:
    keys = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
    alb = {"hosts": ["llm.example.com"], "certificates": [certificate], "edges": {"keys": [keys]}}
    wish = spec({"sites": {"aws-east": SITES["aws-east"]}, "ingress": {"alb": alb}})
    with pytest.raises(Refused, match=r"ingress\.alb\.edges: this export can't say edges, nor the names by which they"):
        module.files(wish, nothing(wish))


def test_edges_at_azure_are_refused() -> None:
    of_azure = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/llm/providers"
    identity = f"{of_azure}/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
    edges = {"keys": "https://llm-vault.vault.azure.net/secrets/llm-keys", "identity": identity}
    wish = spec({"ingress": {"edges": edges}})
    with pytest.raises(Refused, match=r"ingress\.edges: this export can't say edges at Azure, nor the names by which"):
        module.files(wish, nothing(wish))


def test_what_stands_is_imported_by_the_ids_that_were_read(tmp_path: Path) -> None:
    wish = spec({"size": {"storage": "20GiB"}})
    read = written(wish, standing(wish), tmp_path)
    east = {address: identity for address, identity in read.imports.items() if "_east" in address}
    assert set(east) == {address for address in read.resources if "_east" in address}
    assert not [address for address in read.imports if "china" in address]
    assert read.imports["aws_vpc.aws_east"] == "vpc-cd2b531ccc23e95c0"
    assert read.imports["aws_route_table_association.aws_east_2"] == "subnet-16617597f633ec7df/rtb-a2c3b019009b7e84b"
    assert (
        read.imports["aws_iam_role_policy.aws_east_task_keep_from_scale_in"] == "llm-aws-east-task:keep-from-scale-in"
    )
    assert read.imports["aws_ecs_service.aws_east"] == "llm-aws-east/llm-aws-east"
    assert read.imports["azurerm_nat_gateway_public_ip_association.azure_east"] == (
        "/subscriptions/1/azure.nat_gateway/llm-azure-east|/subscriptions/1/azure.public_ip/llm-azure-east"
    )


def test_tags_are_those_that_the_site_was_made_with(tmp_path: Path) -> None:
    """The plan compares few of them; without them arriero would not find its own things any more."""
    wish = spec({"size": {"storage": "20GiB"}})
    _, tags = as_plan(written(wish, standing(wish), tmp_path))
    found = standing(wish).sites["aws-east"].resources
    assert {(r.kind, r.name): dict(r.tags) for r in found if r.kind != "aws.task_definition"} == {
        key: value for key, value in tags.items() if "aws-east" in key[1]
    }


def test_a_thing_that_is_missing_is_not_imported_and_neither_is_its_tie(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    kept = tuple(r for r in facts.sites["aws-east"].resources if r.name != "llm-aws-east 10.64.16.0/20")
    sites = {**facts.sites, "aws-east": replace(facts.sites["aws-east"], resources=kept)}
    read = written(wish, replace(facts, sites=sites), tmp_path)
    missing = {address for address in read.resources if "aws_east" in address} - set(read.imports)
    assert missing == {"aws_subnet.aws_east_2", "aws_route_table_association.aws_east_2"}


def test_a_site_out_of_reach_is_written_without_imports_and_that_is_said(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    lost = replace(facts.sites["aws-east"], problem=Problem("AWS gave no answer", "try again"), resources=())
    read = written(wish, replace(facts, sites={**facts.sites, "aws-east": lost}), tmp_path)
    assert "aws_vpc.aws_east" in read.resources
    assert not [address for address in read.imports if "aws_east" in address]
    said = (tmp_path / "imports.tf").read_text()
    assert "# aws-east could not be read: AWS gave no answer; try again\n# Nothing of it is imported." in said
    assert "| aws-east | 21 | nothing: it could not be read |" in (tmp_path / "README.md").read_text()


def test_a_group_that_others_made_is_never_destroyed_by_terraform(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    theirs = tuple(
        replace(r, details={"ours": False}) if r.kind == "azure.resource_group" else r
        for r in facts.sites["azure-east"].resources
    )
    site = replace(facts.sites["azure-east"], resources=theirs)
    written(wish, replace(facts, sites={**facts.sites, "azure-east": site}), tmp_path)
    assert "prevent_destroy = true" in (tmp_path / "azure.tf").read_text()


def test_the_account_that_was_read_is_the_only_one_allowed(tmp_path: Path) -> None:
    wish = spec()
    providers = {each.get("alias", "azure"): each for each in written(wish, standing(wish), tmp_path).providers}
    assert providers["aws_east"]["allowed_account_ids"] == ["123456789012"]
    assert "allowed_account_ids" not in providers["aws_china"]
    assert providers["azure"]["subscription_id"] == "1"


def test_where_nothing_could_be_read_nothing_is_said_to_be_missing(tmp_path: Path) -> None:
    """`terraform apply` would make everything twice."""
    wish = spec({"accounts": {"aws": "123456789012"}})
    facts = nothing(wish)
    lost = {name: replace(found, problem=Problem("no answer")) for name, found in facts.sites.items()}
    providers = written(wish, replace(facts, sites=lost), tmp_path).providers
    assert "Nothing stands yet" not in (tmp_path / "imports.tf").read_text()
    assert "ARM_SUBSCRIPTION_ID" in (tmp_path / "providers.tf").read_text()
    assert {tuple(each.get("allowed_account_ids", ())) for each in providers} == {("123456789012",), ()}


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
def test_terraform_itself_would_lay_it_out_the_same(tmp_path: Path) -> None:
    for name, changes in SPECS.items():
        (tmp_path / name).mkdir()
        written(spec(changes), nothing(spec(changes)), tmp_path / name)
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
