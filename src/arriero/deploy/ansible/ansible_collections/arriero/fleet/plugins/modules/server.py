#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps a server as a background process of this machine, found again by its state file."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: server
short_description: Keep a server running as a background process of this machine
version_added: 0.1.0
description:
  - Starts a program in the background, on an address that is free, and waits until it answers over HTTP.
  - What was started stands in a state file, C(<state home>/arriero/<service>/<site>/<name>.json), the state home being
    E(XDG_STATE_HOME) or C(~/.local/state). The process is known by its number and the moment it started, so that a
    later process with the same number is never taken for it, nor ended.
  - A server that runs as asked is left alone; one that ended is started anew; one that differs is ended and started.
  - Linux only.
options:
  service:
    description: The service it belongs to.
    type: str
    required: true
  site:
    description: The site it belongs to.
    type: str
    required: true
  name:
    description: Its name, unique in the site.
    type: str
    required: true
  state:
    description: Whether it shall run.
    type: str
    choices: [present, absent]
    default: present
  command:
    description: The program and its arguments. Needed for O(state=present).
    type: list
    elements: str
    default: []
  environment:
    description:
      - Its environment, besides what of the caller's concerns no cloud (path, home, language, GPUs).
      - E(OLLAMA_HOST) is set to the address chosen.
    type: dict
    default: {}
  sidecar:
    description:
      - What stands before it, as C(command) and C(environment); it gets the address, and the server the next port.
      - E(ARRIERO_LISTEN), E(ARRIERO_OLLAMA_ADDRESS) and E(ARRIERO_FOLLOW) (the server's process number) are set for it.
    type: dict
    default: {}
  first:
    description:
      - Models that its sidecar loads before it takes a request. They are no part of what it is, so a server that runs
        is not asked for them again.
    type: list
    elements: str
    default: []
  host:
    description:
      - Where to listen. Of a range like V(127.0.1.0/24), the first address whose port is free; at a single address,
        the first free port from O(port) on.
    type: str
    default: 127.0.1.0/24
  port:
    description: The port to listen on.
    type: int
    default: 11434
  tags:
    description: Kept with it; they say what it is part of.
    type: dict
    default: {}
  stop_seconds:
    description: How long it may take to end after SIGTERM, before SIGKILL.
    type: int
    default: 30
  start_seconds:
    description: How long it may take until it answers.
    type: int
    default: 60
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Keep a server running
  arriero.fleet.server:
    service: llm
    site: office
    name: llm-office-r1-1
    command: [ollama, serve]
    environment:
      OLLAMA_NUM_PARALLEL: "4"

- name: End it
  arriero.fleet.server:
    service: llm
    site: office
    name: llm-office-r1-1
    state: absent
"""

RETURN = r"""
address:
  description: Where it listens, host and port.
  returned: when it runs
  type: str
  sample: 127.0.1.1:11434
pid:
  description: Its process number.
  returned: when it runs
  type: int
  sample: 4711
log:
  description: The file that holds what it wrote.
  returned: when it runs
  type: str
  sample: /home/me/.local/state/arriero/llm/office/llm-office-r1-1.log
"""

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_STATE_HOME", "LD_LIBRARY_PATH")
PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "GGML_", "GPU_", "VK_", "SSL_CERT_")
COMPARED = ("command", "environment", "sidecar", "host", "port", "tags", "stop_seconds")
CANDIDATES = 50
LOG_LINES = 10


class CannotStart(Exception):
    """The sentence says why."""


def main():
    text, number, mapping = {"type": "str"}, {"type": "int"}, {"type": "dict", "default": {}}
    arguments = {
        "service": {**text, "required": True},
        "site": {**text, "required": True},
        "name": {**text, "required": True},
        "state": {**text, "choices": ["present", "absent"], "default": "present"},
        "command": {"type": "list", "elements": "str", "default": []},
        "environment": mapping,
        "sidecar": mapping,
        "first": {"type": "list", "elements": "str", "default": []},
        "host": {**text, "default": "127.0.1.0/24"},
        "port": {**number, "default": 11434},
        "tags": mapping,
        "stop_seconds": {**number, "default": 30},
        "start_seconds": {**number, "default": 60},
    }
    module = AnsibleModule(arguments, supports_check_mode=True)
    if module.params["state"] == "present" and not module.params["command"]:
        module.fail_json(msg="command is empty: give the program and its arguments")
    try:
        module.exit_json(**(keep if module.params["state"] == "present" else end)(module))
    except CannotStart as error:
        module.fail_json(msg=str(error))


def keep(module):
    asked = module.params
    file = state_file(asked)
    known = read(file)
    is_right = known is not None and is_running(known) and all(known.get(key) == asked[key] for key in COMPARED)
    if is_right:
        return {"changed": False, **told(known)}
    if module.check_mode:
        return {"changed": True}
    if known is not None:
        stop(known, known.get("stop_seconds", asked["stop_seconds"]))
    return {"changed": True, **told(start(asked, file))}


def end(module):
    file = state_file(module.params)
    known = read(file)
    if known is None:
        return {"changed": False}
    if not module.check_mode:
        stop(known, known.get("stop_seconds", module.params["stop_seconds"]))
        file.unlink()
        for log in (Path(known["log"]), Path(known["log"]).with_suffix(".sidecar.log")):
            log.unlink(missing_ok=True)
        remove_empty(file.parent)
    return {"changed": True}


def told(known):
    return {key: known[key] for key in ("address", "pid", "log")}


def start(asked, file):
    """Tries addresses until the server holds one: another may take it between the look and the start."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = file.with_name(file.name.removesuffix(".json") + ".log")
    for address, behind in free_addresses(asked["host"], asked["port"], bool(asked["sidecar"])):
        known = launch(asked, address, behind, log)
        write(file, known)
        if is_answering_within(known, behind, asked["start_seconds"]):
            return stand_before(asked, known, behind, file) if asked["sidecar"] else known
        if is_alive(known):
            stop(known, asked["stop_seconds"])
            raise CannotStart(
                "%s does not answer on %s after %d s; the end of its log (%s): %s"
                % (asked["name"], behind, asked["start_seconds"], log, last_lines(log))
            )
        if "address already in use" not in last_lines(log):
            raise CannotStart(
                "%s ended as it started; the end of its log (%s): %s" % (asked["name"], log, last_lines(log))
            )
    raise CannotStart("no address of %s has port %d free: end what listens there" % (asked["host"], asked["port"]))


def launch(asked, address, behind, log):
    try:
        process = spawn(asked["command"], {**asked["environment"], "OLLAMA_HOST": behind}, log)
    except OSError as error:
        raise CannotStart(
            "%s can't be started: %s; install Ollama (https://ollama.com/download) or name it in ARRIERO_OLLAMA"
            % (asked["command"][0], error.strerror)
        ) from error
    return {
        **{key: asked[key] for key in COMPARED},
        "name": asked["name"],
        "address": address,
        "log": str(log),
        **process,
    }


def stand_before(asked, known, behind, file):
    """Starts the sidecar of a server that answers; it ends when the server does."""
    log = Path(known["log"]).with_suffix(".sidecar.log")
    told = {
        "ARRIERO_LISTEN": known["address"],
        "ARRIERO_OLLAMA_ADDRESS": behind,
        "ARRIERO_FOLLOW": known["pid"],
        **({"ARRIERO_LOAD_FIRST": ",".join(asked["first"])} if asked["first"] else {}),
    }
    known["beside"] = spawn(asked["sidecar"]["command"], {**asked["sidecar"]["environment"], **told}, log)
    write(file, known)
    if not is_answering_within(known["beside"], known["address"], asked["start_seconds"]):
        stop(known, asked["stop_seconds"])
        raise CannotStart(
            "the sidecar of %s does not answer on %s; the end of its log (%s): %s"
            % (asked["name"], known["address"], log, last_lines(log))
        )
    return known


def spawn(command, environment, log):
    """A background process of its own session, as its number and the moment it started."""
    whole = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith(PASSED_ON_PREFIXES)}
    whole.update({key: str(value) for key, value in environment.items()})
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=whole,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return {"pid": process.pid, "started": started_at(process.pid)}


