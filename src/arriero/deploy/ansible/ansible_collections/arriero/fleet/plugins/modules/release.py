# Copyright (c) The Arriero authors
# GNU General Public License v3.0-or-later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin `release`, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Begin or end a release of an Arriero service
version_added: "0.1.0"
author: The Arriero authors (@arriero)
description:
  - Takes the lease of the service and the release's number, or writes down how the release ended and gives the lease
    back.
  - A process of its own holds the lease for as long as the playbook runs. When the lease is lost, it ends the playbook;
    when the playbook ends without having said so, it writes down what stands.
  - It fails where another deployment is under way, and where one came between the inventory and the lease.
requirements:
  - arriero, in the Python that runs Ansible
options:
  state:
    description: Whether to begin or to end the release.
    type: str
    required: true
    choices: [begun, ended]
  book:
    description: The variable C(arriero_book) of the inventory plugin C(fleet).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Take the lease and the release's number
  arriero.fleet.release:
    state: begun
    book: "{{ arriero_book }}"
  run_once: true
"""

RETURN = r"""
msg:
  description: What was begun, or how it ended.
  type: str
  returned: always
"""
