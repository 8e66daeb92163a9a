"""Virtual machines with GPUs at Azure for Terraform: interfaces and extensions by azurerm, machines by Azure/azapi with
the bodies of the role.

azurerm can't say that interface and disk go with a machine, which a plan compares
(https://github.com/hashicorp/terraform-provider-azurerm/issues/17550). And it would make a machine anew for another key
of who logs in (issue 18483 there), where nobody knows any more which key one was made with.

The key is a variable: a pair that the provider `tls` makes would stand in Terraform's state with its private half. An
ephemeral one would be another each time, which Azure refuses for a machine that stands ("Changing property
'linuxConfiguration.ssh.publicKeys' is not allowed"). So a machine's body counts when it is made, and no more: it is
never changed, here as with the role, and what differs is a new release, which has new names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from arriero.clouds.azure import vm_bodies, vms
from arriero.clouds.azure.variables import LEAST_WAIT_SECONDS
from arriero.pipeline.terraform import azapi
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_vms as wish
from arriero.plan.wanted.azure import base_name

INTERFACES, GATES = "azurerm_network_interface", "azurerm_virtual_machine_extension"
# Beyond what the extension's script waits: it is fetched, and Azure hears of its end late.
BESIDES_MINUTES = 15
KEY_NOTE = "Nobody logs in. README.md says how to have a key that opens nothing."
MACHINES_NOTE = "A machine is never changed: what differs is a new release, whose machines have new names."
GATES_NOTE = "Each is done when its machine's server answers. Machines that the controller copied have none."
KEY_PATTERN = "^ssh-rsa [A-Za-z0-9+/]+=*( .*)?$"


def guide(site: Site) -> str:
    """What the module's README says of them; empty where there are none."""
    if not site.wanted(wish.VM_KIND):
        return ""
    key = _key(site)
    return f"""
## The virtual machines of {site.spec.name}

Azure makes no machine without a password or a public key of who logs in. Nobody does, so give Terraform the public
half of a pair whose other half is thrown away. It is no secret, and may stand in `terraform.tfvars`:

    (umask 077; ssh-keygen -q -t rsa -b 3072 -N '' -C '' -f lone-key)
    printf '{key} = "%s"\\n' "$(cat lone-key.pub)" >> terraform.tfvars
    rm lone-key lone-key.pub

No pair is made here: Terraform would keep its private half in its state. Another key later is for new machines alone.

Settings and tags of a machine count when it is made (`ignore_changes`): Azure does not tell all of them again, and
changes few. What somebody changed by hand is seen by `arriero plan`, not by Terraform. The extension `answers` waits
for the server of a machine; those that the controller copied have none, and get none. Azure removes it from no machine
that is deallocated: start such a machine before `terraform destroy`, or have Terraform forget the extension
(`terraform state rm`). Interface and disk go with their machine.
"""


def _machines(site: Site, wanted: tuple[Resource, ...]) -> Iterator[Piece]:
    """All in one block each: copies of one pattern, which differ in their names only."""
    yield _variable(site)
    standing = [each.name for each in wanted if site.standing(each)]
    names = [each.name for each in wanted]
    yield _interfaces(site, wanted[0], names, standing)
    yield _copies(site, wanted[0], names, standing)
    watched = [each.name for each in wanted if _has_gate(site, each)]
    if watched:
        yield _gates(site, wanted[0], watched, [name for name in watched if name in standing])


def _variable(site: Site) -> Piece:
    says = f"What the key of a machine's user is: the public half of a pair that nobody has ({site.spec.name})."
    check: Body = {
        "condition": Call("can", Raw(f'regex("{KEY_PATTERN}", var.{_key(site)})')),
        "error_message": "One line with an RSA public key, as README.md says: ssh-rsa, a space, and the key.",
    }
    body: Body = {"type": Raw("string"), "description": says, "nullable": False, "validation": Blocks((check,))}
    return Piece("", _key(site), body, comment=KEY_NOTE, kind="variable")


