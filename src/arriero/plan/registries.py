"""How long a registry keeps a service's images, pure: every digest of the last N releases, and what was ever stable.

Set on a registry that stands: it has to be there before anything can be pushed, so it is never made here and never
removed. What is here is ECR's lifecycle policy; ACR has no such rules but a task of its own (`purging.py`).

ECR evaluates rules by priority, and "an image that matches the tagging requirements of a rule cannot be expired by a
rule with a lower priority" (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html): so a first
rule that never comes true keeps what is stable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from arriero.plan import purging
from arriero.plan.compare import compare
from arriero.plan.model import Resource, StoreFacts, StorePlan
from arriero.spec.image import repository_of
from arriero.spec.model import Spec

KEPT_ALWAYS = 9999
COMMIT_DAYS, PREFIXES = purging.COMMIT_DAYS, purging.PREFIXES
UNTAGGED_DAYS = 7
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(.+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A repository of ECR: whose, where, and its name."""

    account: str
    region: str
    name: str


def place(spec: Spec) -> Place | None:
    """Where the sites at AWS pull from, if that is ECR."""
    if all(site.cloud != "aws" for site in spec.sites.values()):
        return None
    found = _ECR.fullmatch(repository_of(spec.image.at("aws")))
    return Place(*found.groups()) if found else None


def policy(keep: int) -> Mapping[str, Any]:
    """A lifecycle policy. Commits that were never released go after a month, untagged images in a week."""
    heads = PREFIXES.values()  # of both variants, whichever the spec has: a repository has one policy
    kinds: list[dict[str, Any]] = [
        *({"why": "what was ever stable is kept", "tagged": f"{head}stable*", "count": KEPT_ALWAYS} for head in heads),
        *({"why": f"the newest {keep} releases are kept", "tagged": f"{head}r*", "count": keep} for head in heads),
        *({"why": "commits that were not released", "tagged": f"{head}git-*", "days": COMMIT_DAYS} for head in heads),
        {"why": "images without a tag", "days": UNTAGGED_DAYS},
    ]
    return {"rules": [_rule(priority, **kind) for priority, kind in enumerate(kinds, 1)]}


def rules(found: Mapping[str, Any]) -> tuple[str, ...]:
    """A policy's rules in the order in which they count, a short line each: what a plan compares and shows."""
    ordered = sorted(found.get("rules", ()), key=lambda rule: int(rule["rulePriority"]))
    return tuple(_line(rule["selection"]) for rule in ordered)


def plans(spec: Spec, found: Iterable[StoreFacts]) -> tuple[StorePlan, ...]:
    """What the registries need; nothing where there is none of ours."""
    return tuple(_plan(spec, each) for each in found if each.is_there or each.problem)


def _plan(spec: Spec, found: StoreFacts) -> StorePlan:
    plan = StorePlan(found.cloud, found.name, found.region, problem=found.problem)
    if found.problem:
        return plan
    where = purging.place(spec)
    if found.cloud == "azure" and where:
        wish = purging.wish(spec, where)
    else:
        wish = Resource("aws.repository", found.name, {"expires": rules(policy(spec.image.keep))})
    there = [resource for resource in found.resources if resource.kind == wish.kind]
    return replace(plan, changes=compare("registry", [wish], there, {}))


def _line(selection: Mapping[str, Any]) -> str:
    tags = (*selection.get("tagPatternList", ()), *(f"{prefix}*" for prefix in selection.get("tagPrefixList", ())))
    which = ", ".join(tags) or str(selection["tagStatus"])
    unit = f" {selection['countUnit']}" if "countUnit" in selection else ""
    return f"{which}: {selection['countType']} {selection['countNumber']}{unit}"


def _rule(
    priority: int, why: str, *, tagged: str | None = None, count: int | None = None, days: int | None = None
) -> dict[str, Any]:
    chosen: dict[str, Any] = {"tagStatus": "tagged" if tagged else "untagged"}
    chosen |= {"tagPatternList": [tagged]} if tagged else {}
    if count is not None:
        chosen |= {"countType": "imageCountMoreThan", "countNumber": count}
    else:
        chosen |= {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"rulePriority": priority, "description": why, "selection": chosen, "action": {"type": "expire"}}
