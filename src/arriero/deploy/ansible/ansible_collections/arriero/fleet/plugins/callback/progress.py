# Copyright (c) The Arriero authors
# GNU General Public License v3.0-or-later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells ansible-runner what a play does, and nothing of what its tasks returned."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

from ansible import constants as C
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: Progress of a play as events, without the results of its tasks
version_added: "0.1.0"
author: The Arriero authors (@arriero)
description:
  - Tells what happens at which host as events that ansible-runner understands, each with a line for people.
  - Events travel in the output itself. No file is written, so a result that holds a secret is never on a disk.
  - Of a result it tells only whether it changed anything, and the message of a failure.
"""

CHUNK = 512
LEADING = ("main", "remove", "step", "site")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "arriero.fleet.progress"

    _last = None

    def v2_playbook_on_start(self, playbook):
        self._last = _last_task(playbook.get_plays())

    def v2_runner_on_start(self, host, task):
        if not _is_include(task):
            self._tell("started", host, task)

    def v2_runner_retry(self, result):
        attempts = {"attempt": result.result.get("attempts"), "of": result.result.get("retries")}
        self._tell("retried", result.host, result.task, **attempts)

    def v2_runner_on_ok(self, result):
        if not _is_include(result.task):
            self._tell("ok", result.host, result.task, changed=result.is_changed())
        if result.task._uuid == self._last:
            self._tell("done", result.host, result.task)

    def v2_runner_on_skipped(self, result):
        self._tell("skipped", result.host, result.task)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        caught = "caught" if ignore_errors or _is_rescued(result.task) else "failed"
        self._tell(caught, result.host, result.task, messages=_messages(result.result))

    def v2_runner_on_unreachable(self, result):
        self._tell("failed", result.host, result.task, messages=_messages(result.result))

    def v2_playbook_on_no_hosts_matched(self):
        self._write({"event": "no_hosts"}, "no site matches the play")

    def v2_playbook_on_stats(self, stats):
        failed = sorted(host for host in stats.processed if stats.failures.get(host) or stats.dark.get(host))
        done = sorted(host for host in stats.processed if host not in failed)
        self._write({"event": "ended", "failed": failed, "done": done}, f"done: {done}, failed: {failed}")

    def _tell(self, event, host, task, **fields):
        name = (task.name or task.action).strip()
        record = {"event": event, "host": host.get_name(), "task": name, "step": _step(task), **fields}
        words = [f"{k}={v}" for k, v in fields.items() if k != "messages"] + list(fields.get("messages", ()))
        self._write(record, " ".join([f"{host.get_name()}: {name}: {event}", *words]))

    def _write(self, record, line):
        """One event in the form that ansible-runner looks for: a token with data, the text, an empty token."""
        data = {"uuid": str(uuid.uuid4()), "event": f"arriero_{record.pop('event')}", "event_data": record}
        self._display.display(_token(data) + line + _token({}))


def _token(data):
    """Base64 between erase codes, each chunk followed by a move back over it: a terminal shows nothing of it."""
    text = base64.b64encode(json.dumps(data).encode()).decode()
    chunks = [text[i : i + CHUNK] for i in range(0, len(text), CHUNK)]
    return "\x1b[K" + "".join(f"{chunk}\x1b[{len(chunk)}D" for chunk in chunks) + "\x1b[K"


def _step(task):
    """The task file, which is the step's name; the files that only lead through the steps are none themselves."""
    step = Path(task.get_path().rsplit(":", 1)[0]).stem
    return "" if step in LEADING else step


def _last_task(plays):
    """The id of the task that ends the playbook at each host; none where an include ends it, which others follow."""
    blocks = plays[-1].tasks if plays else ()
    task = blocks[-1].block[-1] if blocks else None
    return None if task is None or not hasattr(task, "action") or _is_include(task) else task._uuid


def _is_include(task):
    return task.action in C._ACTION_ALL_INCLUDE_ROLE_TASKS


def _is_rescued(task):
    """Whether the task is in a block whose rescue part will look at the failure."""
    child, parent = task, task._parent
    while parent is not None:
        inside = getattr(parent, "block", None) or ()
        if getattr(parent, "rescue", None) and any(member._uuid == child._uuid for member in inside):
            return True
        child, parent = parent, parent._parent
    return False


def _messages(result):
    """What failed items of a loop say, or the task itself; of hidden results only that they are hidden."""
    items = [item for item in result.get("results") or () if isinstance(item, dict) and item.get("failed")]
    return [text for one in (items or [result]) if (text := _message(one))]


def _message(result):
    if "censored" in result:
        return str(result["censored"])
    output = next((str(result[key]) for key in ("module_stderr", "stderr", "stdout") if result.get(key)), "")
    return "\n".join(filter(None, [str(result.get("msg", "")).strip(), output.strip()[-2000:]]))
