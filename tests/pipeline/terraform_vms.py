"""Virtual machines at Azure in a module, with their interfaces and extensions, said in the plan's words again.

What a machine runs is what the emulated Azure would have it run, which reads user data as cloud-init and systemd do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator

from terraform_azapi import sent, subnet
from terraform_blocks import Module, Read, Values, done, many

from arriero.rehearse.azure import boot

MACHINES = "Microsoft.Compute/virtualMachines@2024-03-01"


def azure_machines(module: Module) -> Read:
    for _, each in module.of("variable", "_login_key"):
        assert "default" not in each
    interfaces = dict(_interface(each) for _, each in module.of("azurerm_network_interface"))
    gated = set(_gates(module))
    for body, around in sent(module, MACHINES):
        name = around["name"]
        yield (
            "azure.virtual_machine",
            name,
            _machine(module, body.pop("properties"), around, interfaces),
            around["tags"],
        )
        done(body)
        assert interfaces.pop(name)["tags"] == around["tags"]
        gated.discard(name)
    assert interfaces == {}
    assert gated == set()


def _interface(values: Values) -> tuple[str, Values]:
    [address] = many(values, "ip_configuration")
    assert address.pop("name") == "default"
    assert address.pop("primary") is True
    assert address.pop("private_ip_address_allocation") == "Dynamic"
    found = {"subnet": address.pop("subnet_id"), "tags": values.pop("tags"), "location": values.pop("location")}
    assert values.pop("resource_group_name")
    name = values.pop("name")
    done(address)
    done(values)
    return name, found


def _gates(module: Module) -> Iterator[str]:
    """The machines that have what waits for their server: it is no resource of a plan, and goes with its machine."""
    for address, gate in module.of("azurerm_virtual_machine_extension"):
        assert gate.pop("name") == "answers"
        assert gate.pop("virtual_machine_id").startswith("azapi_resource.")
        assert (gate.pop("publisher"), gate.pop("type")) == ("Microsoft.Azure.Extensions", "CustomScript")
        assert (gate.pop("type_handler_version"), gate.pop("auto_upgrade_minor_version")) == ("2.1", True)
        [command] = json.loads(gate.pop("settings")).values()
        assert "http://localhost:11434/ && exit 0;" in command
        assert gate.pop("timeouts").keys() == {"create"}
        done(gate)
        yield re.findall(r'\["(.*)"\]', address)[0]


def _machine(module: Module, told: Values, around: Values, interfaces: dict[str, Values]) -> Values:
    name, interface = around["name"], interfaces[around["name"]]
    storage, system, text = told.pop("storageProfile"), told.pop("osProfile"), told["userData"]
    image, disk, login = storage.pop("imageReference"), storage.pop("osDisk"), system.pop("linuxConfiguration")
    [used] = told.pop("networkProfile")["networkInterfaces"]
    assert used.pop("id") == "azurerm_network_interface.azure_east"  # of each its own: a test looks at the text
    assert used["properties"].pop("primary") is True
    assert (disk.pop("name"), system.pop("computerName"), image.pop("version")) == (name, name, "latest")
    assert (disk.pop("createOption"), system.pop("adminUsername")) == ("FromImage", "arriero")
    [key] = login.pop("ssh")["publicKeys"]
    assert key == {"path": "/home/arriero/.ssh/authorized_keys", "keyData": None}  # the variable's
    assert interface["location"] == around["location"]
    found = {
        "location": around["location"],
        "priority": told.pop("priority").lower(),
        "size": told.pop("hardwareProfile")["vmSize"],
        "image": "/".join(image.pop(part) for part in ("publisher", "offer", "sku")),
        "disk": {
            "gib": disk.pop("diskSizeGB"),
            "type": disk.pop("managedDisk")["storageAccountType"],
            "goes_with_it": disk.pop("deleteOption") == "Delete",
        },
        "containers": _containers(told),
        "start": hashlib.sha256(base64.b64decode(text)).hexdigest()[:12],
        "network": {
            "subnet": subnet(module, {"id": interface["subnet"]}),
            "is_public": False,
            "security_group": None,
            "goes_with_it": used.pop("properties") == {"deleteOption": "Delete"},
        },
        "password": not login.pop("disablePasswordAuthentication"),
        "tags": dict(around["tags"]),
    }
    for each in (image, disk, login, storage, system, used, told):
        done(each)
    return found


def _containers(told: Values) -> Values:
    run, text = boot.containers(told), base64.b64decode(told.pop("userData")).decode()
    return {
        each["name"]: {
            "image": each["properties"]["image"],
            "command": each["properties"]["command"],
            "environment": {pair["name"]: pair["value"] for pair in each["properties"]["environmentVariables"]},
            "has_gpu": f"--name {each['name']} --network host --gpus all" in text,
        }
        for each in run
    }
