"""The settings of a gateway that somebody runs by hand, under systemd or in a container."""

from __future__ import annotations

import json
from collections.abc import Mapping

from arriero.control.settings import GatewaySettings
from arriero.spec.model import Spec

FILE = "gateway.json"
# Paths start at the file's own folder: what lies there is whole, wherever it is taken.
NEXT = """\
In that folder, once: (umask 077; head -c 32 /dev/urandom | base64 > gateway.token)
Serve:                arriero gateway run --config gateway.json
Tell it of targets:   arriero controller run --file arriero.yaml --gateway gateway.json"""


def files(spec: Spec) -> Mapping[str, str]:
    """One file; orders go to the port after the clients' one, on loopback."""
    control = spec.gateway.port + 1 if spec.gateway.port < 65535 else spec.gateway.port - 1
    settings = GatewaySettings(
        service=spec.name,
        listen=f"{spec.gateway.address}:{spec.gateway.port}",
        control=f"127.0.0.1:{control}",
        admin_token_file="gateway.token",
        targets_file="targets.json",
        keys_file="keys.json",
    )
    return {FILE: json.dumps(settings.as_json(), indent=2) + "\n"}
