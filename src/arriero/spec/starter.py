"""The first arriero.yaml of a project, as `arriero init` writes it."""

from __future__ import annotations

from arriero.errors import Problem, Refused
from arriero.spec.values import service_name

SCHEMA_FILE = "arriero.schema.json"

_TEXT = """\
# yaml-language-server: $schema={schema}
# What each key means: arriero docs SECTION. What would be done: arriero plan --rehearse
name: {name}
image: registry.example.com/acme/ollama-llm    # an image with Ollama, and with the models baked in
models: [llama2]

sites:                                         # at least one is active; a standby keeps one warm target
  aws-east:   {{cloud: aws,   region: us-east-1}}
  azure-east: {{cloud: azure, region: eastus, role: standby}}
  # office:   {{cloud: local, hosts: [127.0.0.1]}}

# size: {{cpu: 4 vCPU, memory: 16GiB}}           # of each target
# scale: {{min: 2, max: 4}}                      # targets a site

# rehearse: always                             # never leave this machine's stage
# accounts:                                    # any other account is refused; needed to leave the stage
#   aws: '123456789012'
#   azure: 00000000-0000-0000-0000-000000000001
"""


def text(name: str = "llm") -> str:
    """A short, commented spec for a service of that name; raises Refused for what can't be a name."""
    try:
        return _TEXT.format(name=service_name(name), schema=SCHEMA_FILE)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        raise Refused(Problem(what, remedy, key="--name")) from None