def free_addresses(host, port, has_sidecar):
    """Candidates, each free when it is handed out: where clients come to, and where the server listens. Behind a
    sidecar that is the next port, on loopback.
    """
    network = ipaddress.ip_network(host, strict=False)
    if network.num_addresses > 1:
        candidates = ((str(one), port) for one in network.hosts())
    else:
        candidates = ((str(network.network_address), one) for one in range(port, port + CANDIDATES))
    for one, number in candidates:
        inner = one if ipaddress.ip_address(one).is_loopback else "127.0.0.1"
        behind = (inner, number + 1) if has_sidecar else (one, number)
        if is_free(one, number) and is_free(*behind):
            yield "%s:%d" % (one, number), "%s:%d" % behind


def is_free(host, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def is_answering_within(process, address, seconds):
    deadline = time.monotonic() + seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while is_alive(process) and time.monotonic() < deadline:
        try:
            opener.open("http://%s/" % address, timeout=1).close()
            return is_alive(process)
        except urllib.error.HTTPError:
            return is_alive(process)  # it answers, if only to say no
        except OSError:
            time.sleep(0.05)
    return False


def stop(known, grace_seconds):
    """The sidecar first, so that streams end while the server still runs."""
    for process in (known.get("beside"), known):
        if process:
            stop_process(process, grace_seconds)


def stop_process(process, grace_seconds):
    """SIGTERM, then SIGKILL; its whole group, for a killed Ollama leaves its runner behind."""
    if is_alive(process):
        os.kill(process["pid"], signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        try:
            os.killpg(process["pid"], signal.SIGKILL)
        except ProcessLookupError:
            return
        while is_alive(process):
            time.sleep(0.02)


def is_running(known):
    return is_alive(known) and ("beside" not in known or is_alive(known["beside"]))


def is_alive(known):
    return known["started"] is not None and started_at(known["pid"]) == known["started"]


def started_at(pid):
    """Field 22 of /proc/PID/stat; None for a process that is not there, or that only waits to be read."""
    try:
        fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def state_file(asked):
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home, "arriero", asked["service"], asked["site"], asked["name"] + ".json")


def read(file):
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None


def write(file, known):
    """At once or not at all; its owner's only, for an environment may hold what others must not see."""
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:
        json.dump(known, target, indent=1)
    fresh.replace(file)


def remove_empty(folder):
    """The site's folder, the service's and our own, as far as they are empty."""
    for one in (folder, *folder.parents[:2]):
        try:
            one.rmdir()
        except OSError:
            return


def last_lines(log):
    try:
        return " / ".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]) or "it is empty"
    except FileNotFoundError:
        return "there is none"


if __name__ == "__main__":
    main()
