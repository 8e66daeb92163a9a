"""Projects for the runner: a spec and what `arriero export jenkins` makes of it; an arriero that pretends."""

from __future__ import annotations

import os
from pathlib import Path

from arriero.pipeline import export
from arriero.spec.load import load

SPEC = """name: llm
image: registry.example.com/acme/llm
models: [llama2]
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
pipeline: {slack: '#releases', approvers: [alice]}
"""
# Says what it was called with and what it found; fails where a file tells it so.
PRETENDER = r"""#!/bin/sh
echo "pretend: $*; key $AWS_SECRET_ACCESS_KEY, docker $DOCKER_CONFIG, azure ${AZURE_CLIENT_SECRET:-none}"
mkdir -p reports .arriero/image && echo '{}' > "reports/$1.json"
where=registry.example.com/acme/llm
printf '{"schema": 1, "digest": "sha256:%s", "id": "x", "repositories": ["'$where'"], "tags": []}' \
  "$(sha256sum arriero.yaml | cut -c1-64)" > .arriero/image/pushed.json
for word in "$@"; do
  if [ -e "$PRETEND/slow-$word" ]; then echo "waiting"; sleep 30; fi
  if [ -e "$PRETEND/fail-$word" ]; then exit 3; fi
done
"""


def exported(folder: Path, spec: str = SPEC) -> Path:
    """The folder, with the spec and the pipeline made from it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arriero.yaml").write_text(spec)
    loaded = load(folder / "arriero.yaml", None, {})
    export.write(export.contents(export.kind_of("jenkins"), loaded.spec, folder, folder), folder)
    return folder


def pretending(folder: Path) -> dict[str, str]:
    """The environment in which `arriero` is the pretender; files `fail-WORD` in `folder` have it fail."""
    folder.mkdir(exist_ok=True)
    program = folder / "arriero"
    program.write_text(PRETENDER)
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PRETEND": str(folder)}
