"""The same course as a pipeline of GitLab CI. Its variables are the project's, masked and protected there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arriero.pipeline import course
from arriero.pipeline.course import Stage
from arriero.pipeline.yaml_file import yaml_file
from arriero.spec.model import Spec
from arriero.spec.units import Duration

FILE = ".gitlab-ci.yml"
NEXT = """\
Commit it. At GitLab: a runner with the tag of pipeline.agent, and as masked, protected variables the clouds' logins and
SLACK_WEBHOOK_URL."""
STAGES = ("build", "test", "scan", "push", "approve", "deploy", "validate", "undo", "promote", "tell")


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    """A job that needs others runs as soon as they are done, and not at all where they never ran."""
    build, deploy = spec.pipeline.build_within, spec.pipeline.deploy_within
    deployments = {f"deploy-{stage.name.lower()}": stage for stage in course.deployments(spec)}
    gate = ["approve"] if spec.pipeline.approval else []
    released = [*deployments, "validate"]
    jobs = {
        "build": _job("build", course.BUILD, build, keeps=[course.IMAGE_RECORDS]),
        "test": _job("test", course.TEST, build, keeps=[course.REPORTS], junit=course.TEST_REPORT),
        "scan": _job("scan", course.SCAN, build, keeps=[course.REPORTS]),
        "push": _job("push", course.push(spec), build, keeps=[course.IMAGE_RECORDS]),
        **{name: _approval() for name in gate},
        **{name: _job("deploy", stage, deploy, needs=["push", *gate]) for name, stage in deployments.items()},
        "validate": {
            **_job("validate", course.validation(spec), deploy, needs=["push", *deployments]),
            **_kept([course.REPORTS], course.VALIDATION_REPORT),
        },
        "promote": _job("promote", course.promotion(spec), deploy, needs=["validate"]),
        "roll-back": {**_job("undo", course.rollback(spec), deploy, needs=released), "when": "on_failure"},
        "tell-success": _tell("success", "on_success"),
        "tell-failure": _tell("failure", "on_failure"),
    }
    whole = {
        "stages": [stage for stage in STAGES if stage != "approve" or gate],
        "workflow": {"rules": [{"if": f'$CI_COMMIT_BRANCH == "{spec.pipeline.branch}"'}]},
        "default": {"tags": [spec.pipeline.agent], "interruptible": False},
        **jobs,
    }
    return {FILE: yaml_file("gitlab", whole)}


def _job(
    stage: str,
    what: Stage,
    within: Duration,
    *,
    needs: Sequence[str] = (),
    keeps: Sequence[str] = (),
    junit: str = "",
) -> dict[str, Any]:
    """Those that touch a cloud hold one lock, so that two pipelines never deploy at once."""
    found: dict[str, Any] = {"stage": stage, "timeout": f"{max(1, round(within / 60))} minutes"}
    found |= {"resource_group": f"arriero-{what.name.lower().replace(' ', '-')}"} if what.login else {}
    found |= {"needs": list(needs)} if needs else {}
    return {**found, "script": [what.command], **(_kept(keeps, junit) if keeps else {})}


def _kept(paths: Sequence[str], junit: str = "") -> dict[str, Any]:
    reports = {"reports": {"junit": junit}} if junit else {}
    return {"artifacts": {"when": "always", "paths": list(paths), **reports}}


def _approval() -> dict[str, Any]:
    said = "echo 'Somebody said yes.'"
    return {"stage": "approve", "when": "manual", "allow_failure": False, "needs": ["push"], "script": [said]}


def _tell(outcome: str, when: str) -> dict[str, Any]:
    return {"stage": "tell", "when": when, "script": [f"arriero notify {outcome}"]}
