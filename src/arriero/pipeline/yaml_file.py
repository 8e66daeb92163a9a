"""A YAML file for a CI server, in the order in which it was made, with a line that says by what."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML


def yaml_file(kind: str, whole: Mapping[str, Any]) -> str:
    stream, yaml = StringIO(), YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    # The same value in two places is written twice: anchors are for people who write by hand.
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(dict(whole), stream)
    return (
        f"# Made by `arriero export {kind}` from arriero.yaml: change that, then make this anew.\n{stream.getvalue()}"
    )
