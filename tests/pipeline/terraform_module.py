"""Reads a Terraform module with tfparse, which evaluates it, and says it in the plan's words again.

Written from the providers' documentation and not from the code that writes the module. Every argument is taken out as
it is understood: what is left over at the end is something that the plan does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from terraform_alerts import azure_alerts
from terraform_apps import azure_apps
from terraform_azapi import azure_private, azure_storage, azure_targets, pulling
from terraform_blocks import Key, Module, Read, Values, done, many
from terraform_door import azure_front_door
from terraform_ecs import aws_service
from terraform_files import aws_files
from terraform_ingress import aws_ingress, aws_names
from terraform_machines import aws_machines
from terraform_scaling import aws_scaling
from terraform_vms import azure_machines


def as_plan(module: Module) -> tuple[dict[Key, Values], dict[Key, Values]]:
    """The plan's resources: properties and tags by kind and name. Empties the module of what it understood."""
    plan: dict[Key, Values] = {}
    tags: dict[Key, Values] = {}
    for read in (*AWS, *AZURE):
        for kind, name, properties, own_tags in read(module):
            plan[(kind, name)] = {**plan.get((kind, name), {}), **properties}
            if own_tags:
                tags[(kind, name)] = own_tags
    return plan, tags


def _roles(module: Module) -> Read:
    attached: dict[str, list[str]] = {}
    inline: dict[str, Values] = {}
    for _, one in module.of("aws_iam_role_policy_attachment"):
        attached.setdefault(one.pop("role"), []).append(one.pop("policy_arn"))
        done(one)
    for _, one in module.of("aws_iam_role_policy"):
        inline.setdefault(one.pop("role"), {})[one.pop("name")] = json.loads(one.pop("policy"))
        done(one)
    for _, one in module.of("aws_iam_role_policy_attachments_exclusive"):
        assert attached.get(one.pop("role_name"), []) == one.pop("policy_arns")
        done(one)
    for _, one in module.of("aws_iam_role_policies_exclusive"):
        assert list(inline.get(one.pop("role_name"), {})) == one.pop("policy_names")
        done(one)
    for _, role in module.of("aws_iam_role"):
        name = role.pop("name")
        trust = json.loads(role.pop("assume_role_policy"))
        properties = {
            "path": role.pop("path"),
            "trust": trust["Statement"],
            "policies": [arn.partition(":iam::aws:policy/")[2] for arn in attached.get(name, [])],
            "inline_policies": inline.get(name, {}),
        }
        yield "aws.role", name, properties, role.pop("tags")
        role.pop("description")
        done(role)


def _aws_network(module: Module) -> Read:
    subnets: dict[str, str] = {}
    for _, vpc in module.of("aws_vpc"):
        tags = vpc.pop("tags")
        properties = {"cidr": vpc.pop("cidr_block"), "dns_support": vpc.pop("enable_dns_support")}
        if "enable_dns_hostnames" in vpc:
            properties["dns_names"] = vpc.pop("enable_dns_hostnames")
        yield "aws.vpc", tags["Name"], properties, tags
        done(vpc)
    for _, gateway in module.of("aws_internet_gateway"):
        tags = gateway.pop("tags")
        yield "aws.internet_gateway", tags["Name"], {"attached": gateway.pop("vpc_id").startswith("aws_vpc.")}, tags
        done(gateway)
    for address, subnet in module.of("aws_subnet"):
        tags = subnet.pop("tags")
        subnets[address] = tags["Name"]
        assert subnet.pop("vpc_id").startswith("aws_vpc.")
        properties = {"cidr": subnet.pop("cidr_block"), "zone": subnet.pop("availability_zone")}
        if "map_public_ip_on_launch" in subnet:
            properties["public_addresses"] = subnet.pop("map_public_ip_on_launch")
        yield "aws.subnet", tags["Name"], properties, tags
        done(subnet)
    yield from _ways_out(module, subnets)
    yield from _routes(module, subnets)
    for _, group in module.of("aws_security_group"):
        rules = {way: _group_rules(many(group, way)) for way in ("ingress", "egress")}
        assert group.pop("vpc_id").startswith(("aws_vpc.", "vpc-"))
        yield "aws.security_group", group.pop("name"), rules, group.pop("tags")
        group.pop("description")
        done(group)


