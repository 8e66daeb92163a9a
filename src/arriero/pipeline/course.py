"""The course of a release, whatever CI server runs it: each stage is one arriero command with a true exit code.

What is here is all that a pipeline does; the writers of `jenkins/`, `github.py` and `gitlab.py` only say it in their
server's words. Pipelines run in the repository's root, where arriero.yaml lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arriero.spec.front_door import clouds_of
from arriero.spec.model import Cloud, Spec

REPORTS = "reports"
TEST_REPORT, VALIDATION_REPORT = f"{REPORTS}/test.xml", f"{REPORTS}/validation.xml"
PARTS, VALIDATION = f"{REPORTS}/sbom.json", f"{REPORTS}/validation.json"
# What `arriero image` leaves for the stages after it, wherever they run.
IMAGE_RECORDS = ".arriero/image/*.json"
CLOUDS: Mapping[Cloud, str] = {"aws": "AWS", "azure": "Azure", "local": "Local"}


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` as a pipeline shows it; `login`: the clouds whose logins the command needs; `registry`: Docker's, too."""

    name: str
    command: str
    login: tuple[Cloud, ...] = ()
    registry: bool = False


BUILD = Stage("Build", "arriero image build", registry=True)
TEST = Stage("Test", f"arriero test --junit {TEST_REPORT}")
SCAN = Stage("Scan", f"arriero image scan --sbom {PARTS}")


def push(spec: Spec) -> Stage:
    return Stage("Push", "arriero image push --yes", clouds(spec), registry=True)


def deployments(spec: Spec) -> tuple[Stage, ...]:
    """One for each cloud, each with its own result. One deployment of a service goes on at a time, so they wait for
    each other's lease; the gateway is left alone, as several at once would all start it.
    """
    words = f"arriero up --yes --pushed --no-gateway --wait {spec.pipeline.deploy_within}"
    # A Front Door is Azure's, and leads to what stands at AWS.
    door = ("azure",) if spec.ingress.front_door else ()
    return tuple(
        Stage(CLOUDS[cloud], f"{words} {_sites(spec, cloud)}", tuple(dict.fromkeys((cloud, *door))))
        for cloud in clouds(spec)
    )


def validation(spec: Spec) -> Stage:
    command = f"arriero validate --junit {VALIDATION_REPORT} --save {VALIDATION}"
    return Stage("Validate", command, clouds_of(spec))


def promotion(spec: Spec) -> Stage:
    """What was validated is the stable release from then on: what the next one is compared with."""
    return Stage("Promote", "arriero promote --yes", clouds_of(spec))


def rollback(spec: Spec) -> Stage:
    """To the last release that was validated, not to the one before: where nothing was deployed yet, nothing moves."""
    return Stage("Roll back", f"arriero rollback stable --yes --wait {spec.pipeline.deploy_within}", clouds_of(spec))


def clouds(spec: Spec) -> tuple[Cloud, ...]:
    """The spec's clouds, in the order of their first sites."""
    return tuple(dict.fromkeys(site.cloud for site in spec.sites.values()))


def _sites(spec: Spec, cloud: Cloud) -> str:
    return " ".join(f"--site {name}" for name, site in spec.sites.items() if site.cloud == cloud)
