"""Edges at Azure, which are one container app, said in the plan's words again."""

from __future__ import annotations

import json

from terraform_azapi import container_app
from terraform_blocks import Module, Values, done, many


def edges(module: Module, told: Values, around: Values) -> Values:
    configuration, template = told.pop("configuration"), told.pop("template")
    ingress, scale, [inside] = configuration.pop("ingress"), template.pop("scale"), template.pop("containers")
    [identity], [secret] = many(around, "identity"), configuration.pop("secrets")
    assert identity.pop("type") == "UserAssigned"
    assert inside.pop("name") == "edge"
    environment = {each.pop("name"): each for each in inside.pop("env")}
    assert environment.pop("ARRIERO_KEYS") == {"secretRef": secret.pop("name")}
    settings = json.loads(environment.pop("ARRIERO_SETTINGS").pop("value"))
    found = {
        "location": around["location"],
        "environment": module.known[told.pop("environmentId")]["name"],
        "profile": told.pop("workloadProfileName"),
        "ingress": {
            "external": ingress.pop("external"),
            "transport": ingress.pop("transport"),
            "port": ingress.pop("targetPort"),
            "insecure": ingress.pop("allowInsecure"),
        },
        "clients": [each["ipAddressRange"] for each in ingress.pop("ipSecurityRestrictions") if _allows(each)],
        "revisions": configuration.pop("activeRevisionsMode").lower(),
        "replicas": [scale.pop("minReplicas"), scale.pop("maxReplicas")],
        "stop_seconds": template.pop("terminationGracePeriodSeconds"),
        "identities": [each.lower() for each in identity.pop("identity_ids")],
        "keys": {"secret": secret.pop("keyVaultUrl"), "identity": secret.pop("identity").lower()},
        "registries": {each.pop("server"): each.pop("identity").lower() for each in configuration.pop("registries")},
        "container": {**container_app(inside), "readiness": _readiness(inside)},
        "settings": settings,
    }
    # The name that Azure gives is the environment's to tell.
    assert settings["hosts"][0] == f"{around['name']}.domain.of.azapi_resource.azure_east_edge_environment"
    settings["hosts"][0] = "@EDGE_HOST@"
    for each in (environment, identity, secret, inside, ingress, scale, configuration, template, told):
        done(each)
    return found


def _allows(rule: Values) -> bool:
    assert rule.keys() == {"name", "ipAddressRange", "action"}
    return bool(rule["action"] == "Allow")


def _readiness(inside: Values) -> Values:
    [probe] = inside.pop("probes")
    asked = probe.pop("httpGet")
    assert (probe.pop("type"), asked.pop("port"), asked.pop("scheme")) == ("Readiness", 11434, "HTTP")
    found = {
        "path": asked.pop("path"),
        "period": probe.pop("periodSeconds"),
        "timeout": probe.pop("timeoutSeconds"),
        "failures": probe.pop("failureThreshold"),
    }
    done(asked)
    done(probe)
    return found
