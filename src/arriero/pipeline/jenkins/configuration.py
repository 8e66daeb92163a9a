"""Jenkins's configuration as code, and the list of plugins that it and the Jenkinsfile need."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from arriero.pipeline import course
from arriero.pipeline.jenkins import credentials
from arriero.pipeline.jenkins.credentials import Credential
from arriero.spec.model import Spec

HEAD = """\
# Made by `arriero export jenkins` from arriero.yaml. Each ${NAME} is read from Jenkins's environment as it starts.
"""
# What gives which step or directive.
PLUGINS = {
    "configuration-as-code": "this file",
    "credentials": "credentials",
    "credentials-binding": "withCredentials",
    "git": "checkout",
    "github": "githubPush, and the webhook's signature",
    "job-dsl": "the job in this file",
    "junit": "junit",
    "lockable-resources": "lock",
    "pipeline-input-step": "input",
    "pipeline-model-definition": "declarative pipelines",
    "pipeline-stage-step": "stage",
    "plain-credentials": "secret texts and files",
    "slack": "slackSend",
    "timestamper": "timestamps",
    "workflow-aggregator": "Pipeline itself",
    "workflow-basic-steps": "stash, archiveArtifacts",
    "workflow-durable-task-step": "sh",
}


def plugins() -> str:
    """For `jenkins-plugin-cli --plugin-file`; the newest that the Jenkins takes, as no version can be tested here."""
    return "".join(f"{name}:latest\n" for name in PLUGINS)


def configuration(spec: Spec) -> str:
    stages = (course.BUILD, course.push(spec), *course.deployments(spec), course.validation(spec))
    bound = credentials.everything(spec, stages)
    wanted = [*bound, credentials.webhook(spec), *([credentials.SLACK] if spec.pipeline.slack else [])]
    whole: dict[str, Any] = {
        "credentials": {"system": {"domainCredentials": [{"credentials": list(map(_credential, wanted))}]}},
        "unclassified": _unclassified(spec),
        "jobs": [{"script": LiteralScalarString(job(spec))}],
    }
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.dump(whole, text)
    return HEAD + text.getvalue()


def job(spec: Spec) -> str:
    """The job in Job DSL: one pipeline, from one branch; its trigger is the Jenkinsfile's own."""
    quoted = {name: json.dumps(getattr(spec.pipeline, name)) for name in ("repository", "branch")}
    return f"""\
pipelineJob('{spec.name}') {{
    description('Builds {spec.name} and releases it to {", ".join(spec.sites)}.')
    definition {{
        cpsScm {{
            lightweight(true)
            scriptPath('Jenkinsfile')
            scm {{
                git {{
                    remote {{
                        url({quoted["repository"]})
                    }}
                    branch({quoted["branch"]})
                }}
            }}
        }}
    }}
}}
"""


def _unclassified(spec: Spec) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gitHubPluginConfig": {"hookSecretConfigs": [{"credentialsId": credentials.webhook(spec).id}]},
    }
    if spec.pipeline.slack:
        found["slackNotifier"] = {
            "teamDomain": "${SLACK_TEAM}",
            "tokenCredentialId": credentials.SLACK.id,
            "room": spec.pipeline.slack,
        }
    return found


def _credential(credential: Credential) -> dict[str, Any]:
    common = {"scope": "GLOBAL", "id": credential.id, "description": credential.description}
    values = [f"${{{source}}}" for source in credential.sources]
    if credential.kind == "usernamePassword":
        return {"usernamePassword": {**common, "username": values[0], "password": values[1]}}
    if credential.kind == "string":
        return {"string": {**common, "secret": values[0]}}
    name = "docker.zip" if credential.kind == "zip" else "vault-password"
    return {"file": {**common, "fileName": name, "secretBytes": values[0]}}
