"""What a site at Azure has in place of container groups where the spec asks for virtual machines with GPUs: machines of
the family NCasT4_v3, one a target, each with its network interface and its disk.

A machine stands in the site's own subnet without a public address, under the names that groups have, and is reached at
port 11434 as they are. It is never changed; a new one is made beside it, and interface and disk go with it. Nobody logs
in: there is no password, and the key that Azure asks for instead is one of which nobody has the private half. Its image
is Microsoft's Ubuntu for such machines, which has the GPU's driver, Docker and NVIDIA's container toolkit: a machine is
whole with two requests, so that it can be copied; what it runs is in its user data (`azure_boot.py`). Sources, read
2026-11-30: https://github.com/Azure/azhpc-images (the image), https://learn.microsoft.com/azure/virtual-machines/delete
(what goes with a machine).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from arriero.cost import machine
from arriero.plan.model import Resource, SiteFacts, Value
from arriero.plan.wanted import azure_boot, sidecar
from arriero.spec.model import ResolvedSite

VM_KIND = "azure.virtual_machine"
# What is left of a machine that is gone, or was never made: without one they serve nobody.
INTERFACE_KIND, DISK_KIND = "azure.network_interface", "azure.disk"
LEFT_KINDS = (INTERFACE_KIND, DISK_KIND)
IMAGE = "microsoft-dsvm/ubuntu-hpc/2204"
DISK_TYPE = "StandardSSD_LRS"
USER = "arriero"


def definition(site: ResolvedSite) -> Mapping[str, Value]:
    """What a machine is made from; a change of any of it is a new release."""
    containers = _containers(site)
    text = azure_boot.user_data(containers, stop_seconds(site))
    return {
        "size": machine.chosen(site).name,
        "image": IMAGE,
        "disk": {"gib": machine.DISKS[machine.disk_tier(site)], "type": DISK_TYPE, "goes_with_it": True},
        "containers": containers,
        "start": digest(text),
    }


def pattern(site: ResolvedSite, base: str, subnet: str, release: int, tags: Mapping[str, str]) -> Resource:
    """The machine that all machines of the release are copies of; its name is theirs without the number."""
    values: Mapping[str, Value] = {
        "location": site.region,
        "priority": "regular",
        **definition(site),
        "network": {"subnet": subnet, "is_public": False, "security_group": None, "goes_with_it": True},
        "password": False,
        "tags": dict(tags),
    }
    details: Mapping[str, Value] = {"user_data": azure_boot.user_data(_containers(site), stop_seconds(site))}
    return Resource(VM_KIND, f"{base}-r{release}", values, tags=tags, details=details)


def digest(user_data: str) -> str:
    """By which it is seen that something else is said at the start than what its containers tell."""
    return hashlib.sha256(user_data.encode()).hexdigest()[:12]


def stop_seconds(site: ResolvedSite) -> int:
    """Between SIGTERM and SIGKILL where a container is stopped."""
    return max(1, round(site.deploy.stop_within))


def left(found: SiteFacts) -> set[str]:
    """Names at which an interface or a disk was left: no new machine takes one."""
    return {each.name for each in found.resources if each.kind in LEFT_KINDS}


def removal_reasons(found: SiteFacts) -> Mapping[str, str]:
    return dict.fromkeys(left(found), "no virtual machine has it")


def notes(site: ResolvedSite) -> tuple[str, ...]:
    """What the plan says about such a site."""
    chosen, tier = machine.chosen(site), machine.disk_tier(site)
    disk = f"a disk of {machine.DISKS[tier]}GiB ({tier})"
    said = [
        f"gpu: {site.gpu} a target, each a virtual machine of its own, {chosen} with {disk}, whatever size says; "
        "a new subscription has a quota of none of that family: ask for one first"
    ]
    if site.deploy.hung_after is not None:
        said.append(
            "deploy.hung_after is not applied to virtual machines; the gateway sends nothing to a server that hangs"
        )
    said.append(
        "a virtual machine that is deleted gives its server no time: deploy.stop_within counts where it is drained"
    )
    return tuple(said)


def _containers(site: ResolvedSite) -> Mapping[str, Mapping[str, Value]]:
    """By name. Ollama has all GPUs of the machine."""
    if not site.sidecar:
        return {"ollama": _container(site, site.server_environment, (), has_gpu=True)}
    return {
        "ollama": _container(site, sidecar.server_environment(site), sidecar.SERVER_COMMAND, has_gpu=True),
        sidecar.NAME: _container(site, sidecar.environment(site), sidecar.COMMAND, has_gpu=False),
    }


def _container(
    site: ResolvedSite, environment: Mapping[str, str], command: tuple[str, ...], *, has_gpu: bool
) -> Mapping[str, Value]:
    return {
        "image": site.image,
        "command": command,
        "environment": dict(sorted(environment.items())),
        "has_gpu": has_gpu,
    }
