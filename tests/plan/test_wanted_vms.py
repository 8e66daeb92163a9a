"""What a site at Azure has in place of container groups where its GPUs are to be on virtual machines."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from arriero.clouds.azure.variables import removal_variables, site_variables
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import azure, azure_apps, azure_boot, azure_vms
from arriero.rehearse.azure import boot
from arriero.spec.model import Spec

GPU = {"gpu": {"type": "T4", "machines": "virtual"}}
APPS, GROUPS = {"gpu": "T4"}, dict[str, Any]()
DIGEST = f"acme/llm@sha256:{'a' * 64}"


def spec(site: Any = None, **changes: Any) -> Spec:
    own = {"cloud": "azure", "region": "swedencentral", **(GPU if site is None else site)}
    given = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "scale": {"min": 2}, "sites": {"north": own}}
    return Spec.model_validate({**given, **changes})


def planned(wish: Spec, *there: Resource) -> SitePlan:
    found = SiteFacts("north", "azure", "swedencentral", "subscription", there)
    return place.plan(wish, Facts("llm", {"north": found})).sites[0]


def machines(plan: SitePlan) -> dict[str, Any]:
    return {each.name: each.properties for each in plan.wanted if each.kind == azure_vms.VM_KIND}


def variables(wish: Spec, *there: Resource) -> dict[str, Any]:
    found = SiteFacts("north", "azure", "swedencentral", "subscription", there)
    return dict(site_variables(wish.site("north"), planned(wish, *there), found))


def test_each_target_is_a_machine_of_its_own_without_a_public_address_or_a_login() -> None:
    wanted = machines(planned(spec()))
    assert list(wanted) == ["llm-north-r1-1", "llm-north-r1-2"]
    machine = wanted["llm-north-r1-1"]
    assert (machine["size"], machine["priority"], machine["password"]) == ("Standard_NC4as_T4_v3", "regular", False)
    assert machine["network"] == {
        "subnet": "llm-north/targets",
        "is_public": False,
        "security_group": None,
        "goes_with_it": True,
    }
    assert [step.name for step in planned(spec()).steps] == ["group", "network", "targets"]


@pytest.mark.parametrize(
    ("gpu", "size", "name"),
    [
        ({"type": "T4"}, {}, "Standard_NC4as_T4_v3"),
        ({"type": "T4"}, {"memory": "27GiB"}, "Standard_NC8as_T4_v3"),
        ({"type": "T4"}, {"cpu": "9 vCPU"}, "Standard_NC16as_T4_v3"),
        ({"type": "T4", "count": 4}, {}, "Standard_NC64as_T4_v3"),
    ],
)
def test_the_smallest_machine_with_room_is_taken(gpu: Any, size: Any, name: str) -> None:
    wish = spec({"gpu": {**gpu, "machines": "virtual"}, "size": size})
    assert {each["size"] for each in machines(planned(wish)).values()} == {name}


@pytest.mark.parametrize(("storage", "gib"), [("20GiB", 128), ("28GiB", 128), ("29GiB", 256), ("1000GiB", 2048)])
def test_a_disk_has_room_for_the_system_and_for_what_is_asked_for(storage: str, gib: int) -> None:
    machine = machines(planned(spec(size={"storage": storage})))["llm-north-r1-1"]
    assert machine["disk"] == {"gib": gib, "type": "StandardSSD_LRS", "goes_with_it": True}


def test_its_subnet_is_given_to_nobody_and_lets_in_who_may_ask_the_targets() -> None:
    wanted = {each.kind: each.properties for each in planned(spec()).wanted}
    network: Any = wanted["azure.virtual_network"]
    assert network["subnet"]["delegations"] == ()
    assert wanted["azure.network_security_group"]["rules"] == {
        "allow-ollama": "100 inbound allow tcp from 10.64.0.0/16 to *:11434",
        "deny-the-rest": "4096 inbound deny * from * to *:*",
    }
    assert azure_apps.ENVIRONMENT_KIND not in wanted


@pytest.mark.parametrize("sidecar", [True, False])
def test_what_is_said_at_the_start_is_read_back_and_is_what_would_run(sidecar: bool) -> None:
    odd = "a value with 'quotes', = and $(words)"
    wish = spec(image=DIGEST, sidecar=sidecar, environment={"ODD": odd})
    plan = planned(wish)
    [first, *_] = [each for each in plan.wanted if each.kind == azure_vms.VM_KIND]
    text = str(first.details["user_data"])
    assert azure_boot.containers_of(text) == first.properties["containers"]
    ran = boot.containers({"userData": base64.b64encode(text.encode()).decode()})
    assert [each["name"] for each in ran] == (["ollama", "sidecar"] if sidecar else ["ollama"])
    wanted: Any = first.properties["containers"]
    for each in ran:
        told = {one["name"]: one["value"] for one in each["properties"]["environmentVariables"]}
        assert told == wanted[each["name"]]["environment"]
        assert each["properties"]["image"] == DIGEST
        assert tuple(each["properties"]["command"]) == wanted[each["name"]]["command"]
    assert wanted["ollama"]["environment"]["ODD"] == odd


@pytest.mark.parametrize(
    "text", ["", "#!/bin/sh\n", "#cloud-config\n{", "#cloud-config\n[]\n", '#cloud-config\n{"a": 1}']
)
def test_what_is_not_ours_has_no_containers(text: str) -> None:
    assert azure_boot.containers_of(text) == {}
    assert boot.containers({"userData": base64.b64encode(text.encode()).decode()}) == []


def test_a_site_that_stands_as_wished_has_nothing_to_do() -> None:
    wish = spec()
    assert planned(wish, *planned(wish).wanted).changes == ()


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("size", "Standard_NC8as_T4_v3", "size: is Standard_NC8as_T4_v3, should be Standard_NC4as_T4_v3"),
        ("tags", {"arriero-service": "llm"}, "tags.arriero-site: is not set, should be north"),
        ("start", "0", "start: is 0, should be"),
        ("password", True, "password: is True, should be False"),
    ],
)
def test_a_machine_that_has_drifted_is_replaced_by_a_new_one(member: str, value: Any, said: str) -> None:
    wish = spec()
    there = [
        replace(each, properties={**each.properties, member: value}) if each.name == "llm-north-r1-1" else each
        for each in planned(wish).wanted
    ]
    changes = {(each.action, each.name): each.reason for each in planned(wish, *there).changes}
    assert set(changes) == {("create", "llm-north-r1-3"), ("remove", "llm-north-r1-1")}
    assert said in changes["remove", "llm-north-r1-1"]


def test_another_image_is_drift_that_names_it() -> None:
    wish, other = spec(), planned(spec(image="acme/llm:2"))
    odd = machines(other)["llm-north-r1-1"]
    there = [
        replace(each, properties={**each.properties, "containers": odd["containers"], "start": odd["start"]})
        if each.name == "llm-north-r1-1"
        else each
        for each in planned(wish).wanted
    ]
    [removal] = [each for each in planned(wish, *there).changes if each.action == "remove"]
    assert "containers.ollama.image: is acme/llm:2, should be acme/llm:1" in removal.reason


def test_what_was_left_goes_and_its_name_is_not_taken() -> None:
    wish = spec()
    left = Resource(azure_vms.INTERFACE_KIND, "llm-north-r1-1"), Resource(azure_vms.DISK_KIND, "llm-north-r1-9")
    plan = planned(wish, *left)
    assert list(machines(plan)) == ["llm-north-r1-2", "llm-north-r1-3"]
    removed = {each.kind: each.reason for each in plan.changes if each.action == "remove"}
    assert removed == dict.fromkeys(azure_vms.LEFT_KINDS, "no virtual machine has it")
    told = variables(wish, *left)
    assert told["azure_site_retired_interfaces"] == ["llm-north-r1-1"]
    assert told["azure_site_retired_disks"] == ["llm-north-r1-9"]
    assert told["azure_site_retired_machines"] == []


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (GROUPS, GPU, "the site stands on container groups, and can't move to virtual machines with GPUs"),
        (APPS, GPU, "the site stands on container apps with GPUs, and can't move to virtual machines with GPUs"),
        (GPU, GROUPS, "the site stands on virtual machines with GPUs, and can't move to container groups"),
        (GPU, APPS, "the site stands on virtual machines with GPUs, and can't move to container apps with GPUs"),
    ],
)
def test_a_site_does_not_move_from_or_to_virtual_machines(now: Any, then: Any, said: str) -> None:
    there = planned(spec(now)).wanted
    problem = planned(spec(then), *there).problem
    assert problem
    assert (problem.what, problem.key) == (said, "sites.north.gpu")
    assert planned(spec(now), *there).problem is None


def test_the_role_gets_bodies_of_new_machines_alone_and_no_secret_in_them() -> None:
    told = variables(spec(scale={"min": 3}), *planned(spec()).wanted)
    [machine] = told["azure_site_machines"]
    assert machine["name"] == "llm-north-r1-3"
    properties = machine["body"]["properties"]
    assert properties["osProfile"] == {
        "computerName": "llm-north-r1-3",
        "adminUsername": "arriero",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {"publicKeys": [{"path": "/home/arriero/.ssh/authorized_keys", "keyData": "@LOGIN_KEY@"}]},
        },
    }
    [interface] = properties["networkProfile"]["networkInterfaces"]
    assert interface["id"].endswith("/providers/Microsoft.Network/networkInterfaces/llm-north-r1-3")
    assert interface["properties"]["deleteOption"] == properties["storageProfile"]["osDisk"]["deleteOption"] == "Delete"
    assert "http://localhost:11434/" in machine["gate"]["properties"]["settings"]["commandToExecute"]
    assert told["azure_site_delegation"]["service"] == ""
    assert told["azure_site_apps"] == told["azure_site_groups"] == told["azure_site_environments"] == []


def test_in_a_group_of_somebody_else_machines_go_before_the_network() -> None:
    tags = {"arriero-service": "llm", "arriero-site": "north"}
    there = [replace(each, tags=tags) for each in planned(spec()).wanted if each.kind != "azure.resource_group"]
    group = Resource("azure.resource_group", "llm-north", {"location": "swedencentral"}, details={"ours": False})
    found = SiteFacts("north", "azure", "swedencentral", "subscription", (group, *there))
    parts: Any = removal_variables(found, purge=False)["azure_site_parts"]
    kinds = [part["type"] for part in parts]
    assert kinds.index("virtualMachines") < kinds.index("virtualNetworks")


def test_the_plan_says_what_machines_are_and_do_not_do() -> None:
    said = azure.notes(spec(deploy={"hung_after": "1m"}).site("north"))
    assert said[0] == (
        "gpu: 1 x T4 a target, each a virtual machine of its own, Standard_NC4as_T4_v3 (1 x T4, 4 vCPU, 26.25GiB for "
        "containers) with a disk of 128GiB (E10), whatever size says; a new subscription has a quota of none of that "
        "family: ask for one first"
    )
    assert any(note.startswith("deploy.hung_after is not applied to virtual machines") for note in said)