def _ways_out(module: Module, subnets: Mapping[str, str]) -> Read:
    """Things without a Name are known by their site's tag."""
    for _, address in module.of("aws_eip"):
        tags = address.pop("tags")
        yield "aws.elastic_ip", _site(tags), {"domain": address.pop("domain")}, tags
        done(address)
    for _, gateway in module.of("aws_nat_gateway"):
        tags = gateway.pop("tags")
        assert gateway.pop("allocation_id").startswith("aws_eip.")
        assert gateway.pop("depends_on")
        yield (
            "aws.nat_gateway",
            _site(tags),
            {"subnet": subnets[gateway.pop("subnet_id")], "address": _site(tags)},
            tags,
        )
        done(gateway)
    for _, endpoint in module.of("aws_vpc_endpoint"):
        tags, properties = endpoint.pop("tags"), {"type": endpoint.pop("vpc_endpoint_type")}
        assert endpoint.pop("vpc_id").startswith("aws_vpc.")
        if properties["type"] == "Interface":
            properties["private_names"] = endpoint.pop("private_dns_enabled")
            properties["security_groups"] = endpoint.pop("security_group_ids")
            properties["subnets"] = sorted(subnets[each] for each in endpoint.pop("subnet_ids"))
        else:
            properties["route_tables"] = endpoint.pop("route_table_ids")
        service = re.sub(r"^com\.amazonaws\.[a-z0-9-]+\.", "", endpoint.pop("service_name"))
        yield "aws.vpc_endpoint", f"{_site(tags)} {service}", properties, tags
        done(endpoint)


def _site(tags: Mapping[str, str]) -> str:
    return f"{tags['arriero-service']}-{tags['arriero-site']}"


def _routes(module: Module, subnets: Mapping[str, str]) -> Read:
    joined: dict[str, list[str]] = {}
    for _, one in module.of("aws_route_table_association"):
        joined.setdefault(one.pop("route_table_id"), []).append(subnets[one.pop("subnet_id")])
        done(one)
    for address, table in module.of("aws_route_table"):
        tags, way = table.pop("tags"), None
        for route in many(table, "route"):
            assert route["cidr_block"] == "0.0.0.0/0"
            leads = route.get("gateway_id") or route.get("nat_gateway_id")
            ways = {"aws_internet_gateway": "internet gateway", "aws_nat_gateway": "nat gateway"}
            way = ways[leads.partition(".")[0]]
        assert table.pop("vpc_id").startswith("aws_vpc.")
        yield "aws.route_table", tags["Name"], {"default": way, "subnets": sorted(joined[address])}, tags
        done(table)


def _group_rules(blocks: list[Values]) -> list[str]:
    lines = []
    for block in blocks:
        first, last = block.pop("from_port"), block.pop("to_port")
        ports = f"{first}" if first == last else f"{first}-{last}"
        protocol = block.pop("protocol")
        kinds = ("cidr_blocks", "security_groups", "prefix_list_ids")
        lines += [f"{protocol} {ports} {peer}" for kind in kinds for peer in block.pop(kind, None) or ()]
        done(block)
    return sorted(lines)


def _azure_group(module: Module) -> Read:
    for _, group in module.of("azurerm_resource_group"):
        name, tags, properties = group.pop("name"), group.pop("tags"), {"location": group.pop("location")}
        if "arriero-spares" in tags:
            properties["spares"] = tags["arriero-spares"]
        yield "azure.storage_group" if name.endswith(".files") else "azure.resource_group", name, properties, tags
        done(group)


def _azure_network(module: Module) -> Read:
    for _, group in module.of("azurerm_network_security_group"):
        rules = dict(map(_nsg_rule, many(group, "security_rule")))
        yield "azure.network_security_group", _placed(group), {"rules": rules}, group.pop("tags")
        done(group)
    for _, address in module.of("azurerm_public_ip"):
        properties = {"allocation": address.pop("allocation_method").lower(), "sku": address.pop("sku")}
        yield "azure.public_ip", _placed(address), properties, address.pop("tags")
        done(address)
    gateways = {}
    for address, gateway in module.of("azurerm_nat_gateway"):
        gateways[address] = _placed(gateway)
        done(gateway)
    for _, tie in module.of("azurerm_nat_gateway_public_ip_association"):
        name = gateways[tie.pop("nat_gateway_id")]
        yield "azure.nat_gateway", name, {"public_ips": [tie.pop("public_ip_address_id").partition(".")[2]]}, {}
        done(tie)
    for _, network in module.of("azurerm_virtual_network"):
        prefixes = {"address_prefixes": network.pop("address_space")}
        yield "azure.virtual_network", _placed(network), prefixes, network.pop("tags")
        done(network)
    yield from _azure_subnets(module)


