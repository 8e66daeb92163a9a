"""The file system of a site in AWS that holds its models: EFS, encrypted, reached through an access point of Ollama's
own user, from the site's subnets alone, by who may.

Elastic by default: models are read seldom and then at full speed, and only what is read is billed
(https://docs.aws.amazon.com/efs/latest/ug/performance.html). What else it can be says the spec's section `storage`.
"""

from __future__ import annotations

from collections.abc import Mapping

from arriero.cost import file_system
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import storage
from arriero.spec.model import ResolvedSite

NFS = 2049
KIND, MODELS_KIND = "aws.file_system", "aws.stored_models"
ROOT = "/models"
READING_POLICY, WRITING_POLICY = "read-models", "write-models"
_MOUNT, _WRITE = "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"


def group_name(base: str) -> str:
    return f"{base}-files"


def wanted(
    site: ResolvedSite, found: SiteFacts, base: str, tags: Mapping[str, str], subnets: Mapping[str, str]
) -> tuple[Resource, ...]:
    """The file system and what is in it; `subnets` are the targets' own, with their ranges. A file system that nobody
    asks for any more is kept as it is: data is removed by who says so.
    """
    if not storage.is_used(site):
        group = found.find("aws.security_group", group_name(base))
        standing = (found.find(KIND), found.find(MODELS_KIND), group)
        return tuple(resource for resource in standing if resource)
    properties: dict[str, Value] = {
        "encrypted": True,
        "throughput": site.storage.mode,
        "provisioned_mibps": site.storage.provisioned_mibps,
        "access_point": {"root": ROOT, "user": storage.USER},
        "subnets": tuple(sorted(subnets)),
    }
    rules: dict[str, Value] = {"ingress": tuple(sorted(f"tcp {NFS} {each}" for each in subnets.values())), "egress": ()}
    return (
        Resource("aws.security_group", group_name(base), rules, tags=tags),
        Resource(KIND, base, properties, tags=tags),
        Resource(MODELS_KIND, base, {"models": storage.mark(storage.stored(site))}),
    )


def notes(site: ResolvedSite) -> list[str]:
    if not storage.is_used(site):
        return []
    names = ", ".join(model.name for model in storage.stored(site))
    said = [f"{names}: from EFS, read over the network at each load; what that takes says `arriero image plan`"]
    if most := file_system.most_mibps(site):
        kept = file_system.READ_SHARE * file_system.KEPT_KIB_A_GIB
        later = f" while credits last, then {kept}KiB/s for each GiB on it" if site.storage.mode == "bursting" else ""
        said.append(
            f"all targets together read {most}MiB/s at most{later}; AWS takes a change to less once in 24 hours"
        )
    return said


def reading(site: ResolvedSite) -> Mapping[str, Value]:
    return {READING_POLICY: _policy(site, _MOUNT)} if storage.is_used(site) else {}


def writing(site: ResolvedSite) -> Mapping[str, Value]:
    return {WRITING_POLICY: _policy(site, _MOUNT, _WRITE)}


def _policy(site: ResolvedSite, *actions: str) -> Mapping[str, Value]:
    """For the site's own file system, which a policy can know by its tag alone."""
    allow: Mapping[str, Value] = {
        "Effect": "Allow",
        "Action": actions,
        "Resource": f"arn:*:elasticfilesystem:{site.region}:*:file-system/*",
        "Condition": {
            "StringEquals": {
                f"aws:ResourceTag/{SERVICE_TAG}": site.service,
                f"aws:ResourceTag/{SITE_TAG}": site.name,
            }
        },
    }
    return {"Version": "2012-10-17", "Statement": (allow,)}
