"""What a virtual machine is told to run when it starts for the first time: user data for cloud-init, and how it is read
back.

Each container is a unit of systemd that has Docker run it on the machine's own network, so that Ollama and its sidecar
share loopback as in a group. It is user data, not custom data, for only that is told again by Azure: what differs is
seen, and a machine can be copied. Cloud-init takes it from the instance metadata where there is no custom data
(`sources/DataSourceAzure.py` of https://github.com/canonical/cloud-init). It holds no secret: whoever may read the
machine may read it. JSON is YAML, too: so it is written, and nothing needs to be quoted twice.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from arriero.plan.model import Value

HEAD = "#cloud-config\n"
FOLDER, UNITS = "/etc/arriero", "/etc/systemd/system"
# Between two attempts to run a container; and what systemd leaves to Docker beyond the container's own time.
RESTART_SECONDS, BESIDES_SECONDS = 10, 15

Container = Mapping[str, Any]


def user_data(containers: Mapping[str, Container], stop_seconds: int) -> str:
    """`containers` by name, each with `image`, `command`, `environment`, and whether it `has_gpu`."""
    files: list[dict[str, str]] = []
    for name, each in containers.items():
        variables = "".join(f"{key}={value}\n" for key, value in each["environment"].items())
        files.append({"path": f"{FOLDER}/{name}.env", "permissions": "0600", "content": variables})
        files.append(
            {"path": f"{UNITS}/{unit(name)}", "permissions": "0644", "content": _unit(name, each, stop_seconds)}
        )
    start = [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", *map(unit, containers)]]
    return HEAD + json.dumps({"write_files": files, "runcmd": start}, indent=1) + "\n"


def unit(name: str) -> str:
    """What systemd calls the container."""
    return f"arriero-{name}.service"


def containers_of(text: str) -> Mapping[str, Value]:
    """The containers of user data that is ours, in the words above; none of what is not."""
    try:
        told = json.loads(text.removeprefix(HEAD))
        files = {each["path"]: str(each["content"]) for each in told["write_files"]}
        names = [path.removeprefix(f"{FOLDER}/").removesuffix(".env") for path in files if path.startswith(FOLDER)]
        return {name: _container(files[f"{UNITS}/{unit(name)}"], files[f"{FOLDER}/{name}.env"]) for name in names}
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return {}


def _unit(name: str, container: Container, stop_seconds: int) -> str:
    """The GPU's driver is asked first, so that a machine without one says so in its journal."""
    image, command = str(container["image"]), tuple(map(str, container["command"]))
    gpu = ("--gpus", "all") if container["has_gpu"] else ()
    entry = ("--entrypoint", command[0]) if command else ()
    runs = ("/usr/bin/docker", "run", "--rm", "--name", name, "--network", "host", *gpu)
    guard = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--stop-timeout", str(stop_seconds))
    line = shlex.join((*runs, *guard, "--env-file", f"{FOLDER}/{name}.env", *entry, image, *command[1:]))
    asked = "ExecStartPre=/usr/bin/nvidia-smi --list-gpus\n" if container["has_gpu"] else ""
    return (
        f"[Unit]\nDescription=arriero: {name}\nWants=network-online.target\nRequires=docker.service\n"
        "After=network-online.target docker.service\nStartLimitIntervalSec=0\n\n"
        f"[Service]\n{asked}ExecStartPre=-/usr/bin/docker rm --force {name}\nExecStart={line}\n"
        f"ExecStop=/usr/bin/docker stop {name}\nRestart=always\nRestartSec={RESTART_SECONDS}\n"
        f"TimeoutStopSec={stop_seconds + BESIDES_SECONDS}\n\n[Install]\nWantedBy=multi-user.target\n"
    )


def _container(unit_text: str, variables: str) -> Mapping[str, Value]:
    line = next(each for each in unit_text.splitlines() if each.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    after = words.index("--env-file") + 2
    has_entry = words[after] == "--entrypoint"
    entry = (words[after + 1],) if has_entry else ()
    image, *command = words[after + 2 * has_entry :]
    pairs = (each.partition("=") for each in variables.splitlines())
    return {
        "image": image,
        "command": (*entry, *command),
        "environment": {key: value for key, _, value in pairs},
        "has_gpu": "--gpus" in words,
    }
