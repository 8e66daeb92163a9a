"""The permissions of a deployer: on this service's things only, each from a table with its source."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from arriero.catalog import permissions
from arriero.errors import Refused
from arriero.pipeline.iam import files as iam
from arriero.spec.logs import Logs
from arriero.spec.model import Spec

AWS, AZURE = "123456789012", "00000000-0000-0000-0000-000000000001"
EAST = {"cloud": "aws", "region": "us-east-1"}
BOTH = {"a": EAST, "b": {"cloud": "azure", "region": "eastus"}}


def spec(sites: dict[str, Any], **accounts: str) -> Spec:
    given = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites, "accounts": accounts}
    return Spec.model_validate(given)


def documents(sites: dict[str, Any] = BOTH) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in iam.files(spec(sites, aws=AWS, azure=AZURE), Path()).items()}


def statements() -> list[dict[str, Any]]:
    return [each for name, document in documents().items() if name.startswith("aws") for each in document["Statement"]]


def test_only_the_clouds_that_the_spec_uses_get_files() -> None:
    assert set(documents()) == {"aws-network.json", "aws-service.json", "aws-ledger.json", "azure-role.json"}
    assert set(documents({"a": EAST})) == {"aws-network.json", "aws-service.json", "aws-ledger.json"}
    assert set(documents({"b": BOTH["b"]})) == {"azure-role.json"}
    assert documents({"c": {"cloud": "local", "hosts": ["127.0.0.1"]}}) == {}


def test_a_workspace_is_written_read_and_asked_where_the_spec_has_one() -> None:
    keeping = spec(BOTH, aws=AWS, azure=AZURE).model_copy(update={"logs": Logs(to_workspace=True)})
    role = json.loads(iam.files(keeping, Path())["azure-role.json"])
    more = set(role["Actions"]) - set(documents()["azure-role.json"]["Actions"])
    logs = "Microsoft.ContainerInstance/containerGroups/containers/logs/read"
    assert {action.split("/")[0] for action in more - {logs}} == {"Microsoft.OperationalInsights"}
    assert logs in more
    assert more >= {f"Microsoft.OperationalInsights/workspaces/{each}" for each in ("write", "sharedKeys/action")}


def test_whatever_changes_anything_is_bound_to_the_service_and_the_account() -> None:
    for each in statements():
        changing = [a for a in each["Action"] if not re.match(r"[\w-]+:(Describe|List|Get)", a)]
        is_ours = all(AWS in arn for arn in each["Resource"]) and (
            all("llm" in arn for arn in each["Resource"]) or bool(each.get("Condition"))
        )
        # AWS knows no resource for it; only tags would be left, and the request has none.
        assert is_ours or set(changing) <= {"ecs:DeregisterTaskDefinition"}, each["Sid"]
        assert not any("*" in action for action in each["Action"])


def test_roles_are_passed_to_tasks_only_and_no_others() -> None:
    [passing] = [each for each in statements() if "iam:PassRole" in each["Action"]]
    assert passing["Action"] == ["iam:PassRole"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    role = f"arn:aws:iam::{AWS}:role/arriero/llm/us-east-1/llm-a"
    assert passing["Resource"] == [f"{role}-exec", f"{role}-task"]


def test_names_of_statements_are_ones_that_aws_takes() -> None:
    for name, document in documents().items():
        if name.startswith("aws"):
            sids = [each["Sid"] for each in document["Statement"]]
            assert len(set(sids)) == len(sids)
            assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


def test_every_call_of_the_tables_has_a_source() -> None:
    for cloud in ("aws", "azure"):
        known = permissions.calls(cloud)  # type: ignore[arg-type]
        named = {need.action for needs in known.needs.values() for need in needs} | set(known.besides)
        services = {re.split("[:/]", action)[0].lower() for action in named}
        assert services <= set(known.sources)
        assert all(source.startswith(("https://docs.aws", "https://learn.micro")) for source in known.sources.values())


def test_a_load_balancer_is_among_it_where_one_is_asked_for() -> None:
    acl = f"arn:aws:wafv2:us-east-1:{AWS}:regional/webacl/llm/0a1b"
    alb = {"hosts": ["llm.example.com"], "certificates": [f"arn:aws:acm:us-east-1:{AWS}:certificate/0a1b"]}
    for more, parts in (({}, {"ingress"}), ({"web_acls": [acl]}, {"ingress", "waf"})):
        given = spec({"a": EAST}, aws=AWS).model_dump() | {"ingress": {"alb": {**alb, **more}}}
        found = {name: json.loads(text) for name, text in iam.files(Spec.model_validate(given), Path()).items()}
        assert set(found) - set(documents({"a": EAST})) == {f"aws-{part}.json" for part in parts}
        for document in (found[f"aws-{part}.json"] for part in parts):
            for each in document["Statement"]:
                changing = [a for a in each["Action"] if not re.match(r"\w+:(Describe|List|Get)", a)]
                is_own = all("llm" in arn for arn in each["Resource"]) or changing == ["iam:CreateServiceLinkedRole"]
                assert not changing or is_own, each["Sid"]


def test_a_registry_is_among_it_where_its_rules_are_kept() -> None:
    for account, is_ours in ((AWS, True), ("210987654321", False)):
        name = f"{account}.dkr.ecr.us-east-1.amazonaws.com/team/llm:1"
        given = spec(BOTH, aws=AWS, azure=AZURE).model_dump() | {"image": {"name": name}}
        found = iam.files(Spec.model_validate(given), Path())
        assert ("aws-registry.json" in found) is is_ours
        if is_ours:
            [held] = json.loads(found["aws-registry.json"])["Statement"]
            assert held["Resource"] == [f"arn:aws:ecr:us-east-1:{AWS}:repository/team/llm"]
        assert "Microsoft.ContainerRegistry" not in found["azure-role.json"]
    given = spec(BOTH, aws=AWS, azure=AZURE).model_dump() | {"image": {"name": "acme.azurecr.io/team/llm:1"}}
    role = iam.files(Spec.model_validate(given), Path())["azure-role.json"]
    assert '"Microsoft.ContainerRegistry/registries/tasks/write"' in role


@pytest.mark.parametrize(("least", "is_among"), [(0, True), (1, False)])
def test_rest_is_among_it_where_a_site_of_azure_may_run_nothing(least: int, is_among: bool) -> None:
    actions = documents({"b": {**BOTH["b"], "scale": {"min": least}}})["azure-role.json"]["Actions"]
    wanted = {f"Microsoft.ContainerInstance/containerGroups/{each}/action" for each in ("start", "stop")}
    assert (wanted <= set(actions)) is is_among
    assert bool(wanted & set(actions)) is is_among


@pytest.mark.parametrize(("spares", "is_among"), [(1, True), (0, False)])
def test_standby_pools_are_among_it_where_a_site_of_azure_keeps_spares(spares: int, is_among: bool) -> None:
    actions = documents({"b": {**BOTH["b"], "scale": {"spares": spares}}})["azure-role.json"]["Actions"]
    found = {each for each in actions if "StandbyPool" in each or "containerGroupProfiles" in each}
    kinds = ("ContainerInstance/containerGroupProfiles", "StandbyPool/standbyContainerGroupPools")
    wanted = {f"Microsoft.{kind}/{each}" for kind in kinds for each in ("read", "write", "delete")}
    wanted.add("Microsoft.StandbyPool/standbyContainerGroupPools/runtimeViews/read")
    assert found == (wanted if is_among else set())


def test_the_clouds_own_scaling_is_among_it_where_a_site_is_left_to_it() -> None:
    scaled = {"cloud": "aws", "region": "us-east-1", "scale": {"by": "cloud", "track": {"cpu": "60%"}}}
    found = documents({"a": scaled})["aws-scaling.json"]["Statement"]
    [bound] = [each for each in found if "application-autoscaling:PutScalingPolicy" in each["Action"]]
    assert bound["Resource"] == [f"arn:aws:application-autoscaling:us-east-1:{AWS}:scalable-target/*"]
    assert bound["Condition"] == {"StringEquals": {"application-autoscaling:service-namespace": "ecs"}}
    [told] = [each for each in found if "cloudwatch:PutMetricData" in each["Action"]]
    assert told["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Arriero"}}
    assert not [name for name in documents() if "scaling" in name]


def test_a_private_site_adds_what_its_way_out_needs() -> None:
    private = {**EAST, "network": {"mode": "private"}}
    assert set(documents({"a": private})) - set(documents({"a": EAST})) == {"aws-nat.json"}
    held = documents({"a": private})["aws-nat.json"]["Statement"]
    [made] = [each for each in held if "ec2:AllocateAddress" in each["Action"]]
    assert made["Condition"] == {"StringEquals": {"aws:RequestTag/arriero-service": "llm"}}
    [tagging] = [each for each in held if each["Action"] == ["ec2:CreateTags"]]
    assert tagging["Condition"] == {"StringEquals": {"ec2:CreateAction": ["AllocateAddress", "CreateNatGateway"]}}


def test_a_network_of_the_users_own_is_refused() -> None:
    given = {"vpc": "vpc-0123456789abcdef0", "subnets": ["subnet-0123456789abcdef0"], "mode": "private"}
    with pytest.raises(Refused, match=r"sites\.a\.network\.vpc: vpc-0123456789abcdef0 is yours and carries no tag"):
        documents({"a": {**EAST, "network": given}})


SECRET = {"HF_TOKEN": "https://llm-vault.vault.azure.net/secrets/hf"}
STORED = ({"name": "llama2:70b", "from": "storage"},)
APPROVALS = {
    "KeyVault": "Microsoft.KeyVault/vaults/PrivateEndpointConnectionsApproval/action",
    "Registry": "Microsoft.ContainerRegistry/registries/privateEndpointConnectionsApproval/action",
    "Storage": "Microsoft.Storage/storageAccounts/PrivateEndpointConnectionsApproval/action",
}


@pytest.mark.parametrize(
    ("network", "models", "leads_to"),
    [
        ({"mode": "private", "private_endpoints": ["vault"]}, (), {"KeyVault"}),
        ({"mode": "private"}, STORED, {"Storage"}),
        ({"mode": "private", "private_endpoints": ["vault"]}, STORED, {"KeyVault", "Storage"}),
        ({"mode": "private", "private_endpoints": ["registry"]}, (), {"Registry"}),
        ({"mode": "private"}, (), set()),
        ({"mode": "public"}, STORED, set()),
    ],
)
def test_private_endpoints_are_among_it_as_far_as_a_site_has_them(
    network: dict[str, Any], models: tuple[dict[str, str], ...], leads_to: set[str]
) -> None:
    of_azure = f"/subscriptions/{AZURE}/resourceGroups/llm/providers"
    identity = f"{of_azure}/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull"
    own = {"environment_from": SECRET, "network": network, "registry_identity": identity}
    given = spec({"b": {"cloud": "azure", "region": "eastus", **own}}, azure=AZURE).model_dump(exclude_unset=True)
    image = "llmregistry.azurecr.io/acme/llm:1"
    whole = Spec.model_validate({**given, "image": image, "models": ["llama2", *models]})
    actions = set(json.loads(iam.files(whole, Path())["azure-role.json"])["Actions"])
    assert {kind for kind, action in APPROVALS.items() if action in actions} == leads_to
    wanted = {f"Microsoft.Network/{kind}/write" for kind in ("privateEndpoints", "privateDnsZones")}
    assert actions & wanted == (wanted if leads_to else set())
    assert ("Microsoft.KeyVault/vaults/read" in actions) is ("KeyVault" in leads_to)
    assert ("Microsoft.Storage/storageAccounts/fileServices/shares/write" in actions) is bool(models)


def test_accounts_have_to_be_known() -> None:
    with pytest.raises(Refused) as refused:
        iam.files(spec(BOTH), Path())
    assert str(refused.value).splitlines() == [
        "accounts.aws: is missing, and permissions are given in one account; "
        "write it, like accounts: {aws: '123456789012'}",
        "accounts.azure: is missing, and permissions are given in one account; "
        f"write it, like accounts: {{azure: {AZURE}}}",
    ]


def test_models_from_storage_at_aws_have_a_policy_of_their_own() -> None:
    given = spec(BOTH, aws=AWS, azure=AZURE).model_dump() | {"models": ["llama2", *STORED]}
    document = json.loads(iam.files(Spec.model_validate(given), Path())["aws-storage.json"])
    mounts = [each for each in document["Statement"] if "elasticfilesystem:CreateMountTarget" in each["Action"]]
    assert [each["Resource"] for each in mounts] == [[f"arn:aws:elasticfilesystem:us-east-1:{AWS}:file-system/*"]]
    assert [each["Condition"] for each in mounts] == [{"StringEquals": {"aws:ResourceTag/arriero-service": "llm"}}]
    passed = [arn for each in document["Statement"] if "iam:PassRole" in each["Action"] for arn in each["Resource"]]
    assert any(arn.endswith("-seed") for arn in passed)


def test_edges_at_azure_have_names_and_an_app_and_their_identity_a_role_of_its_own() -> None:
    group = f"/subscriptions/{AZURE}/resourceGroups/llm"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
    edges = {"keys": "https://llm-vault.vault.azure.net/secrets/llm-keys", "identity": identity}
    given = spec(BOTH, aws=AWS, azure=AZURE).model_dump() | {"ingress": {"edges": edges}}
    found = {name: json.loads(text) for name, text in iam.files(Spec.model_validate(given), Path()).items()}
    assert set(found) - set(documents()) == {"azure-identity-role.json"}
    more = set(found["azure-role.json"]["Actions"]) - set(documents()["azure-role.json"]["Actions"])
    assert {action.split("/")[0] for action in more} == {"Microsoft.App", "Microsoft.Network"}
    assert more > {f"Microsoft.Network/privateDnsZones/A/{each}" for each in ("read", "write")}
    # What targets on machines take besides is not among it.
    assert not [action for action in more if "/start/" in action or "replicas" in action or "usages" in action]
    giver = found["azure-identity-role.json"]
    assert giver["Actions"] == ["Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"]
    assert giver["AssignableScopes"] == [group]
    assert giver["Description"].startswith(f"Assign it at the identity: {identity}.")


def test_identities_that_pull_are_given_by_the_same_role_each_once() -> None:
    groups = [f"/subscriptions/{AZURE}/resourceGroups/{name}" for name in ("llm", "other")]
    llm, other = (f"{each}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-pull" for each in groups)
    site = {"cloud": "azure", "region": "eastus"}
    sites = {name: {**site, "registry_identity": each} for name, each in (("b", llm), ("c", llm), ("d", other))}
    found = documents(sites)
    assert set(found) == {"azure-role.json", "azure-identity-role.json"}
    assert not [action for action in found["azure-role.json"]["Actions"] if "ManagedIdentity" in action]
    giver = found["azure-identity-role.json"]
    assert giver["Actions"] == ["Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"]
    assert giver["AssignableScopes"] == groups
    assert giver["Description"].startswith(f"Assign it at each identity: {llm}, {other}.")


def test_edges_have_a_policy_for_their_names_which_is_bound_to_the_tag() -> None:
    keys = "arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"
    certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
    alb = {"hosts": ["llm.example.com"], "certificates": [certificate], "edges": {"keys": [keys]}}
    given = spec(BOTH, aws=AWS, azure=AZURE).model_dump() | {"ingress": {"alb": alb}}
    found = {name: json.loads(text) for name, text in iam.files(Spec.model_validate(given), Path()).items()}
    assert set(found) - set(documents()) == {"aws-ingress.json", "aws-edges.json"}
    statements = found["aws-edges.json"]["Statement"]

    def held(action: str) -> list[tuple[list[str], dict[str, str]]]:
        return [
            (each["Resource"], each["Condition"]["StringEquals"]) for each in statements if action in each["Action"]
        ]

    arns, ours = f"arn:aws:servicediscovery:us-east-1:{AWS}", {"aws:ResourceTag/arriero-service": "llm"}
    made = {"aws:RequestTag/arriero-service": "llm"}
    assert held("servicediscovery:DeleteNamespace") == [([f"{arns}:namespace/*"], ours)]
    assert held("servicediscovery:DeleteService") == [([f"{arns}:service/*"], ours)]
    assert held("servicediscovery:CreatePrivateDnsNamespace") == [(["*"], made)]
    assert held("servicediscovery:CreateService") == [([f"{arns}:service/*"], made), ([f"{arns}:namespace/*"], ours)]
    # Of a zone's own rights only those to make and to see one; AWS asks for no more.
    assert {action for each in statements for action in each["Action"] if action.startswith("route53:")} == {
        "route53:CreateHostedZone", "route53:GetHostedZone", "route53:ListHostedZonesByName",
    }  # fmt: skip
    registering = [e for e in found["aws-service.json"]["Statement"] if "ecs:RegisterTaskDefinition" in e["Action"]]
    assert [each["Resource"] for each in registering] == [
        [f"arn:aws:ecs:us-east-1:{AWS}:task-definition/llm-a{end}:*" for end in ("-edge", "")]
    ]


def test_a_front_door_is_azures_and_its_lock_is_on_the_load_balancer() -> None:
    keys, certificate = (
        f"arn:aws:{kind}" for kind in (
            f"secretsmanager:us-east-1:{AWS}:secret:llm/keys-AbCdEf", f"acm:us-east-1:{AWS}:certificate/0a1b",
        )
    )  # fmt: skip
    alb = {"hosts": ["llm.example.com"], "certificates": [certificate], "edges": {"keys": [keys]}}
    ingress = {"alb": {**alb, "scheme": "internet-facing"}, "front_door": {"region": "westeurope"}}
    given = spec({"a": EAST}, aws=AWS, azure=AZURE).model_dump() | {"ingress": ingress}
    found = {name: json.loads(text) for name, text in iam.files(Spec.model_validate(given), Path()).items()}
    # Of Azure's sites there is none: what they are made with is not in its role, and they are read alone, for by its
    # tags a Front Door that left the spec is found among sites.
    changing = [a for a in found["azure-role.json"]["Actions"] if not a.endswith("/read")]
    assert {action.split("/")[0] for action in changing} == {"Microsoft.Cdn", "Microsoft.Resources"}
    locks = [
        each for each in found["aws-door.json"]["Statement"] if "elasticloadbalancing:DeleteRule" in each["Action"]
    ]
    rules = f"arn:aws:elasticloadbalancing:us-east-1:{AWS}:listener-rule/app/llm-a/*/*/*"
    assert [each["Resource"] for each in locks] == [[rules]]
    unpinned = spec({"a": EAST}, aws=AWS).model_dump() | {"ingress": ingress}
    with pytest.raises(Refused, match=r"accounts\.azure: is missing"):
        iam.files(Spec.model_validate(unpinned), Path())


def test_policies_that_would_be_too_long_are_refused() -> None:
    many = {f"site-{number:02}": EAST for number in range(30)}
    with pytest.raises(Refused, match="would be longer than the 6144 characters that AWS takes; split the sites"):
        documents(many)


def test_who_reads_secrets_of_key_vault_has_a_role_of_its_own_and_no_other_action() -> None:
    vault = "https://llm-vault.vault.azure.net/secrets"
    site = {**BOTH["b"], "environment_from": {"HF_TOKEN": f"{vault}/hf"}, "registry_login": f"{vault}/registry"}
    found = documents({"b": site})
    assert set(found) == {"azure-role.json", "azure-secrets-role.json"}
    role, reader = found["azure-role.json"], found["azure-secrets-role.json"]
    assert (role["DataActions"], reader["Actions"]) == ([], [])
    assert reader["DataActions"] == [
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    ]
    assert "hf in llm-vault, registry in llm-vault" in reader["Description"]


@pytest.mark.parametrize("machines", ["virtual", None])
def test_virtual_machines_are_among_it_where_a_site_of_azure_has_gpus_on_them(machines: str | None) -> None:
    actions = documents({"b": {**BOTH["b"], "gpu": {"type": "T4", "machines": machines}}})["azure-role.json"]["Actions"]
    kinds = {each.partition("/")[0] for each in actions}
    assert ("Microsoft.Compute" in kinds, "Microsoft.App" in kinds) == (bool(machines), not machines)
    wanted = {"Microsoft.Compute/disks/write", "Microsoft.Network/networkInterfaces/join/action"}
    assert (wanted <= set(actions)) is bool(machines)


def test_container_insights_of_a_cluster_may_be_set_where_the_spec_asks_for_it() -> None:
    given = spec({"a": EAST}, aws=AWS).model_dump() | {"metrics": {"container_insights": "enhanced"}}
    found = iam.files(Spec.model_validate(given), Path())
    assert set(found) - set(documents({"a": EAST})) == {"aws-insights.json"}
    [held] = json.loads(found["aws-insights.json"])["Statement"]
    assert (held["Action"], held["Resource"]) == (
        ["ecs:UpdateClusterSettings"],
        [f"arn:aws:ecs:us-east-1:{AWS}:cluster/llm-a"],
    )
