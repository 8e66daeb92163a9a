"""What stands in Resource Manager's own words in a module, and private endpoints, said in the plan's words again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from terraform_blocks import Module, Read, Values, done, many


def azure_private(module: Module) -> Read:
    """The subnet of endpoints is read with the others, in `terraform_module.py`."""
    networks: dict[str, list[str]] = {}
    for _, link in module.of("azurerm_private_dns_zone_virtual_network_link"):
        assert link.pop("resource_group_name")
        assert link.pop("registration_enabled") is False
        assert link.pop("tags")
        network = module.known[link.pop("virtual_network_id")]
        assert link.pop("name") == network["name"]
        networks.setdefault(link.pop("private_dns_zone_name"), []).append(network["name"])
        done(link)
    for _, zone in module.of("azurerm_private_dns_zone"):
        assert zone.pop("resource_group_name")
        name = zone.pop("name")
        kind = "azure.target_zone" if name.endswith(".arriero.internal") else "azure.private_dns_zone"
        yield kind, name, {"networks": networks.get(name, [])}, zone.pop("tags")
        done(zone)
    for _, records in module.of("azurerm_private_dns_a_record"):
        assert records.pop("resource_group_name")
        assert records.pop("zone_name").endswith(".arriero.internal")
        named = [each.removeprefix("address of ") for each in records.pop("records")]
        yield "azure.target_names", records.pop("name"), {"targets": named, "ttl_seconds": records.pop("ttl")}, {}
        done(records)
    for _, endpoint in module.of("azurerm_private_endpoint"):
        assert endpoint.pop("resource_group_name")
        assert endpoint.pop("location")
        [connection], [named] = (many(endpoint, f"private_{each}") for each in ("service_connection", "dns_zone_group"))
        name, subnet = endpoint.pop("name"), module.known[endpoint.pop("subnet_id")]
        assert connection.pop("is_manual_connection") is False
        assert connection.pop("name") == name
        assert named.pop("name") == "default"
        [part] = connection.pop("subresource_names")
        target = connection.pop("private_connection_resource_id")
        properties = {
            "subnet": f"{subnet['virtual_network_name']}/{subnet['name']}",
            "target": module.known[target]["name"] if target in module.known else target.rpartition("/")[2],
            "part": part,
            "zones": [module.known[each]["name"] for each in named.pop("private_dns_zone_ids")],
        }
        yield "azure.private_endpoint", name, properties, endpoint.pop("tags")
        for each in (connection, named, endpoint):
            done(each)


def azure_storage(module: Module) -> Read:
    for _, share in module.of("azurerm_storage_share"):
        assert share.pop("storage_account_id") in module.known
        yield "azure.file_share", share.pop("name"), {"quota_gib": share.pop("quota")}, {}
        group = next(each for each in module.known.values() if str(each.get("name")).endswith(".files"))
        base = "-".join(group["tags"][f"arriero-{each}"] for each in ("service", "site"))
        yield "azure.stored_models", base, {"models": share.pop("metadata")["arrieromodels"]}, {}
        done(share)
    for body, account in sent(module, "Microsoft.Storage/storageAccounts@2023-05-01"):
        settings = body.pop("properties")
        assert body == {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        assert settings.pop("supportsHttpsTrafficOnly") is True
        properties = {
            "location": account["location"],
            "is_private": not settings.pop("allowBlobPublicAccess"),
            "tls": settings.pop("minimumTlsVersion"),
            "public_access": {"Enabled": True, "Disabled": False}[settings.pop("publicNetworkAccess")],
        }
        done(settings)
        yield "azure.storage_account", account["name"], properties, account["tags"]


def azure_targets(module: Module) -> Read:
    for body, group in sent(module, "Microsoft.ContainerInstance/containerGroups@2025-09-01"):
        yield "azure.container_group", group["name"], _group(module, body.pop("properties"), group), group["tags"]
        done(body)
    for body, profile in sent(module, "Microsoft.ContainerInstance/containerGroupProfiles@2025-09-01"):
        yield "azure.spare_profile", profile["name"], _group(module, body.pop("properties"), profile), profile["tags"]
        done(body)
    for body, pool in sent(module, "Microsoft.StandbyPool/standbyContainerGroupPools@2025-03-01"):
        settings = body.pop("properties")
        elastic, made_of = settings.pop("elasticityProfile"), settings.pop("containerGroupProperties")
        profile, [place] = made_of.pop("containerGroupProfile"), made_of.pop("subnetIds")
        # Known once the profile stands: tfparse gives nothing for it, and the text is looked at by a test.
        assert profile.pop("revision") is None
        properties = {
            "location": pool["location"],
            "ready": elastic.pop("maxReadyCapacity"),
            "refill": elastic.pop("refillPolicy"),
            "profile": module.known[profile.pop("id")]["name"],
            "revision": "newest",
            "subnet": subnet(module, place),
            "tags": dict(pool["tags"]),
        }
        yield "azure.spare_pool", pool["name"], properties, pool["tags"]
        for each in (elastic, profile, made_of, settings, body):
            done(each)


def sent(module: Module, kind: str) -> Iterator[tuple[Values, Values]]:
    """Each resource of a type of Resource Manager: its whole body, with what is write-only, and the rest."""
    for address in [each for each, values in module.resources.items() if values.get("type") == kind]:
        found = module.resources.pop(address)
        assert found.pop("parent_id") in module.known
        body, sensitive = found.pop("body"), found.pop("sensitive_body", {"properties": {}})
        hidden = sensitive.pop("properties")
        for member in hidden.keys() & body.get("properties", {}).keys():
            assert body["properties"][member] == as_azure_tells(hidden[member])
        properties = {**body.get("properties", {}), **hidden}
        done(sensitive)
        known = {"depends_on", "response_export_values", "identity", "ignore_casing"}
        assert found.keys() - known == {"type", "name", "location", "tags"}
        yield {**body, "properties": properties}, found


def as_azure_tells(value: Any) -> Any:
    """Without what Container Instances never gives back."""
    if isinstance(value, dict):
        secret = ("secureValue", "username", "password")
        return {key: as_azure_tells(each) for key, each in value.items() if key not in secret}
    return list(map(as_azure_tells, value)) if isinstance(value, list) else value


def _group(module: Module, values: Values, around: Values) -> Values:
    assert values.pop("sku") == "Standard"
    address = values.pop("ipAddress")
    assert {each.pop("protocol") for each in address["ports"]} == {"TCP"}
    found = {
        "location": around["location"],
        "os_type": values.pop("osType"),
        "restart_policy": values.pop("restartPolicy"),
        "address": address["type"].lower(),
        "ports": [each["port"] for each in address["ports"]],
        "containers": dict(_container(each) for each in values.pop("containers")),
        "tags": dict(around["tags"]),
    }
    if "subnetIds" in values:
        [place] = values.pop("subnetIds")
        found["subnet"] = subnet(module, place)
    if "initContainers" in values:
        found["init"] = dict(_container(each) for each in values.pop("initContainers"))
    if "volumes" in values:
        found["volumes"] = {each.pop("name"): _volume(module, each) for each in values.pop("volumes")}
    if "identity" in around:
        found |= pulling(around["identity"], values.pop("imageRegistryCredentials"), "identity")
    elif "imageRegistryCredentials" in values:
        [login] = values.pop("imageRegistryCredentials")
        place = login.pop("password").removeprefix("password of ")
        assert login.pop("username") == f"username of {place}"
        found["login"] = {"server": login.pop("server"), "secret": place}
        done(login)
    if "diagnostics" in values:
        log = values.pop("diagnostics").pop("logAnalytics")
        assert log.pop("logType") == "ContainerInstanceLogs"
        [found["logs_to"]] = _workspace(module, log)
    places = {
        f"arriero-secret-{name}": place for name, place in found["containers"]["ollama"].get("secrets", {}).items()
    }
    places |= {"arriero-registry-login": found["login"]["secret"]} if "login" in found else {}
    assert {key: found["tags"].pop(key) for key in places} == places  # by which a plan knows what a group has
    done(values)
    return found


def pulling(identity: Values, registries: list[Values], key: str) -> Values:
    """What images are pulled with; the plan has ids in small letters, the providers as the spec has them."""
    assert identity["type"] == "UserAssigned"
    return {
        "identities": [each.lower() for each in identity["identity_ids"]],
        "registries": {each["server"]: each[key].lower() for each in registries},
    }


def _container(values: Values) -> tuple[str, Values]:
    told = values.pop("properties")
    found = {
        "image": told.pop("image"),
        "command": told.pop("command"),
        "environment": {each["name"]: each["value"] for each in told["environmentVariables"] if "value" in each},
    }
    secure = [each for each in told.pop("environmentVariables") if "value" not in each]
    if secure:
        found["secrets"] = {each["name"]: each["secureValue"].removeprefix("value of ") for each in secure}
    if "resources" in told:
        asked = told.pop("resources")["requests"]
        found |= {
            "cpu": asked["cpu"],
            "memory_gb": asked["memoryInGB"],
            "liveness": _probe(told.pop("livenessProbe", None)),
        }
        found["ports"] = [each["port"] for each in told.pop("ports")]
    if "volumeMounts" in told:
        found["mounts"] = {each["name"]: each["mountPath"] for each in told.pop("volumeMounts")}
    if "securityContext" in told:
        found["user"] = told.pop("securityContext")["runAsUser"]
    done(told)
    return values["name"], found


def _probe(told: Values | None) -> str | None:
    if told is None:
        return None
    http = told.get("httpGet")
    does = f"GET :{http['port']}{http['path']}" if http else f"`{' '.join(told['exec']['command'])}`"
    return f"{does} every {told['periodSeconds']}s, restart after {told['failureThreshold']} failures"


def _volume(module: Module, told: Values) -> str:
    if "emptyDir" in told:
        assert told == {"emptyDir": {}}
        return "empty"
    share = told["azureFile"]
    assert share["storageAccountKey"] is None
    assert share["storageAccountName"] == module.known["azapi_resource.azure_east_storage"]["name"]
    return f"share {share['shareName']}{', read only' if share['readOnly'] else ''}"


def _workspace(module: Module, log: Values) -> list[str]:
    """Within a body tfparse says nothing for what is not known yet; a test looks at the text."""
    assert (log.pop("workspaceId"), log.pop("workspaceKey")) == (None, None)
    done(log)
    return [each["name"] for address, each in module.known.items() if "_log_analytics_workspace." in address]


def container_app(told: Values) -> Values:
    """What of its container is neither its name, its environment nor a probe."""
    asked = told.pop("resources")
    found = {
        "image": told.pop("image"),
        "command": told.pop("command"),
        "cpu": asked.pop("cpu"),
        "memory_gib": float(asked.pop("memory").removesuffix("Gi")),
    }
    done(asked)
    return found


def subnet(module: Module, told: Values) -> str:
    found = module.known[told.pop("id")]
    return f"{found['virtual_network_name']}/{found['name']}"
