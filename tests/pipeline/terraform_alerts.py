"""Azure Monitor's action groups and rules in a module, said in the plan's words again."""

from __future__ import annotations

from terraform_azapi import sent
from terraform_blocks import Module, Read, done, many


def azure_alerts(module: Module) -> Read:
    keys = set()
    for address, key in module.of("variable", "_alerts_key"):
        assert key.pop("description")
        assert (key.pop("sensitive"), key.pop("ephemeral")) == (True, True)
        assert key.pop("type")
        assert key.pop("validation")["error_message"]
        keys.add(address.partition(".")[2])
        done(key)
    for body, action in sent(module, "Microsoft.Insights/actionGroups@2023-01-01"):
        told = body.pop("properties")
        assert told.pop("groupShortName") == "arriero"
        assert action["location"] == "global"
        receivers = {}
        for hook in told.pop("webhookReceivers"):
            url, _, key = hook.pop("serviceUri").partition("?key=value of ")
            receivers[hook.pop("name")] = {
                "url": url,
                "key": "given" if key in keys else "missing",
                "schema": "common" if hook.pop("useCommonAlertSchema") else "own",
            }
            done(hook)
        properties = {"enabled": told.pop("enabled"), "receivers": receivers}
        yield "azure.action_group", action["name"], properties, action["tags"]
        done(told)
        done(body)
    for _, rule in module.of("azurerm_monitor_metric_alert"):
        assert rule.pop("resource_group_name")
        assert rule.pop("severity") == 3
        [goal], [action], [scope] = many(rule, "criteria"), many(rule, "action"), rule.pop("scopes")
        assert goal.pop("metric_namespace") == "Microsoft.ContainerInstance/containerGroups"
        assert goal.pop("aggregation") == "Average"
        [dimension] = many(goal, "dimension")
        assert (dimension.pop("name"), dimension.pop("operator")) == ("containerName", "Include")
        [container] = dimension.pop("values")
        properties = {
            "enabled": rule.pop("enabled"),
            "scope": scope,
            "metric": goal.pop("metric_name"),
            "container": container,
            "operator": goal.pop("operator"),
            "threshold": goal.pop("threshold"),
            "window": rule.pop("window_size"),
            "frequency": rule.pop("frequency"),
            "resolves": rule.pop("auto_mitigate"),
            "action": module.known[action.pop("action_group_id")]["name"],
        }
        yield "azure.metric_alert", rule.pop("name"), properties, rule.pop("tags")
        for each in (dimension, goal, action, rule):
            done(each)
