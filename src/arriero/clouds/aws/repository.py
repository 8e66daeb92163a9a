"""A repository of ECR: which images it lets go, and what a change must leave as it is."""

from __future__ import annotations

import json
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
_NOT_THERE = ("RepositoryNotFoundException", "LifecyclePolicyNotFoundException")


def read(place: Place) -> StoreFacts:
    """Two calls; with a problem, in place of raising, where ECR does not tell: no deployment depends on it."""
    found = StoreFacts("aws", place.name, place.region)
    try:
        with door("", place.region):
            ecr = clients().get("ecr", place.region)
            about = _answer(lambda: ecr.describe_repositories(registryId=place.account, repositoryNames=[place.name]))
            if about is None:
                return found
            kept = _answer(lambda: ecr.get_lifecycle_policy(registryId=place.account, repositoryName=place.name))
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
    resource = Resource("aws.repository", place.name, {"expires": registries.rules(policy)}, details=details)
    return StoreFacts("aws", place.name, place.region, (resource,))


def variables(spec: Spec, found: StoreFacts) -> dict[str, Json]:
    """What the role `aws_registry` needs: `ecs_ecr` sets back what it is not told."""
    details = found.resources[0].details
    return {
        "aws_registry_region": found.region,
        "aws_registry_account": str(details["account"]),
        "aws_registry_repository": found.name,
        "aws_registry_lifecycle": dict(registries.policy(spec.image.keep)),
        "aws_registry_mutability": str(details["mutability"]).lower(),
        "aws_registry_scans": bool(details["scans"]),
    }


def _answer(call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _NOT_THERE:
            return None
        raise
