"""How long registries keep images, as files for them: every digest of the last N releases, and what is stable.

ECR evaluates rules by priority, and "an image that matches the tagging requirements of a rule cannot be expired by a
rule with a lower priority" (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html): so a first
rule that never comes true keeps what is stable. ACR has no such rules but a task that runs `acr purge`
(https://learn.microsoft.com/azure/container-registry/container-registry-auto-purge), which deletes tags that match.
"""

from __future__ import annotations

import json
from typing import Any

from arriero.spec.image import repository_of
from arriero.spec.model import Spec

KEPT_ALWAYS = 9999
CHECK_DAYS = 30
UNTAGGED_DAYS = 7


def ecr(keep: int) -> str:
    """The text of a lifecycle policy. Commits that were never released go after a month, untagged images in a week."""
    rules = [
        _rule(1, "what was ever stable is kept", tagged="stable*", count=KEPT_ALWAYS),
        _rule(2, f"the newest {keep} releases are kept", tagged="r*", count=keep),
        _rule(3, "commits that were not released", tagged="git-*", days=CHECK_DAYS),
        _rule(4, "images without a tag", days=UNTAGGED_DAYS),
    ]
    return json.dumps({"rules": rules}, indent=2) + "\n"


def acr(spec: Spec) -> str:
    """A task for `az acr task create --file acr-purge.yaml`: releases beyond the newest, then old commits."""
    path = repository_of(spec.image.at("azure")).partition("/")[2]
    releases = f"acr purge --filter '{path}:^r[0-9]+$' --ago 0d --keep {spec.image.keep}"
    commits = f"acr purge --filter '{path}:^git-' --ago {CHECK_DAYS}d --keep {spec.image.keep} --untagged"
    return "version: v1.1.0\nsteps:\n" + "".join(
        f"  - cmd: {line}\n    disableWorkingDirectoryOverride: true\n    timeout: 3600\n"
        for line in (releases, commits)
    )


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
