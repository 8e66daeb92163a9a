"""A repository of ECR: which images it lets go, where it is copied to, and what a change must leave as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.errors import door
from arriero.errors import CloudError, Problem
from arriero.events import Json
from arriero.plan import registries
from arriero.plan.model import Resource, StoreFacts, Value
from arriero.plan.registries import Place
from arriero.spec.model import Spec

MUTABILITIES = ("MUTABLE", "IMMUTABLE")
_NOT_THERE = ("RepositoryNotFoundException", "LifecyclePolicyNotFoundException", "ImageNotFoundException")


def read(place: Place, regions: Sequence[str] = ()) -> StoreFacts:
    """Two calls; with a problem, in place of raising, where ECR does not tell: no deployment depends on it.

    One more where copies in other `regions` are asked for.
    """
    found = StoreFacts("aws", place.name, place.region)
    try:
        with door("", place.region):
            ecr = clients().get("ecr", place.region)
            about = _answer(lambda: ecr.describe_repositories(registryId=place.account, repositoryNames=[place.name]))
            if about is None:
                return found
            kept = _answer(lambda: ecr.get_lifecycle_policy(registryId=place.account, repositoryName=place.name))
            rules = ecr.describe_registry()["replicationConfiguration"]["rules"] if regions else []
    except CloudError as error:
        return StoreFacts("aws", place.name, place.region, problem=error.problems[0])
    policy, mine = json.loads(kept["lifecyclePolicyText"]) if kept else {}, about["repositories"][0]
    mutability = str(mine.get("imageTagMutability", "MUTABLE"))
    if mutability not in MUTABILITIES:
        what = f"its tags are {mutability.lower()}, which community.aws.ecs_ecr would set back"
        remedy = "set its lifecycle policy by hand: arriero export docker writes it"
        return StoreFacts("aws", place.name, place.region, problem=Problem(what, remedy, key="image"))
    scans = bool(mine.get("imageScanningConfiguration", {}).get("scanOnPush"))
    details: dict[str, Value] = {"account": place.account, "mutability": mutability, "scans": scans}
    resource = Resource(registries.REPOSITORY, place.name, {"expires": registries.rules(policy)}, details=details)
    copied = [_replication(place, rules, regions)] if regions else []
    return StoreFacts("aws", place.name, place.region, (resource, *copied))


def looked_into(found: StoreFacts, place: Place, wanted: str) -> StoreFacts:
    """With whether the repository holds the image `wanted`, a tag or a digest: one call. With a problem, as `read`."""
    try:
        with door("", place.region):
            holds = _holds(clients().get("ecr", place.region), place, wanted)
    except CloudError as error:
        return replace(found, resources=(), problem=error.problems[0])
    about, *others = found.resources
    return replace(found, resources=(replace(about, details={**about.details, "holds": holds}), *others))


def variables(spec: Spec, found: StoreFacts) -> dict[str, Json]:
    """What the role `aws_registry` needs: `ecs_ecr` sets back what it is not told."""
    details, copies = found.resources[0].details, [each.region for each in registries.copies(spec)]
    return {
        "aws_registry_region": found.region,
        "aws_registry_account": str(details["account"]),
        "aws_registry_repository": found.name,
        "aws_registry_lifecycle": dict(registries.policy(spec.image.keep)),
        "aws_registry_mutability": str(details["mutability"]).lower(),
        "aws_registry_scans": bool(details["scans"]),
        "aws_registry_copies": [] if found.region in copies else list(copies),
    }


def removal_variables(found: StoreFacts) -> dict[str, Json]:
    """What the role needs to take back the rule of the spec's copies; the repositories stay with what is in them."""
    return {
        "aws_registry_region": found.region,
        "aws_registry_account": str(found.resources[0].details["account"]),
        "aws_registry_repository": found.name,
        "aws_registry_copies": list(registries.own_copies(found)),
    }


def _holds(ecr: Any, place: Place, wanted: str) -> bool:
    """An image's tag has no colon, its digest always has one."""
    asked = [{"imageDigest" if ":" in wanted else "imageTag": wanted}]
    about = {"registryId": place.account, "repositoryName": place.name, "imageIds": asked}
    return _answer(lambda: ecr.describe_images(**about)) is not None


def _replication(place: Place, rules: Sequence[Mapping[str, Any]], regions: Sequence[str]) -> Resource:
    """Who else's rule copies it, too, is all the same. `own`: by a rule that is for this repository alone."""
    copied = {region for rule in rules if _covers(rule, place.name) for region in _regions(rule, place.account)}
    alone = [rule for rule in rules if rule.get("repositoryFilters") == [_filter(place.name)]]
    own = {region for rule in alone for region in _regions(rule, place.account)}
    details: dict[str, Value] = {"own": tuple(sorted(own & set(regions)))}
    said = dict.fromkeys(sorted(copied), registries.COPIED)
    return Resource(registries.REPLICATION, place.name, said, details=details)


def _covers(rule: Mapping[str, Any], repository: str) -> bool:
    """A rule without filters is for all repositories; of several filters one is enough."""
    filters = rule.get("repositoryFilters") or [_filter("")]
    return any(repository.startswith(each["filter"]) for each in filters)


def _regions(rule: Mapping[str, Any], account: str) -> Iterator[str]:
    return (str(to["region"]) for to in rule["destinations"] if to["registryId"] == account)


def _filter(repository: str) -> Mapping[str, str]:
    return {"filter": repository, "filterType": "PREFIX_MATCH"}


def _answer(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOT_THERE:
            return None
        raise
