"""Container apps and their environments in a module, said in the plan's words again."""

from __future__ import annotations

from terraform_app_edges import edges
from terraform_azapi import container_app, pulling, sent, subnet
from terraform_blocks import Module, Read, Values, done

from arriero.plan.wanted import azure_apps as wish

ENVIRONMENTS, APPS = "Microsoft.App/managedEnvironments@2025-01-01", "Microsoft.App/containerApps@2025-01-01"


def azure_apps(module: Module) -> Read:
    for body, around in sent(module, ENVIRONMENTS):
        kind = "azure.edge_environment" if around["name"].endswith("-edge") else "azure.app_environment"
        yield kind, around["name"], _environment(module, body, around), around["tags"]
    for body, app in sent(module, APPS):
        is_edge = app["name"].endswith("-edge")
        read = edges if is_edge else _app
        yield (
            "azure.edges" if is_edge else "azure.container_app",
            app["name"],
            read(module, body.pop("properties"), app),
            app["tags"],
        )
        done(body)


def _environment(module: Module, body: Values, around: Values) -> Values:
    settings = body.pop("properties")
    network, profiles = settings.pop("vnetConfiguration"), settings.pop("workloadProfiles")
    assert settings.pop("zoneRedundant") is False
    assert all(each["name"] == each["workloadProfileType"] and len(each) == 2 for each in profiles)
    found = {
        "location": around["location"],
        "subnet": subnet(module, {"id": network.pop("infrastructureSubnetId")}),
        "is_internal": network.pop("internal"),
        "profiles": [each["name"] for each in profiles],
    }
    for each in (network, settings, body):
        done(each)
    return found


def _app(module: Module, told: Values, around: Values) -> Values:
    configuration, template = told.pop("configuration"), told.pop("template")
    ingress, scale = configuration.pop("ingress"), template.pop("scale")
    assert 0 <= ingress.pop("exposedPort") - wish.FIRST_PORT < wish.PORTS
    found = {
        "location": around["location"],
        "environment": _environment_name(module, told),
        "profile": told.pop("workloadProfileName"),
        "ingress": {
            "external": ingress.pop("external"),
            "transport": ingress.pop("transport"),
            "port": ingress.pop("targetPort"),
        },
        "replicas": [scale.pop("minReplicas"), scale.pop("maxReplicas")],
        "revisions": configuration.pop("activeRevisionsMode").lower(),
        "stop_seconds": template.pop("terminationGracePeriodSeconds"),
        "containers": dict(map(_container, template.pop("containers"))),
        "tags": dict(around["tags"]),
    }
    if "identity" in around:
        found |= pulling(around["identity"], configuration.pop("registries"), "identity")
    for each in (ingress, scale, configuration, template, told):
        done(each)
    return found


def _environment_name(module: Module, told: Values) -> str:
    """Within the body of many tfparse says nothing for another one's id; a test looks at the text."""
    assert told.pop("environmentId") is None
    [found] = (each["name"] for address, each in module.known.items() if address.endswith("_environment"))
    return str(found)


def _container(told: Values) -> tuple[str, Values]:
    name, environment = told.pop("name"), {each["name"]: each["value"] for each in told.pop("env")}
    found = {**container_app(told), "environment": environment}
    done(told)
    return name, found
