"""The ten steps from an empty Jenkins to a release on every push."""

from __future__ import annotations

from arriero.pipeline import course
from arriero.pipeline.jenkins import credentials
from arriero.spec.model import Spec

PLACE = {"usernamePassword": "name and password", "string": "secret text", "file": "secret file", "zip": "secret file"}


def readme(spec: Spec) -> str:
    wanted = spec.pipeline
    stages = (course.BUILD, course.push(spec), *course.deployments(spec), course.validation(spec))
    bound = [*credentials.everything(spec, stages), credentials.webhook(spec)]
    bound += [credentials.SLACK] if wanted.slack else []
    rows = "\n".join(f"| `{', '.join(c.sources)}` | `{c.id}` | {PLACE[c.kind]} | {c.description} |" for c in bound)
    slack = (
        "`SLACK_TEAM` is the name of the Slack workspace."
        if wanted.slack
        else "Slack is not told: set `pipeline.slack`."
    )
    gate = f"by {', '.join(wanted.approvers)}" if wanted.approvers else "by anybody who may build the job"
    approval = f"Approve it in the build's page, {gate}." if wanted.approval else "It goes out without being approved."
    return f"""\
# {spec.name}: from `git push` to {", ".join(spec.sites)}, by Jenkins

Made by `arriero export jenkins --out .`, in the folder of `arriero.yaml`, which must be the repository's root.
`arriero export jenkins --out . --check` exits with 2 when these files are not what the spec says any more.

1. Commit `Jenkinsfile` and the folder `jenkins/`, and push them to `{wanted.repository}`, branch `{wanted.branch}`.
2. Have a Jenkins on Java 17 or newer. The syntax is that of the page Pipeline Syntax in Jenkins's handbook (source:
   jenkins-infra/jenkins.io at c2bc4acc1679), in Groovy 2.4.21, the one that Jenkins runs.
3. Install its plugins: `jenkins-plugin-cli --plugin-file jenkins/plugins.txt`.
4. Give Jenkins's environment the values that the configuration asks for, from your own store of secrets. Nothing of
   them is in this repository.

   | in the environment | id in Jenkins | kind | what it is |
   |---|---|---|---|
{_indented(rows)}

   {slack}
5. Let Jenkins read its configuration: `CASC_JENKINS_CONFIG=$PWD/jenkins/casc.yaml`, and start it. It makes the
   credentials and the job `{spec.name}`.
6. Give it an agent with the label `{wanted.agent}` that has git, Docker, `pip install
   'arriero[deploy,aws,azure,pipeline]'`, then `arriero setup`, and trivy, hadolint and syft for the scan. For ECR and
   ACR: their Docker credential helpers, which use the logins that the pipeline binds.
7. At GitHub, add a webhook: payload URL `https://YOUR-JENKINS/github-webhook/`, content type `application/json`, the
   secret that you gave as `GITHUB_WEBHOOK_SECRET`, events: push. Jenkins refuses what is not signed with it.
8. Build the job once by hand: that is how Jenkins learns of its trigger and its parameter.
9. Push a commit. Build → Test → Scan → Push. {approval} Then {_deploy(spec)} → Validate.
10. See what happened: the build's artifacts hold the reports of test, scan and validation. Where Deploy or Validate
    failed, what was deployed was rolled back (`arriero rollback stable`), and the build says so. A cloud that could not
    be asked then is named there, with the command that takes it back later.

The pipeline holds no logic: each stage is one command, which you can run yourself. These files were run by a small
program that does what Jenkins's reference says of each directive and step; **no real Jenkins was at hand**.
"""


def _deploy(spec: Spec) -> str:
    names = [stage.name for stage in course.deployments(spec)]
    return f"Deploy {' ∥ '.join(names)}"


def _indented(rows: str) -> str:
    return "\n".join(f"   {row}" for row in rows.split("\n"))
