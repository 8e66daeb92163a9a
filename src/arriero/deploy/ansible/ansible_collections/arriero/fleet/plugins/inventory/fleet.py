# Copyright (c) The Arriero authors
# GNU General Public License v3.0-or-later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites and targets of a service as hosts."""

from __future__ import annotations

import os
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.vars import load_extra_vars

DOCUMENTATION = r"""
name: fleet
short_description: Sites and targets of an Arriero service
version_added: "0.1.0"
author: The Arriero authors (@arriero)
description:
  - One host for each site of the spec, with all variables of its role, in the group C(sites).
  - One host for each running Ollama server, named C(site.target), in the group C(targets).
  - Both are grouped by cloud (C(aws), C(azure), C(local)), region (C(region_us_east_1)), role (C(role_active)) and
    release (C(release_3)).
  - The clouds are read through their SDKs, all sites side by side, with the credentials of the environment.
  - For the playbook C(arriero.fleet.rollback) the sites are as they were in the release that C(-e release=N) names.
  - The file's name must end with C(fleet.arriero.yml) or C(fleet.arriero.yaml).
requirements:
  - arriero, in the Python that runs Ansible
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [arriero.fleet.fleet]
  spec:
    description: The spec file; a relative path starts at the inventory file.
    type: path
    default: arriero.yaml
  overlay:
    description: The environment whose overlay is laid over the spec, as C(staging) for C(arriero.staging.yaml).
    type: str
"""

EXAMPLES = r"""
# fleet.arriero.yml
plugin: arriero.fleet.fleet
spec: arriero.yaml
"""


class InventoryModule(BaseInventoryPlugin):
    NAME = "arriero.fleet.fleet"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith(("fleet.arriero.yml", "fleet.arriero.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        for group in ("sites", "targets"):
            inventory.add_group(group)
        for host in self._hosts(Path(path).parent / self.get_option("spec"), _back_to(loader)):
            inventory.add_host(host.name)
            for name, value in host.variables.items():
                inventory.set_variable(host.name, name, value)
            for group in host.groups:
                inventory.add_group(group)
                inventory.add_host(host.name, group=group)

    def _hosts(self, spec, back_to):
        # Imported late, so that ansible-doc works where arriero is not installed.
        try:
            from arriero.deploy.fleet import inventory
            from arriero.errors import ArrieroError
        except ImportError as error:
            raise AnsibleParserError(f"arriero is not installed in the Python that runs Ansible: {error}") from error
        try:
            return inventory(spec, self.get_option("overlay"), os.environ, back_to)
        except ArrieroError as error:
            raise AnsibleParserError(str(error)) from error


def _back_to(loader):
    """The release that `rollback.yml` is asked for with `-e release=N`; empty for every other playbook."""
    names = [Path(str(name)).name for name in context.CLIARGS.get("args") or ()]
    if not any(name.split(".")[-1] == "rollback" or name == "rollback.yml" for name in names):
        return ""
    release = load_extra_vars(loader).get("release")
    if release is None:
        raise AnsibleParserError("rollback.yml needs to know where to: add -e release=N, or -e release=stable")
    return str(release)
