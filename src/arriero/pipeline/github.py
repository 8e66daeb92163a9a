"""The same course as a workflow of GitHub Actions. Production's approval is the environment's, as GitHub has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arriero.pipeline import course
from arriero.pipeline.course import Stage
from arriero.pipeline.yaml_file import yaml_file
from arriero.spec.model import Cloud, Spec

FILE = ".github/workflows/release.yaml"
NEXT = """\
Commit it. At GitHub: runners with the label of pipeline.agent, an environment `production` with reviewers, and as
secrets what the workflow names, SLACK_WEBHOOK_URL among them."""
# Pinned by tag: their digests can't be read from here.
CHECKOUT, UPLOAD, DOWNLOAD = "actions/checkout@v4", "actions/upload-artifact@v4", "actions/download-artifact@v4"
SECRETS: Mapping[Cloud, tuple[str, ...]] = {
    "aws": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "azure": ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID"),
    "local": (),
}


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    whole = {
        "name": f"Release {spec.name}",
        "on": {"push": {"branches": [spec.pipeline.branch]}, "workflow_dispatch": {}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"arriero-{spec.name}", "cancel-in-progress": False},
        "jobs": _jobs(spec),
    }
    return {FILE: yaml_file("github", whole)}


def _jobs(spec: Spec) -> dict[str, Any]:
    limit = max(1, round(spec.pipeline.deploy_within / 60))
    deployments = {f"deploy-{stage.name.lower()}": stage for stage in course.deployments(spec)}
    gate = {"environment": "production"} if spec.pipeline.approval else {}
    jobs: dict[str, Any] = {"image": _image(spec)}
    if gate:
        jobs["approve"] = {
            **_runner(spec, 5),
            **gate,
            "needs": "image",
            "steps": [{"run": "echo 'Somebody said yes.'"}],
        }
    before = "approve" if gate else "image"
    for name, stage in deployments.items():
        jobs[name] = {**_runner(spec, limit), "needs": before, "steps": [*_checkout(fetch=True), _step(stage)]}
    check = [*_checkout(fetch=True), _step(course.validation(spec)), _keep("validation"), _step(course.promotion(spec))]
    jobs["validate"] = {**_runner(spec, limit), "needs": list(deployments), "steps": check}
    jobs["roll-back"] = {
        **_runner(spec, limit),
        "needs": [*deployments, "validate"],
        # A deployment that never began is `skipped`, and nothing is to be undone.
        "if": "always() && (contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled'))",
        "steps": [*_checkout(fetch=False), _step(course.rollback(spec))],
    }
    jobs["tell"] = _tell(spec, ["image", *([] if before == "image" else [before]), *deployments, "validate"])
    return jobs


def _image(spec: Spec) -> dict[str, Any]:
    stages = (course.BUILD, course.TEST, course.SCAN, course.push(spec))
    records = {
        "name": "image",
        "path": course.IMAGE_RECORDS,
        "include-hidden-files": True,
        "if-no-files-found": "ignore",
    }
    kept = [{"uses": UPLOAD, "with": records}, _keep("image-reports")]
    limit = max(1, round(spec.pipeline.build_within / 60))
    return {
        **_runner(spec, limit),
        "steps": [*_checkout(fetch=False), *(_step(stage) for stage in stages), *kept],
    }


def _tell(spec: Spec, needs: list[str]) -> dict[str, Any]:
    """The worst of what it needs is the outcome; `arriero notify` never fails, so neither does this."""
    outcome = (
        "${{ contains(needs.*.result, 'failure') && 'failure' || contains(needs.*.result, 'cancelled') && 'aborted' "
        "|| 'success' }}"
    )
    step = {
        "env": {"OUTCOME": outcome, "SLACK_WEBHOOK_URL": "${{ secrets.SLACK_WEBHOOK_URL }}"},
        "run": 'arriero notify "$OUTCOME"',
    }
    return {**_runner(spec, 10), "needs": needs, "if": "always()", "steps": [*_checkout(fetch=False), step]}


def _runner(spec: Spec, minutes: int) -> dict[str, Any]:
    return {"runs-on": ["self-hosted", spec.pipeline.agent], "timeout-minutes": minutes}


def _checkout(*, fetch: bool) -> list[dict[str, Any]]:
    folder = course.IMAGE_RECORDS.rpartition("/")[0]
    got = {"uses": DOWNLOAD, "with": {"name": "image", "path": folder}, "continue-on-error": True}
    return [{"uses": CHECKOUT, "with": {"persist-credentials": False}}, *([got] if fetch else [])]


def _step(stage: Stage) -> dict[str, Any]:
    names = [name for cloud in stage.login for name in SECRETS[cloud]]
    given = {"env": {name: f"${{{{ secrets.{name} }}}}" for name in names}} if names else {}
    return {"name": stage.name, **given, "run": stage.command}


def _keep(name: str) -> dict[str, Any]:
    return {
        "if": "always()",
        "uses": UPLOAD,
        "with": {"name": name, "path": course.REPORTS, "if-no-files-found": "ignore"},
    }
