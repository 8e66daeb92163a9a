"""Reads what a module says of load balancers and names in the plan's words, as `terraform_module.py` reads the rest."""

from __future__ import annotations

from collections.abc import Mapping

from terraform_blocks import Module, Read, Values, done, many


def attachment(block: Values) -> Values:
    found = {
        "group": block.pop("target_group_arn"),
        "container": block.pop("container_name"),
        "port": block.pop("container_port"),
    }
    done(block)
    return found


def registry(module: Module, block: Values) -> str:
    """The whole name under which a service's tasks are written down."""
    name = module.known[block.pop("registry_arn")]
    done(block)
    [config] = many(dict(name), "dns_config")
    return f"{name['name']}.{module.known[config['namespace_id']]['name']}"


def aws_names(module: Module) -> Read:
    zones = {}
    for address, zone in module.of("aws_service_discovery_private_dns_namespace"):
        assert zone.pop("vpc").startswith("aws_vpc.")
        zones[address] = (zone.pop("name"), zone.pop("tags"))
        done(zone)
    for _, name in module.of("aws_service_discovery_service"):
        [config], [health] = many(name, "dns_config"), many(name, "health_check_custom_config")
        [record] = many(config, "dns_records")
        zone, tags = zones[config.pop("namespace_id")]
        assert (config.pop("routing_policy"), record.pop("type"), name.pop("force_destroy")) == (
            "MULTIVALUE",
            "A",
            True,
        )
        assert health.pop("failure_threshold") == 1
        assert name.pop("tags") == tags
        yield "aws.names", zone, {"name": name.pop("name"), "ttl_seconds": record.pop("ttl")}, tags
        for each in (name, config, record, health):
            done(each)


def aws_ingress(module: Module) -> Read:
    for _, group in module.of("aws_lb_target_group"):
        yield "aws.target_group", group.pop("name"), _target_group(group), group.pop("tags")
        done(group)
    rules: dict[str, dict[int, str]] = {}
    for _, each in module.of("aws_lb_listener_rule"):
        rules.setdefault(each.pop("listener_arn"), {})[each.pop("priority")] = _rule(each)
        done(each)
    listeners: dict[str, Values] = {}
    for address, each in module.of("aws_lb_listener"):
        assert each.pop("tags")
        port = str(each.pop("port"))
        listeners.setdefault(each.pop("load_balancer_arn"), {})[port] = _listener(each, rules.get(address, {}))
        done(each)
    acls = {}
    for _, one in module.of("aws_wafv2_web_acl_association"):
        acls[one.pop("resource_arn")] = one.pop("web_acl_arn")
        done(one)
    for address, balancer in module.of("aws_lb"):
        assert balancer.pop("load_balancer_type") == "application"
        properties = {
            "scheme": "internal" if balancer.pop("internal") else "internet-facing",
            "subnets": balancer.pop("subnets"),
            "security_groups": balancer.pop("security_groups"),
            "idle_seconds": balancer.pop("idle_timeout"),
            "drops_invalid_headers": balancer.pop("drop_invalid_header_fields"),
            "listeners": listeners[address],
            "web_acl": acls.get(address),
        }
        yield "aws.load_balancer", balancer.pop("name"), properties, balancer.pop("tags")
        done(balancer)


def _target_group(group: Values) -> Values:
    [health], [sticky] = many(group, "health_check"), many(group, "stickiness")
    assert group.pop("vpc_id").startswith("aws_vpc.")
    assert health.pop("protocol") == "HTTP"
    found = {
        "protocol": group.pop("protocol"),
        "port": group.pop("port"),
        "type": group.pop("target_type"),
        "health": {
            "interval": health.pop("interval"),
            "timeout": health.pop("timeout"),
            "healthy": health.pop("healthy_threshold"),
            "unhealthy": health.pop("unhealthy_threshold"),
            "codes": health.pop("matcher"),
            "path": health.pop("path"),
        },
        "drain_seconds": group.pop("deregistration_delay"),
        "algorithm": group.pop("load_balancing_algorithm_type"),
        "is_sticky": sticky["enabled"],
    }
    done(health)
    return found


def _rule(each: Values) -> str:
    [action], told = many(each, "action"), []
    assert action["type"] == "forward"
    for condition in many(each, "condition"):
        for header in many(condition, "http_header"):
            [value] = header["values"]
            told.append(f"{header['http_header_name']} is {value}")
        for path in many(condition, "path_pattern"):
            told.append(f"the path is {' or '.join(path['values'])}")
        done(condition)
    return f"forward to {action['target_group_arn']} if {' and '.join(told)}"


def _listener(each: Values, rules: Mapping[int, str]) -> Values:
    [action] = many(each, "default_action")
    found = {"protocol": each.pop("protocol")}
    if action["type"] != "redirect":
        found |= _answer(action, rules)
        found |= {"certificate": each.pop("certificate_arn"), "tls_policy": each.pop("ssl_policy")}
        return found
    [there] = many(action, "redirect")
    code = there["status_code"].removeprefix("HTTP_")
    return {**found, "action": f"redirect to {there['protocol']} {there['port']} by {code}"}


def _answer(action: Values, rules: Mapping[int, str]) -> Values:
    if action["type"] == "forward":
        return {"action": f"forward to {action['target_group_arn']}"}
    [answer] = many(action, "fixed_response")
    assert action["type"] == "fixed-response"
    return {"action": f"answer {answer['status_code']}", "rules": [rules[place] for place in sorted(rules)]}
