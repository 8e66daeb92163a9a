"""How long a registry keeps a service's images, pure: every digest of the last N releases, and what was ever stable;
and, where the spec asks for it (`image.replicate`), in which other regions ECR keeps copies, or ACR stands, too.

Set on a registry that stands: it has to be there before anything can be pushed, so it is never made here and never
removed. What is here is ECR's lifecycle policy; ACR has no such rules but a task of its own (`purging.py`).

ECR evaluates rules by priority, and "an image that matches the tagging requirements of a rule cannot be expired by a
rule with a lower priority" (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html): so a first
rule that never comes true keeps what is stable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from arriero.errors import Problem
from arriero.plan import purging
from arriero.plan.compare import compare
from arriero.plan.model import Plan, Resource, StoreFacts, StorePlan
from arriero.spec.image import ECR, repository_of
from arriero.spec.model import Spec

KEPT_ALWAYS = 9999
REPOSITORY, REPLICATION, STANDING = "aws.repository", "aws.replication", "azure.replication"
COPIED, PREMIUM = "copied", "Premium"
COMMIT_DAYS, PREFIXES = purging.COMMIT_DAYS, purging.PREFIXES
UNTAGGED_DAYS = 7


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
    found = ECR.fullmatch(repository_of(spec.image.at("aws")))
    return Place(**found.groupdict()) if found and found["name"] else None


def copies(spec: Spec) -> tuple[Place, ...]:
    """The repositories in other regions that sites at AWS pull from; none unless the spec asks for them."""
    home = place(spec)
    if home is None or not spec.image.replicate:
        return ()
    regions = {site.region for site in spec.sites.values() if site.cloud == "aws"} - {home.region}
    return tuple(replace(home, region=region) for region in sorted(regions))


def own_copies(found: StoreFacts) -> tuple[str, ...]:
    """The regions to which a registry copies by the rule that is for this repository alone."""
    own = [each.details["own"] for each in found.resources if each.kind == REPLICATION]
    return cast("tuple[str, ...]", own[0]) if own else ()


def abroad(spec: Spec) -> tuple[str, ...]:
    """The regions of Azure in which the registry is to stand; one of them may be its own. None unless the spec asks
    for it.
    """
    if not spec.image.replicate or purging.place(spec) is None:
        return ()
    return tuple(sorted({site.region for site in spec.sites.values() if site.cloud == "azure"}))


def missing_regions(spec: Spec, found: StoreFacts) -> tuple[str, ...]:
    """Where a registry of Azure that can stand elsewhere does not, and should."""
    there = _standing(found)
    return () if there is None else tuple(each for each in abroad(spec) if each not in {found.region, *there})


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
    """What the registries need; nothing where there is none of ours. A copy's repository is missed only where the one
    that it is a copy of stands: before that, nothing was pushed at all.
    """
    known = tuple(found)
    copied = {each.region for each in copies(spec)}
    began = any(each.is_there or each.problem for each in known if each.cloud == "aws" and each.region not in copied)
    missed = [each for each in known if each.cloud == "aws" and each.region in copied and began]
    return tuple(_plan(spec, each) for each in known if each.is_there or each.problem or each in missed)


def obstacles(plan: Plan) -> tuple[Problem, ...]:
    """Why sites that are to be changed could start no target: the registry of their region has not the image."""
    changing = {(site.cloud, site.region) for site in plan.sites if site.steps and not site.is_leaving}
    lacking = [each for each in plan.registries if each.lacks and (each.cloud, each.region) in changing]
    return tuple(each.problem for each in lacking if each.problem)


def _plan(spec: Spec, found: StoreFacts) -> StorePlan:
    plan = StorePlan(found.cloud, found.name, found.region, problem=found.problem)
    if found.problem:
        return plan
    if lack := _lack(spec, found):
        plan = replace(plan, problem=lack, lacks=True)
    if bound := _bound(spec, found) or _filling(spec, found):
        plan = replace(plan, problem=bound)
    wishes = _wishes(spec, found) if found.is_there else []
    kinds = {wish.kind for wish in wishes}
    there = [resource for resource in found.resources if resource.kind in kinds]
    return replace(plan, changes=compare("registry", wishes, there, {}))


def _wishes(spec: Spec, found: StoreFacts) -> list[Resource]:
    where = purging.place(spec)
    if found.cloud == "azure" and where:
        more = dict.fromkeys(missing_regions(spec, found), COPIED)
        return [purging.wish(spec, where), *([Resource(STANDING, found.name, more)] if more else [])]
    wishes = [Resource(REPOSITORY, found.name, {"expires": rules(policy(spec.image.keep))})]
    regions = [each.region for each in copies(spec)]
    if regions and found.region not in regions:
        wishes.append(Resource(REPLICATION, found.name, dict.fromkeys(regions, COPIED)))
    return wishes


def _lack(spec: Spec, found: StoreFacts) -> Problem | None:
    """Why nobody can pull from a copy: ECR copies nothing that was pushed before it was told to."""
    if found.is_there and found.resources[0].details.get("holds", True):
        return None
    key, again = "image.replicate", "arriero image push"
    if found.is_there:
        what = f"ECR of {found.region} has no {found.name} {wanted_of(spec)}: what was pushed before is not copied"
        return Problem(what, f"push it there, too: {again}", key)
    made = f"aws ecr create-repository --region {found.region} --repository-name {found.name}"
    return Problem(f"ECR of {found.region} has no repository {found.name}", f"make it ({made}), then {again}", key)


def _bound(spec: Spec, found: StoreFacts) -> Problem | None:
    """Why a registry of Azure stands in its own region alone: targets pull from it all the same."""
    if found.cloud != "azure" or not found.is_there or not set(abroad(spec)) - {found.region}:
        return None
    about = found.resources[0].details
    if about["sku"] == PREMIUM:
        return None
    what = f"{found.name} is {about['sku']}, and only Premium stands in more regions than {found.region}"
    remedy = f"az acr update --name {about['name']} --sku Premium, at its price; or remove the line"
    return Problem(what, remedy, "image.replicate")


def _filling(spec: Spec, found: StoreFacts) -> Problem | None:
    """Where a registry of Azure stands, and was never filled: targets pull from another region meanwhile."""
    there = _standing(found) or {}
    filling = [f"{each} ({there[each]})" for each in abroad(spec) if there.get(each, COPIED) != COPIED]
    if not filling:
        return None
    what = f"{found.name} does not hold all images yet in {', '.join(filling)}"
    return Problem(what, "those of other regions are pulled until it does: arriero plan says when", "image.replicate")


def _standing(found: StoreFacts) -> Mapping[str, Any] | None:
    """How a registry of Azure stands in each region; None where that was not asked, or there are no others."""
    return next((each.properties for each in found.resources if each.kind == STANDING), None)


def wanted_of(spec: Spec) -> str:
    """The digest that sites pull, or the tag where none is known."""
    return spec.image.digest or spec.image.tag


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
