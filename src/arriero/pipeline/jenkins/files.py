"""All files of the kind `jenkins`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from arriero.pipeline.jenkins.configuration import configuration, plugins
from arriero.pipeline.jenkins.jenkinsfile import jenkinsfile
from arriero.pipeline.jenkins.readme import readme
from arriero.spec.model import Spec

# For npm-groovy-lint. Stages of a declarative pipeline share no variables, so what two of them need is written twice.
LINT = {
    "extends": "recommended-jenkinsfile",
    "rules": {f"dry.Duplicate{kind}Literal": "off" for kind in ("Map", "Number", "String")},
}
NEXT = "Commit them with arriero.yaml, at the root of the repository; jenkins/README.md has the ten steps."


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    """They name no path of the spec's: a pipeline runs in its folder."""
    return {
        "Jenkinsfile": jenkinsfile(spec),
        ".groovylintrc.json": json.dumps(LINT, indent=2) + "\n",
        "jenkins/casc.yaml": configuration(spec),
        "jenkins/plugins.txt": plugins(),
        "jenkins/README.md": readme(spec),
    }
