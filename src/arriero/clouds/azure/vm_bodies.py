"""Virtual machines and what belongs to them in Resource Manager's own words. The collection has a module for machines,
which knows neither user data nor what goes with a machine, and wants an SDK that nothing else here needs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

from arriero.clouds.azure import vms
from arriero.events import Json
from arriero.plan.model import Resource
from arriero.plan.wanted.azure import PORT
from arriero.plan.wanted.azure_boot import unit
from arriero.plan.wanted.azure_vms import USER

# Stands for the public half of a key that the role makes and nobody keeps.
LOGIN_KEY = "@LOGIN_KEY@"
# How often a container may come and go before it is taken for one that will not come up.
CRASHES = 3
LOOK_SECONDS = 5


def machine(wanted: Resource, base: str, account: str) -> dict[str, Json]:
    """`base` is the site's resource group. The interface has the machine's own name, and so has the disk."""
    properties = cast("Mapping[str, Any]", wanted.properties)
    publisher, offer, sku = properties["image"].split("/")
    disk = properties["disk"]
    interface = f"/subscriptions/{account}/resourceGroups/{base}/providers/{vms.INTERFACES}/{wanted.name}"
    return {
        "location": properties["location"],
        "tags": dict(wanted.tags),
        "properties": {
            "hardwareProfile": {"vmSize": properties["size"]},
            "priority": str(properties["priority"]).capitalize(),
            "storageProfile": {
                "imageReference": {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"},
                "osDisk": {
                    "name": wanted.name,
                    "createOption": "FromImage",
                    "diskSizeGB": disk["gib"],
                    "managedDisk": {"storageAccountType": disk["type"]},
                    "deleteOption": "Delete",
                },
            },
            "osProfile": {
                "computerName": wanted.name,
                "adminUsername": USER,
                "linuxConfiguration": {
                    "disablePasswordAuthentication": True,
                    "ssh": {"publicKeys": [{"path": f"/home/{USER}/.ssh/authorized_keys", "keyData": LOGIN_KEY}]},
                },
            },
            "networkProfile": {"networkInterfaces": [attached(interface)]},
            "userData": base64.b64encode(str(wanted.details["user_data"]).encode()).decode(),
        },
    }


def attached(interface_id: str) -> dict[str, Json]:
    """An interface as a machine names it, with which it goes."""
    return {"id": interface_id, "properties": {"primary": True, "deleteOption": "Delete"}}


def gate(location: str, containers: list[str], seconds: int) -> dict[str, Json]:
    """The extension that is done when the machine's server answers, and fails when it won't: nothing else of Azure sees
    into a machine.
    """
    return {
        "location": location,
        "properties": {
            "publisher": "Microsoft.Azure.Extensions",
            "type": "CustomScript",
            "typeHandlerVersion": "2.1",
            "autoUpgradeMinorVersion": True,
            "settings": {"commandToExecute": _script(containers, seconds)},
        },
    }


def _script(containers: list[str], seconds: int) -> str:
    units = " ".join(map(unit, containers))
    count = 'systemctl show --property=NRestarts --value "$u"'
    return (
        f"for i in $(seq {max(1, seconds // LOOK_SECONDS)}); do "
        f"curl --fail --silent --output /dev/null http://localhost:{PORT}/ && exit 0; "
        f'for u in {units}; do if [ "$({count})" -ge {CRASHES} ]; then '
        f'journalctl --unit "$u" --lines 20 --output cat; echo "$u ends again and again"; exit 1; fi; done; '
        f"sleep {LOOK_SECONDS}; done; echo 'nothing answers at port {PORT} after {seconds} s'; exit 1"
    )
