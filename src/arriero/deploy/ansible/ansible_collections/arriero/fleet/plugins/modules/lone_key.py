#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a pair of keys and gives its public half alone: nobody can log in with it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lone_key
short_description: Make a public key whose private half nobody has
version_added: 0.1.0
description:
  - Azure makes no virtual machine with Linux without a password or a public key of who logs in. Where nobody should,
    this gives it a key to which there is no other half, since that is forgotten as soon as it was made.
  - Nothing is written anywhere, and nothing changes. Each time there is another one.
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Have a key that opens nothing
  arriero.fleet.lone_key:
  register: lone
"""

RETURN = r"""
public_key:
  description: An RSA key of 3072 bits, as a line of an authorized_keys file.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

BITS = 3072


def public_key():
    """Of a pair whose other half ends with this call."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=BITS).public_key()
    return made.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, public_key=public_key())


if __name__ == "__main__":
    main()
