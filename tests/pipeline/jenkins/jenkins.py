"""A stand-in for Jenkins: the programs in `runner/`, given what our configuration as code would give a Jenkins."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
SOURCES = Path(__file__).parent / "runner"
JARS = ROOT / ".venv" / "groovy"
LINTER = ROOT / ".venv" / "npm" / "node_modules" / ".bin" / "npm-groovy-lint"
LIMIT_SECONDS = 400
# What Jenkins's own environment would hold, as jenkins/README.md asks for it. None of it opens anything.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-of-nobody",
    "AZURE_CLIENT_ID": "00000000-0000-0000-0000-00000000000c",
    "AZURE_CLIENT_SECRET": "azure-secret-of-nobody",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-00000000000a",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-00000000000b",
    "GITHUB_WEBHOOK_SECRET": "hook-secret-of-nobody",
    "SLACK_TOKEN": "xoxb-of-nobody",
    "SLACK_TEAM": "acme",
    "VAULT_PASSWORD_BASE64": base64.b64encode(b"vault-password-of-nobody\n").decode(),
}


@dataclass(frozen=True)
class Ended:
    """How a build ended. `stages` are their results by name; `slack` is what a local receiver heard."""

    code: int
    result: str
    stages: Mapping[str, str]
    skipped: Sequence[str]
    log: Sequence[str]

    @property
    def text(self) -> str:
        return "\n".join(self.log)

    @property
    def commands(self) -> list[str]:
        """The `sh` steps that were run, in the order in which they began."""
        found = (re.match(r"(?:\[[^\]]*\] )?\+ (.*)", line) for line in self.log)
        return [match[1] for match in found if match]


@dataclass
class Jenkins:
    """One controller with one agent. `workspace` is a checkout with what `arriero export jenkins` wrote."""

    home: Path
    workspace: Path
    environment: dict[str, str] = field(default_factory=dict)
    slack_url: str = ""

    def build(self, **more: Any) -> Ended:
        """Runs one build. `more` are keys of what the runner is asked: input, parameters, abortWhen…"""
        return self._ended(self._java("run", str(self._asked(more))).returncode)

    @contextmanager
    def serving(self, builds: int, **more: Any) -> Iterator[str]:
        """The address of its webhook; it ends after so many builds, and is waited for."""
        asked = self._asked({**more, "builds": builds})
        process = subprocess.Popen(_command("serve", str(asked)), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}/github-webhook/"
            process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()

    def last(self) -> Ended:
        return self._ended(0)

    @property
    def artifacts(self) -> set[str]:
        folder = self.home / "artifacts" / "7"
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def _asked(self, more: Mapping[str, Any]) -> Path:
        casc = YAML(typ="safe").load((self.workspace / "jenkins" / "casc.yaml").read_text())
        asked = {
            "jenkinsfile": str(self.workspace / "Jenkinsfile"),
            "workspace": str(self.workspace),
            "home": str(self.home),
            "out": str(self.home / "ended.json"),
            "labels": ["arriero"],
            "environment": {**_AGENT, **self.environment},
            "credentials": _credentials(casc),
            "hookCredential": casc["unclassified"]["gitHubPluginConfig"]["hookSecretConfigs"][0]["credentialsId"],
            "job": casc["jobs"][0]["script"],
            "input": {"answer": "yes", "by": "alice"},
            "slack": {"url": self.slack_url},
            **more,
        }
        self.home.mkdir(exist_ok=True)
        file = self.home / "asked.json"
        file.write_text(json.dumps(asked))
        return file

    def _java(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*words),
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def _ended(self, code: int) -> Ended:
        found = json.loads((self.home / "ended.json").read_text())
        return Ended(code, found["result"], found["stages"], found["skipped"], found["log"])


_AGENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.environ.get("HOME", "/"),
    "BUILD_NUMBER": "7",
    "BUILD_URL": "https://jenkins.example.com/job/llm/7/",
    "JOB_NAME": "llm",
    "GIT_COMMIT": "0123456789abcdef0123456789abcdef01234567",
}


def check(*files: Path) -> dict[str, list[str]]:
    """The faults of each Jenkinsfile, by its file's name, held against the reference without running anything."""
    ended = subprocess.run(
        _command("check", *map(str, files)), capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, list[str]] = json.loads(ended.stdout)
    return {Path(name).name: faults for name, faults in found.items()}


def lint(folder: Path) -> list[str]:
    """What npm-groovy-lint, by the rules exported with the Jenkinsfile, says of it."""
    words = [
        str(LINTER),
        "--noserver",
        "--config",
        str(folder / ".groovylintrc.json"),
        "--failon",
        "none",
        "--output",
        "json",
        "--files",
        "**/Jenkinsfile",
    ]
    ended = subprocess.run(
        [*words, "--path", str(folder)],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    found = json.loads(ended.stdout[ended.stdout.index("{") :])
    errors = [error for file in found["files"].values() for error in file["errors"]]
    return [f"{error['line']}: {error['severity']}: {error['rule']}: {error['msg']}" for error in errors]


def needs_groovy() -> None:
    """Skips where the parts are missing; .ci/run has them."""
    if not shutil.which("java") or not list(JARS.glob("groovy-2*.jar")):
        pytest.skip("needs java, and Groovy: make groovy")


def _command(*words: str) -> list[str]:
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*:{_compiled()}", "main", *words]


@cache
def _compiled() -> Path:
    """The programs' classes, compiled when a source is newer: a start takes one second then, not ten."""
    classes, sources = JARS / "classes", sorted(SOURCES.iterdir())
    stamp = classes / "reference.json"
    newest = max(path.stat().st_mtime for path in sources)
    if not stamp.exists() or stamp.stat().st_mtime < newest:
        classes.mkdir(exist_ok=True)
        programs = [str(path) for path in sources if path.suffix == ".groovy"]
        compiler = "org.codehaus.groovy.tools.FileSystemCompiler"
        subprocess.run(["java", "-cp", f"{JARS}/*", compiler, "-d", str(classes), *programs], check=True)
        shutil.copy(SOURCES / "reference.json", stamp)
    return classes


def _credentials(casc: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By id, each `${NAME}` replaced by what Jenkins's environment holds, as configuration as code does."""
    listed = casc["credentials"]["system"]["domainCredentials"][0]["credentials"]
    return {
        values["id"]: {"kind": kind, **{key: _filled(str(value)) for key, value in values.items()}}
        for each in listed
        for kind, values in each.items()
    }


def _filled(text: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: {**ENVIRONMENT, **_DOCKER}[match[1]], text)


# A zip of one file, config.json, which holds `{}`.
_DOCKER = {
    "DOCKER_CONFIG_ZIP_BASE64": (
        "UEsDBBQAAAAAAAAAIQBDv6ajAgAAAAIAAAALAAAAY29uZmlnLmpzb257fVBLAQIUAxQAAAAAAAAAIQBDv6ajAgAAAAIAAAALAAAA"
        "AAAAAAAAAACAAQAAAABjb25maWcuanNvblBLBQYAAAAAAQABADkAAAArAAAAAAA="
    )
}
