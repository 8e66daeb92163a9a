"""Secrets where they don't belong: in the environment, which every console and every task definition shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.plan.model import Resource
from arriero.policy.rule import Hit, Subject, rule

NAMED = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEY|(API|ACCESS|PRIVATE)_KEY)(_|$)")
# How well-known secrets begin; each is documented by who gives it out.
KNOWN = re.compile(
    r"^(AKIA|ASIA)[0-9A-Z]{16}$|^gh[pousr]_[A-Za-z0-9]{30,}$|^github_pat_|^hf_[A-Za-z0-9]{20,}$|^sk-[A-Za-z0-9_-]{20,}$"
    r"|^xox[abprs]-|^glpat-|-----BEGIN [A-Z ]*PRIVATE KEY-----|^eyJ[A-Za-z0-9_-]{10,}\.eyJ|://[^/\s:]+:[^/\s@]+@"
)


@rule(
    "env-secret",
    "error",
    reason="an environment is shown by consoles, logs and task definitions to everybody who may look",
    remedy="take it out, and give the secret out anew: it was written down",
)
def env_secret(subject: Subject) -> Iterator[Hit]:
    """Never tells the value."""
    spec = subject.spec
    written = {"environment": spec.environment}
    written |= {f"sites.{name}.environment": site.environment or {} for name, site in spec.sites.items()}
    for key, variables in written.items():
        for name, value in variables.items():
            if is_secret(name, value):
                yield Hit(f"{key}.{name}", f"{name} looks like a secret")
    known = {name for variables in written.values() for name in variables}
    for site in subject.facts.sites.values() if subject.facts else ():
        for resource in site.resources if site.site in spec.sites else ():
            for name, value in _environment(resource):
                if name not in known and is_secret(name, value):
                    what = f"{resource.name} was given {name}, which looks like a secret"
                    yield Hit(f"sites.{site.site}", what, remedy="run `arriero up`, which takes it away again")


def is_secret(name: str, value: str) -> bool:
    """By its name where it has a value, or by how the value begins."""
    return bool(value.strip() and (NAMED.search(name.upper()) or KNOWN.search(value)))


def _environment(resource: Resource) -> Iterator[tuple[str, str]]:
    """What the containers of a task or a group that was read are given, each name once."""
    key = {
        "aws.task_definition": "containerDefinitions",
        "azure.container_group": "containers",
        "azure.container_app": "containers",
        "azure.virtual_machine": "containers",
    }.get(resource.kind)
    containers = cast("Mapping[str, Mapping[str, Any]]", resource.properties.get(key or "") or {})
    pairs = {
        name: str(value or "")
        for container in containers.values()
        for name, value in (container.get("environment") or {}).items()
    }
    yield from pairs.items()


RULES = (env_secret,)
