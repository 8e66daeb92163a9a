"""The Jenkinsfile: declarative, one arriero command a stage, credentials by binding only.

Three parts: the image is made, somebody says yes (no agent waits meanwhile), the release goes out under a lock. What
fails in the last part is rolled back there, once, after all branches have ended. A stage's `post` runs inside its own
timeout and would be cut off with it, so the stage that rolls back has none, and its inner stages have. Steps that need
a workspace stand where an agent is; the pipeline's own `post` has none. What former builds reported is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable

from arriero.pipeline import course
from arriero.pipeline.course import Stage
from arriero.pipeline.jenkins.credentials import needed
from arriero.spec.model import Spec
from arriero.spec.units import Duration

HEAD = """\
// Made by `arriero export jenkins` from arriero.yaml: change that, then make this anew.
// jenkins/README.md says in ten steps how a Jenkins comes to run it."""
INDENT = "    "
IS_RELEASED = "expression { params.RELEASE }"
FRESH = f"dir('{course.REPORTS}') {{\n{INDENT}deleteDir()\n}}"


def jenkinsfile(spec: Spec) -> str:
    wanted = spec.pipeline
    parts = [_image(spec), *([_approval(spec)] if wanted.approval else []), _release(spec)]
    body = [
        "agent none",
        _block("options", _options(spec)),
        _block("triggers", ["githubPush()"]),
        _block("parameters", [_parameter()]),
        _block("stages", parts),
        *_post(spec),
    ]
    return "\n".join([HEAD, _block("pipeline", body), ""])


def _options(spec: Spec) -> list[str]:
    wanted = spec.pipeline
    # The last resort: deploying, validating and rolling back have their time, each.
    whole = wanted.build_within + 3 * wanted.deploy_within + (wanted.approve_within if wanted.approval else 0)
    return [
        "disableConcurrentBuilds()",
        "skipStagesAfterUnstable()",
        "timestamps()",
        "buildDiscarder(logRotator(numToKeepStr: '50', artifactNumToKeepStr: '50'))",
        _timeout(Duration(whole)),
    ]


def _parameter() -> str:
    what = "Untick it to build, test and scan only."
    return f"booleanParam(name: 'RELEASE', defaultValue: true, description: '{what}')"


def _image(spec: Spec) -> str:
    push = _stage(spec, course.push(spec), before=[_block("when", [IS_RELEASED])], after=[_stash()])
    build = _stage(spec, course.BUILD, steps_before=[FRESH])
    stages = [build, *(_stage(spec, stage) for stage in (course.TEST, course.SCAN)), push]
    return _block(
        "stage('Image')",
        [
            _agent(spec),
            _block("options", [_timeout(spec.pipeline.build_within)]),
            _block("stages", stages),
            _block("post", [_block("always", [_junit(course.TEST_REPORT), _archive()])]),
        ],
    )


def _approval(spec: Spec) -> str:
    wanted = spec.pipeline
    asked = [f"message 'Release {spec.name} to {', '.join(spec.sites)}?'", "ok 'Release'"]
    asked += [f"submitter '{','.join(wanted.approvers)}'"] if wanted.approvers else []
    return _block(
        "stage('Approve')",
        [
            _block("when", ["beforeInput true", IS_RELEASED]),
            _block("options", [_timeout(wanted.approve_within)]),
            _block("input", asked),
            _block("steps", ["echo 'Somebody said yes.'"]),
        ],
    )


def _release(spec: Spec) -> str:
    undo = course.rollback(spec)
    limit = _block("options", [_timeout(spec.pipeline.deploy_within)])
    side_by_side = _block("parallel", [_stage(spec, each) for each in course.deployments(spec)])
    deploy = _block("stage('Deploy')", [limit, side_by_side])
    validate = _stage(spec, course.validation(spec), before=[limit])
    fetch = _block("stage('Fetch')", [_block("steps", [FRESH, "unstash 'image'"])])
    return _block(
        "stage('Release')",
        [
            _block("when", ["beforeAgent true", IS_RELEASED]),
            _agent(spec),
            _block("options", [f"lock(resource: 'arriero-{spec.name}')"]),
            _block("stages", [fetch, deploy, validate, _stage(spec, course.promotion(spec))]),
            _block(
                "post",
                [
                    _block("always", [_junit(course.VALIDATION_REPORT), _archive()]),
                    _block(
                        "unsuccessful", [_bound(spec, undo), *_told(spec, "warning", "stands on its stable release")]
                    ),
                ],
            ),
        ],
    )


def _post(spec: Spec) -> Iterable[str]:
    """Slack is told by Jenkins's own step, whatever part the build ended in."""
    ends = (("success", "good", "succeeded"), ("failure", "danger", "failed"), ("aborted", "warning", "was stopped"))
    if spec.pipeline.slack:
        yield _block("post", [_block(end, _told(spec, color, what)) for end, color, what in ends])


def _told(spec: Spec, color: str, what: str) -> list[str]:
    if not spec.pipeline.slack:
        return []
    build = "${env.JOB_NAME} ${env.BUILD_NUMBER}, ${currentBuild.durationString}, ${env.BUILD_URL}"
    given = [
        f"channel: '{spec.pipeline.slack}'",
        f"color: '{color}'",
        "failOnError: false",
        f"message: '{spec.name} {what}: {', '.join(spec.sites)}; ' +\n{INDENT}{INDENT}\"{build}\"",
    ]
    listed = ",\n".join(INDENT + each for each in given)
    return [f"slackSend(\n{listed}\n)"]


def _stage(
    spec: Spec, stage: Stage, *, before: Iterable[str] = (), steps_before: Iterable[str] = (), after: Iterable[str] = ()
) -> str:
    """`before` are directives; the steps around the command are the server's own."""
    steps = [*steps_before, _bound(spec, stage), *after]
    return _block(f"stage('{stage.name}')", [*before, _block("steps", steps)])


def _bound(spec: Spec, stage: Stage) -> str:
    """The stage's command, with the credentials that it needs and no others."""
    command = f"sh '{stage.command}'"
    bindings = [credential.binding for credential in needed(spec, stage)]
    if not bindings:
        return command
    listed = ",\n".join(INDENT + binding.replace("\n", f"\n{INDENT}") for binding in bindings)
    return f"withCredentials([\n{listed}\n]) {{\n{INDENT}{command}\n}}"


def _agent(spec: Spec) -> str:
    return _block("agent", [f"label '{spec.pipeline.agent}'"])


def _timeout(within: Duration) -> str:
    return f"timeout(time: {max(1, round(within / 60))}, unit: 'MINUTES')"


def _stash() -> str:
    return f"stash(name: 'image', includes: '{course.IMAGE_RECORDS}', allowEmpty: true)"


def _junit(report: str) -> str:
    return f"junit(testResults: '{report}', allowEmptyResults: true)"


def _archive() -> str:
    return f"archiveArtifacts(artifacts: '{course.REPORTS}/**', allowEmptyArchive: true, fingerprint: true)"


def _block(head: str, lines: Iterable[str]) -> str:
    inner = "\n".join(INDENT + line if line else line for text in lines for line in text.split("\n"))
    return f"{head} {{\n{inner}\n}}"
