"""The collection's module that makes a key which opens nothing."""

from __future__ import annotations

import importlib.util

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from arriero.deploy.settings import OWN_COLLECTIONS

MODULE = OWN_COLLECTIONS / "ansible_collections/arriero/fleet/plugins/modules/lone_key.py"


def test_each_time_it_gives_the_public_half_of_another_pair() -> None:
    spec = importlib.util.spec_from_file_location("tested_lone_key", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    one, other = module.public_key(), module.public_key()
    assert one != other
    assert one.startswith("ssh-rsa AAAA")
    key = load_ssh_public_key(one.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
