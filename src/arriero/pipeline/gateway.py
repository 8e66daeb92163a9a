"""The settings of a gateway that somebody runs by hand, under systemd or in a container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from arriero.deploy.gateway_settings import Places, settings_of
from arriero.spec.model import Spec

FILE = "gateway.json"
# Paths start at the file's own folder: what lies there is whole, wherever it is taken.
NEXT = """\
In that folder, once: (umask 077; head -c 32 /dev/urandom | base64 > gateway.token)
Serve:                arriero gateway run --config gateway.json
Tell it of targets:   arriero controller run --file arriero.yaml --gateway gateway.json"""


def files(spec: Spec, home: Path) -> Mapping[str, str]:
    """One file; orders go to the port after the clients' one, on loopback.

    `home` is the spec's folder as seen from the one written into: files that the spec names are found from there.
    """
    port = spec.gateway.port
    places = Places(
        listen=f"{spec.gateway.address}:{port}",
        control=f"127.0.0.1:{port + 1 if port < 65535 else port - 1}",
        token="gateway.token",
        targets="targets.json",
        keys="keys.json",
        placed=lambda name: str(home / Path(name).expanduser()),
    )
    return {FILE: json.dumps(settings_of(spec, places).as_json(), indent=2) + "\n"}
