"""The unmodified modules of azure.azcollection, led here by environment variables only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from running_azure import Azure, eventually

_SHARE = Path(sys.prefix) / "share" / "arriero"
_PLAY = Path(__file__).with_name("modules_play.yml")


def play(azure: Azure, playbook: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    home = azure.folder / "home"
    environment = {
        **azure.environment(),
        "ANSIBLE_COLLECTIONS_PATH": str(_SHARE / "collections"),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_REMOTE_TMP": str(home / "tmp"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONPATH": str(_SHARE / "azure-stand-ins"),
        **changes,
    }
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-c",
        "local",
        str(playbook),
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def calls(azure: Azure) -> list[dict[str, object]]:
    return [json.loads(line) for line in (azure.folder / "requests.jsonl").read_text().splitlines()]


@pytest.mark.story
def test_each_module_creates_finds_unchanged_and_deletes(azure: Azure) -> None:
    done = play(azure, _PLAY)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    eventually(lambda: not azure.processes.all())
    made = [one for one in calls(azure) if one["writes"]]
    assert {"PUT Microsoft.ContainerInstance/containerGroups", "DELETE Microsoft.Resources/resourceGroups"} <= {
        one["action"] for one in made
    }
    assert all("nsible" in str(one["client"]) for one in made), {str(one["client"]) for one in made}
    assert all(one["region"] == "eastus" for one in made)
    assert not [one for one in calls(azure) if one.get("judged") == "unjudged"]


@pytest.mark.story
def test_a_wrong_secret_is_said_as_entra_says_it(azure: Azure, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    task = {"azure.azcollection.azure_rm_resourcegroup": {"name": "rg", "location": "eastus"}}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    done = play(azure, playbook, AZURE_SECRET="wrong")
    assert done.returncode == 2
    assert "AADSTS7000215" in done.stdout
    assert not [one for one in calls(azure) if one["writes"]]
