"""The settings under which Ansible runs: the same for our own runs and for plain `ansible-playbook`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from arriero.deploy.collections import collections_path

OWN_COLLECTIONS = Path(__file__).with_name("ansible")
PLAYBOOKS = OWN_COLLECTIONS / "ansible_collections/arriero/fleet/playbooks"

# Of a user's own ANSIBLE_* only these reach a run. The rest (log files, kept remote files, other callbacks, shown
# arguments) could write down a secret or change what a deployment does.
_PASSED_ON = (
    "ANSIBLE_ASYNC_DIR",
    "ANSIBLE_AZURE_AUTH_SOURCE",
    "ANSIBLE_AZURE_CLOUD_ENVIRONMENT",
    "ANSIBLE_HOME",
    "ANSIBLE_REMOTE_TMP",
)


def ansible_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to `environment` so that plain `ansible-playbook` finds our collections and our Python."""
    return {
        "PATH": _with_our_programs(environment.get("PATH", os.defpath)),
        "ANSIBLE_COLLECTIONS_PATH": f"{OWN_COLLECTIONS}:{collections_path()}",
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
        # The inventory of a fleet, or a plain one. One that can't be read is an error: no play "succeeds" at no site.
        "ANSIBLE_INVENTORY_ENABLED": "arriero.fleet.fleet,host_list,yaml",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_NOCOWS": "1",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
    }


def run_environment(environment: Mapping[str, str], config: Path, temporary: Path, forks: int) -> dict[str, str]:
    """The whole environment of one run of ours.

    `config` is an empty ansible.cfg: no file of the user's or the system's changes what a deployment does. Modules are
    piped into Python, so that no argument of theirs is written to a file; what Ansible writes nevertheless goes to
    `temporary`.
    """
    kept = {k: v for k, v in environment.items() if not k.startswith("ANSIBLE_") or k in _PASSED_ON}
    own = {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_LOCAL_TEMP": str(temporary),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "arriero.fleet.progress",
        "ANSIBLE_SYSTEM_WARNINGS": "False",
    }
    defaults = {"ANSIBLE_HOME": str(temporary), "ANSIBLE_REMOTE_TMP": str(temporary)}
    return {**defaults, **kept, **ansible_environment(environment), **own}


def _with_our_programs(path: str) -> str:
    programs = str(Path(sys.executable).parent)
    return path if path.split(":")[0] == programs else f"{programs}:{path}"
