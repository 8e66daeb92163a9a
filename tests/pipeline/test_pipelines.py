"""What is written for CI servers: every command is one of ours, nothing is secret, everything bound is configured."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from arriero.cli.verbs import app_of
from arriero.pipeline import export
from arriero.spec.load import load

BASE = """name: llm
image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/llm
models: [llama2]
sites:
  aws-east: {cloud: aws, region: us-east-1}
  aws-west: {cloud: aws, region: us-west-2, role: standby}
  azure-east: {cloud: azure, region: eastus}
"""
KINDS = ("jenkins", "github", "gitlab")


def files(tmp_path: Path, kind: str, more: str = "") -> dict[str, Any]:
    (tmp_path / "arriero.yaml").write_text(BASE + more)
    spec = load(tmp_path / "arriero.yaml", None, {}).spec
    return dict(export.contents(export.kind_of(kind), spec, tmp_path, tmp_path))


def commands(written: dict[str, str]) -> list[str]:
    """Every arriero command in the files that a server runs."""
    whole = "\n".join(text for name, text in written.items() if not name.endswith("README.md"))
    return [
        found.strip() for found in re.findall(r"(?<![`\w])arriero (?!export)[a-z][^'\"\n]*", whole) if "$" not in found
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_is_one_of_ours(kind: str, tmp_path: Path) -> None:
    found = commands(files(tmp_path, kind))
    assert {"arriero validate", "arriero rollback", "arriero image", "arriero test", "arriero up"} <= {
        " ".join(command.split()[:2]) for command in found
    }
    for command in found:
        outcome = ["success"] if command == "arriero notify" else []  # the workflow's own expression stands there
        parse([*shlex.split(command)[1:], *outcome])


def parse(words: list[str]) -> None:
    """Raises click's UsageError, or KeyError, for what arriero does not take."""
    command: Any = typer.main.get_command(app_of())
    name = "arriero"
    while hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands[name]
    command.make_context(name, words)


@pytest.mark.parametrize("kind", KINDS)
def test_all_sites_of_a_cloud_go_together_and_no_cloud_is_left_out(kind: str, tmp_path: Path) -> None:
    up = [command for command in commands(files(tmp_path, kind)) if " up " in command]
    assert up == [
        "arriero up --yes --pushed --no-gateway --wait 90m --site aws-east --site aws-west",
        "arriero up --yes --pushed --no-gateway --wait 90m --site azure-east",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_asked_where_nobody_shall_be(kind: str, tmp_path: Path) -> None:
    asks = {"jenkins": "input {", "github": "environment: production", "gitlab": "when: manual"}[kind]
    assert asks in "".join(files(tmp_path, kind).values())
    assert asks not in "".join(files(tmp_path, kind, "pipeline: {approval: false}\n").values())


def test_configuration_as_code_holds_names_of_variables_only(tmp_path: Path) -> None:
    casc = YAML(typ="safe").load(files(tmp_path, "jenkins", "pipeline: {slack: '#releases'}\n")["jenkins/casc.yaml"])
    listed = casc["credentials"]["system"]["domainCredentials"][0]["credentials"]
    for kind, values in ((kind, values) for each in listed for kind, values in each.items()):
        secret = {"usernamePassword": "password", "string": "secret", "file": "secretBytes"}[kind]
        assert re.fullmatch(r"\$\{[A-Z0-9_]+\}", values[secret]), values
    assert casc["unclassified"]["slackNotifier"]["room"] == "#releases"
    assert 'url("https://github.com/acme/llm.git")' in casc["jobs"][0]["script"]


def test_every_credential_that_is_bound_is_configured(tmp_path: Path) -> None:
    for more in ("", "credentials: {vault: [vault.yml]}\n", "gateway: {keys: keys.json}\n"):
        written = files(tmp_path, "jenkins", more)
        bound = set(re.findall(r"credentialsId: '([^']+)'", written["Jenkinsfile"]))
        made = set(re.findall(r"id: (\S+)", written["jenkins/casc.yaml"]))
        assert bound <= made, more
        assert bound <= set(re.findall(r"`([^`]+)` \|", written["jenkins/README.md"]))


def test_where_a_vault_holds_the_logins_its_password_is_bound_and_they_are_not(tmp_path: Path) -> None:
    text = files(tmp_path, "jenkins", "credentials: {vault: [vault.yml]}\n")["Jenkinsfile"]
    assert "credentialsId: 'llm-vault'" in text
    assert "variable: 'ANSIBLE_VAULT_PASSWORD_FILE'" in text
    assert "AWS_SECRET_ACCESS_KEY" not in text


def test_a_registry_without_a_helper_gets_docker_s_settings(tmp_path: Path) -> None:
    assert "DOCKER_CONFIG" not in files(tmp_path, "jenkins")["Jenkinsfile"]
    (tmp_path / "other").mkdir()
    (tmp_path / "arriero.yaml").write_text(BASE.replace("123456789012.dkr.ecr.us-east-1.amazonaws.com", "registry.io"))
    spec = load(tmp_path / "arriero.yaml", None, {}).spec
    written = export.contents(export.kind_of("jenkins"), spec, tmp_path, tmp_path)
    assert "variable: 'DOCKER_CONFIG'" in written["Jenkinsfile"]


def test_the_readme_has_ten_steps_and_says_what_nobody_tried(tmp_path: Path) -> None:
    text = files(tmp_path, "jenkins")["jenkins/README.md"]
    assert [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)] == list(range(1, 11))
    assert "no real Jenkins was at hand" in text


def test_every_step_of_the_jenkinsfile_has_its_plugin(tmp_path: Path) -> None:
    written = files(tmp_path, "jenkins", "pipeline: {slack: '#releases'}\n")
    plugins = {line.partition(":")[0] for line in written["jenkins/plugins.txt"].splitlines()}
    assert {"slack", "lockable-resources", "credentials-binding", "junit", "github", "timestamper"} <= plugins


def test_without_a_channel_slack_is_not_told(tmp_path: Path) -> None:
    assert "slackSend" not in "".join(files(tmp_path, "jenkins").values())


CHECKER = Path(sys.executable).parents[1] / "checks" / "bin" / "check-jsonschema"


@pytest.mark.wide
@pytest.mark.skipif(not CHECKER.exists(), reason="needs check-jsonschema, which .ci/run installs")
@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        ("github", ["--builtin-schema", "vendor.github-workflows"]),
        ("gitlab", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_the_server_s_own_schema_has_nothing_against_it(kind: str, schema: list[str], tmp_path: Path) -> None:
    ((name, text),) = files(tmp_path, kind).items()
    (tmp_path / "pipeline.yaml").write_text(text)
    said = subprocess.run([CHECKER, *schema, tmp_path / "pipeline.yaml"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, name + said.stdout