def _azure_subnets(module: Module) -> Read:
    ties: dict[str, Values] = {}
    for kind, field in (("network_security_group", "security_group"), ("nat_gateway", "nat_gateway")):
        for _, tie in module.of(f"azurerm_subnet_{kind}_association"):
            ties.setdefault(tie.pop("subnet_id"), {})[field] = tie.pop(f"{kind}_id").partition(".")[2]
            done(tie)
    for address, subnet in module.of("azurerm_subnet"):
        assert subnet.pop("resource_group_name")
        [prefix], name = subnet.pop("address_prefixes"), subnet.pop("name")
        if name == "endpoints":
            assert subnet.pop("private_endpoint_network_policies") == "Disabled"
            assert subnet.pop("virtual_network_name")
            yield "azure.endpoint_subnet", name, {"prefix": prefix}, {}
            done(subnet)
            continue
        if name == "edges":
            given = [each["service_delegation"]["name"] for each in many(subnet, "delegation")]
            assert subnet.pop("virtual_network_name")
            yield "azure.edge_subnet", name, {"prefix": prefix, "delegations": given}, {}
            done(subnet)
            continue
        assert name == "targets"
        services = [each["service_delegation"]["name"] for each in many(subnet, "delegation")]
        properties = {"subnet": {"prefix": prefix, "delegations": services, **ties[address]}}
        yield "azure.virtual_network", subnet.pop("virtual_network_name"), properties, {}
        done(subnet)


def _nsg_rule(rule: Values) -> tuple[str, str]:
    def one_ormany(one: str, many: str) -> str:
        return ",".join(sorted([rule.pop(one)] if one in rule else rule.pop(many)))

    sources = one_ormany("source_address_prefix", "source_address_prefixes")
    targets = one_ormany("destination_address_prefix", "destination_address_prefixes")
    ports = one_ormany("destination_port_range", "destination_port_ranges")
    assert rule.pop("source_port_range") == "*"
    what = f"{rule.pop('direction')} {rule.pop('access')} {rule.pop('protocol')}".lower()
    line = f"{rule.pop('priority')} {what} from {sources} to {targets}:{ports}"
    name = rule.pop("name")
    done(rule)
    return name, line


def _azure_targets(module: Module) -> Read:
    names: dict[str, str] = {}
    for address, workspace in module.of("azurerm_log_analytics_workspace"):
        properties = {
            "location": workspace["location"],
            "retention_days": workspace.pop("retention_in_days"),
            "sku": workspace.pop("sku"),
        }
        names[address] = _placed(workspace)
        yield "azure.log_workspace", names[address], properties, workspace.pop("tags")
        done(workspace)
    for _, group in module.of("azurerm_container_group"):
        containers = {each.pop("name"): _container(each) for each in many(group, "container")}
        [subnet] = (module.known[each] for each in group.pop("subnet_ids"))
        properties = {
            "os_type": group.pop("os_type"),
            "restart_policy": group.pop("restart_policy"),
            "address": group.pop("ip_address_type").lower(),
            "ports": sorted(port for each in containers.values() for port in each["ports"]),
            "subnet": f"{subnet['virtual_network_name']}/{subnet['name']}",
            "containers": containers,
            "location": group["location"],
            "tags": dict(group["tags"]),
        }
        for told in many(group, "diagnostics"):
            [log] = many(told, "log_analytics")
            assert log.pop("log_type") == "ContainerInstanceLogs"
            assert log.pop("workspace_key")
            # Both are known once the workspace stands: tfparse says whose they are.
            asked = json.dumps(log.pop("workspace_id"))
            [properties["logs_to"]] = [name for address, name in names.items() if address in asked]
            done(log)
        for identity in many(group, "identity"):
            properties |= pulling(identity, many(group, "image_registry_credential"), "user_assigned_identity_id")
        assert group.pop("depends_on")
        yield "azure.container_group", _placed(group), properties, group.pop("tags")
        done(group)


def _container(values: Values) -> Values:
    probe = many(values, "liveness_probe")
    found = {
        "image": values.pop("image"),
        "cpu": values.pop("cpu"),
        "memory_gb": values.pop("memory"),
        "ports": [each["port"] for each in many(values, "ports")],
        "command": values.pop("commands", []),
        "environment": values.pop("environment_variables"),
        "liveness": _probe(probe[0]) if probe else None,
    }
    done(values)
    return found


def _probe(probe: Values) -> str:
    http = many(probe, "http_get")
    does = f"GET :{http[0]['port']}{http[0]['path']}" if http else f"`{' '.join(probe.pop('exec'))}`"
    line = f"{does} every {probe.pop('period_seconds')}s, restart after {probe.pop('failure_threshold')} failures"
    done(probe)
    return line


def _placed(values: Values) -> str:
    """A thing's name; it stands in its site's resource group and region."""
    assert values.pop("resource_group_name")
    assert values.pop("location")
    return str(values.pop("name"))


AWS: tuple[Callable[[Module], Read], ...] = (
    _roles,
    _aws_network,
    aws_machines,
    aws_files,
    aws_service,
    aws_scaling,
    aws_ingress,
    aws_names,
)
AZURE: tuple[Callable[[Module], Read], ...] = (
    _azure_group,
    _azure_network,
    azure_private,
    azure_storage,
    _azure_targets,
    azure_targets,
    azure_alerts,
    azure_front_door,
    azure_apps,
    azure_machines,
)
