"""What a virtual machine would run by its user data, found as cloud-init, systemd and Docker would find it: the units
that are enabled, of each the `docker run` in its ExecStart, and of that the image, the command and the variables.

What is not said there does not run. Nothing else of cloud-init is emulated, and nothing that a script does.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from arriero.rehearse.azure.answers import Document

_HEAD, _UNITS = "#cloud-config", "/etc/systemd/system/"


class _Unknown(Exception):
    """An option of `docker run` that is not known here: Docker might, and nothing runs."""


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise _Unknown(message)


def _docker_run() -> argparse.ArgumentParser:
    found = _Options(add_help=False, allow_abbrev=False)
    for flag in ("--rm",):
        found.add_argument(flag, action="store_true")
    for name in ("--name", "--network", "--gpus", "--stop-timeout", "--entrypoint"):
        found.add_argument(name)
    for name in ("--cap-drop", "--security-opt", "--env-file", "--env"):
        found.add_argument(name, action="append", default=[])
    found.add_argument("image")
    found.add_argument("command", nargs=argparse.REMAINDER)
    return found


_DOCKER_RUN = _docker_run()


def containers(properties: Mapping[str, Any]) -> list[Document]:
    """Of a machine with such properties, in the words of a container group's; on the host's network each."""
    told = _config(properties)
    files = {str(each.get("path")): str(each.get("content", "")) for each in told.get("write_files") or ()}
    texts = (files[f"{_UNITS}{unit}"] for unit in _enabled(told) if f"{_UNITS}{unit}" in files)
    return [found for text in texts if (found := _container(text, files)) is not None]


def _config(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Custom data comes before user data, as cloud-init has it."""
    given = str((properties.get("osProfile") or {}).get("customData") or properties.get("userData") or "")
    try:
        text = base64.b64decode(given).decode()
        told = YAML(typ="safe").load(text) if text.startswith(_HEAD) else None
    except (binascii.Error, UnicodeDecodeError, YAMLError):
        return {}
    return told if isinstance(told, dict) else {}


def _enabled(told: Mapping[str, Any]) -> Iterator[str]:
    """The units that are enabled and started at once, in their order."""
    for command in told.get("runcmd") or ():
        words = command if isinstance(command, list) else shlex.split(str(command))
        if words[:3] == ["systemctl", "enable", "--now"]:
            yield from map(str, words[3:])


def _container(unit: str, files: Mapping[str, str]) -> Document | None:
    line = next((each for each in unit.splitlines() if each.startswith("ExecStart=")), "")
    program, *words = shlex.split(line.removeprefix("ExecStart=")) or [""]
    if program.rpartition("/")[2] != "docker" or words[:1] != ["run"]:
        return None
    try:
        asked = _DOCKER_RUN.parse_args(words[1:])
    except _Unknown:
        return None
    if asked.network != "host" or any(file not in files for file in asked.env_file):
        return None
    pairs = [pair for file in asked.env_file for pair in files[file].splitlines()] + asked.env
    variables = [{"name": name, "value": value} for name, _, value in (pair.partition("=") for pair in pairs)]
    properties = {
        "image": asked.image,
        "command": [*([asked.entrypoint] if asked.entrypoint else []), *asked.command],
        "environmentVariables": variables,
        "stopSeconds": float(asked.stop_timeout or 10),
    }
    return {"name": str(asked.name), "properties": properties}
