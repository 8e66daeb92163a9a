"""Registries of the emulated AWS: what they copy from region to region, and whether a task can pull its image.

ECR copies what is pushed once it was told to, and makes the repository where it is missing; what was there before is
not copied, nor is a copy copied on (https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html). It does
so in a while; here it is done with the push, but never to a region that is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto.ecr.exceptions import InvalidParameterException
from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends

_NAME = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<path>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
_MOST_RULES, _MOST_REGIONS = 10, 25


def configure(registry: ECRBackend, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """moto takes one rule only. Limits: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html"""
    rules = configuration["rules"]
    everywhere = {(to["registryId"], to["region"]) for rule in rules for to in rule["destinations"]}
    if (registry.account_id, registry.region_name) in everywhere:
        raise _wrong("Replication destination cannot be the same as the source registry")
    if len(rules) > _MOST_RULES or len(everywhere) > _MOST_REGIONS:
        raise _wrong("Too many rules or destinations")
    registry.replication_config = dict(configuration)
    return {"replicationConfiguration": registry.replication_config}


def copy(registry: ECRBackend, repository: str, image: Image, is_lost: Callable[[str], bool]) -> None:
    """What was just pushed goes where the rules say, with its tags."""
    for region in _regions(registry, repository):
        if not is_lost(region):
            _put(ecr_backends[registry.account_id][region], repository, image)


def what_an_image_misses(image: str, is_lost: Callable[[str], bool]) -> str:
    """Why ECR does not hand it out: `lost`, `none`; empty where it does, or where the image is not in ECR.

    Nobody pushes to the stage's ECR in a rehearsal: a repository that is nowhere is taken for one that has everything.
    """
    named = _NAME.fullmatch(image)
    if named is None:
        return ""
    if is_lost(named["region"]):
        return "lost"
    of_account = ecr_backends[named["account"]]
    if all(named["path"] not in of_account[region].repositories for region in list(of_account)):
        return ""
    there = of_account[named["region"]].repositories.get(named["path"])
    return "" if there and _finds(there, named["tag"], named["digest"]) else "none"


def _finds(repository: Repository, tag: str | None, digest: str | None) -> bool:
    if digest:
        return any(each.get_image_digest() == digest for each in repository.images)
    return any((tag or "latest") in each.image_tags for each in repository.images)


def _regions(registry: ECRBackend, repository: str) -> Iterator[str]:
    for rule in registry.replication_config["rules"]:
        filters: Iterable[Mapping[str, str]] = rule.get("repositoryFilters") or [{"filter": ""}]
        if any(repository.startswith(each["filter"]) for each in filters):
            yield from (to["region"] for to in rule["destinations"] if to["registryId"] == registry.account_id)


def _put(registry: ECRBackend, name: str, image: Image) -> None:
    if name not in registry.repositories:
        registry.create_repository(name, registry.account_id, {}, None, "MUTABLE", [])
    images = registry.repositories[name].images
    for each in images:
        each.remove_tag(image.image_tag)
    there = next((each for each in images if each.get_image_digest() == image.get_image_digest()), None)
    if there is None:
        manifest = (image.image_manifest, name, image.image_manifest_media_type, image.get_image_digest())
        images.append(Image(registry.account_id, image.image_tag, *manifest))
    else:
        there.update_tag(image.image_tag)


def _wrong(what: str) -> InvalidParameterException:
    return InvalidParameterException(
        f"Invalid parameter at 'replicationConfiguration' failed to satisfy constraint: '{what}'"
    )
