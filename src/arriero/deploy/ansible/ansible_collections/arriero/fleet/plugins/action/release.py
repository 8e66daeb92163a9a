# Copyright (c) The Arriero authors
# GNU General Public License v3.0-or-later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins and ends a release for the whole playbook; what that is, arriero knows."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    _VALID_ARGS = frozenset(("state", "book"))
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        # Imported late, so that ansible-doc works where arriero is not installed.
        try:
            from arriero.deploy.plain import playbook
            from arriero.errors import ArrieroError
        except ImportError as error:
            raise AnsibleActionFail(f"arriero is not installed in the Python that runs Ansible: {error}") from error
        book = self._task.args["book"]
        # This runs in a worker, which is a child of the process that plays the whole playbook.
        player = os.getppid()
        try:
            if self._task.args["state"] == "begun":
                said = playbook.begin(book, task_vars["ansible_play_hosts_all"], player)
            else:
                said = playbook.end(Path(book["spec"]), player)
        except ArrieroError as error:
            raise AnsibleActionFail(str(error)) from error
        # Ansible shows what a task returned only when it is asked to; who waits for a release wants to know its number.
        self._display.display(said)
        return {"changed": True, "msg": said}
