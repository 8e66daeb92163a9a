"""The environment in which Ansible runs: its own settings, and which variables may be seen."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from arriero.deploy import collections

_HARMLESS = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TZ", "USER", "LOGNAME", "VIRTUAL_ENV")
_HARMLESS_PREFIXES = ("ANSIBLE_", "RUNNER_", "AWX_")

OUR_COLLECTIONS = Path(__file__).parent / "ansible"


def ansible_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ansible's settings, for our own runs and for a plain `ansible-playbook` beside them."""
    ours = {
        "ANSIBLE_COLLECTIONS_PATH": f"{OUR_COLLECTIONS}:{collections.collections_path()}",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOWS": "True",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "False",
        "ANSIBLE_INVENTORY_ENABLED": "arriero.fleet.fleet,yaml,auto",
    }
    return {**ours, **{name: value for name, value in environment.items() if name.startswith("ANSIBLE_")}}


def split(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What may be written down, and the rest: credentials come in many names, so only known harmless ones are shown."""
    shown = {k: v for k, v in environment.items() if k in _HARMLESS or k.startswith(_HARMLESS_PREFIXES)}
    return shown, {k: v for k, v in environment.items() if k not in shown}