def _interfaces(site: Site, pattern: Resource, names: Sequence[str], standing: Sequence[str]) -> Piece:
    group = f"azurerm_resource_group.{site.label}"
    address: Body = {
        "name": "default",
        "primary": True,
        "subnet_id": Raw(f"azurerm_subnet.{site.label}.id"),
        "private_ip_address_allocation": "Dynamic",
    }
    body: Body = {
        "for_each": Call("toset", list(names)),
        "name": Raw("each.key"),
        "resource_group_name": Raw(f"{group}.name"),
        "location": Raw(f"{group}.location"),
        "tags": pattern.tags,
        "ip_configuration": Blocks((address,)),
    }
    return Piece(INTERFACES, site.label, body, {name: _id(site, vms.INTERFACES, name) for name in standing})


def _copies(site: Site, pattern: Resource, names: Sequence[str], standing: Sequence[str]) -> Piece:
    body: Body = {
        "for_each": Call("toset", list(names)),
        **azapi.place(f"{vms.TYPE}@{vms.VERSION}", "", f"azurerm_resource_group.{site.label}"),
        "name": Raw("each.key"),
        "tags": pattern.tags,
        "body": {"properties": _properties(site, pattern)},
        "depends_on": azapi.network_ties(site),
        "lifecycle": Blocks(({"ignore_changes": [Raw("body"), Raw("tags")]},)),
    }
    there = {name: f"{_id(site, vms.TYPE, name)}?api-version={vms.VERSION}" for name in standing}
    return Piece(azapi.TYPE, site.label, body, there, MACHINES_NOTE)


def _properties(site: Site, pattern: Resource) -> Mapping[str, Expression]:
    """As the role has them, with names, the interface and the key by reference, and user data that can be read."""
    told = cast("Mapping[str, Any]", vm_bodies.machine(pattern, "", "")["properties"])
    storage, system = told["storageProfile"], told["osProfile"]
    login = system["linuxConfiguration"]
    keys = [{**each, "keyData": Raw(f"var.{_key(site)}")} for each in login["ssh"]["publicKeys"]]
    used = [
        {**each, "id": Raw(f"{INTERFACES}.{site.label}[each.key].id")}
        for each in told["networkProfile"]["networkInterfaces"]
    ]
    return {
        **told,
        "storageProfile": {**storage, "osDisk": {**storage["osDisk"], "name": Raw("each.key")}},
        "osProfile": {
            **system,
            "computerName": Raw("each.key"),
            "linuxConfiguration": {**login, "ssh": {"publicKeys": keys}},
        },
        "networkProfile": {"networkInterfaces": used},
        "userData": Call("base64encode", str(pattern.details["user_data"])),
    }


def _gates(site: Site, pattern: Resource, names: Sequence[str], standing: Sequence[str]) -> Piece:
    seconds = max(LEAST_WAIT_SECONDS, int(site.spec.deploy.ready_within))
    containers = sorted(cast("Mapping[str, object]", pattern.properties["containers"]))
    told = cast("Mapping[str, Any]", vm_bodies.gate(site.spec.region, containers, seconds)["properties"])
    body: Body = {
        "for_each": Call("toset", list(names)),
        "name": vms.GATE,
        "virtual_machine_id": Raw(f"{azapi.TYPE}.{site.label}[each.key].id"),
        "publisher": told["publisher"],
        "type": told["type"],
        "type_handler_version": told["typeHandlerVersion"],
        "auto_upgrade_minor_version": told["autoUpgradeMinorVersion"],
        "settings": Call("jsonencode", told["settings"]),
        "timeouts": Blocks(({"create": f"{seconds // 60 + BESIDES_MINUTES}m"},)),
    }
    there = {name: f"{_id(site, vms.TYPE, name)}/extensions/{vms.GATE}" for name in standing}
    return Piece(GATES, site.label, body, there, GATES_NOTE)


def _has_gate(site: Site, wanted: Resource) -> bool:
    """New ones get it; one that stands without is a copy that the controller made."""
    found = site.standing(wanted)
    return bool(found.details.get("has_gate")) if found else True


def _id(site: Site, kind: str, name: str) -> str:
    """Composed: providers compare ids letter by letter, and Azure lists machines with their group in capitals."""
    group = f"/subscriptions/{site.found.account}/resourceGroups/{base_name(site.spec)}"
    return f"{group}/providers/{kind}/{name}"


def _key(site: Site) -> str:
    return f"{site.label}_login_key"


MAKERS: Mapping[str, Maker] = {wish.VM_KIND: _machines}
