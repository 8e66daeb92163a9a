"""Whether an image is still in its registry: one question in the distribution protocol, without a login.

See https://distribution.github.io/distribution/spec/api/. A registry that wants a login, or can't be reached from here,
tells nothing about the image.
"""

from __future__ import annotations

import http.client
from ipaddress import ip_address

WITHIN_SECONDS = 5.0
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


def gone(image: str) -> str:
    """Why it can't be pulled any more; empty where it can, or where nobody can tell from here."""
    host, slash, rest = image.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "registry-1.docker.io", image if slash else f"library/{image}"
    name, at, digest = rest.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon:
        path, tag = name, "latest"
    status = _asked(host, f"/v2/{path}/manifests/{digest if at else tag}")
    return f"{host} has no {path}:{digest if at else tag}" if status == 404 else ""


def _asked(host: str, path: str) -> int:
    """The status; 0 where nobody answers."""
    plain = _is_loopback(host)
    kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
    connection = kind(host, timeout=WITHIN_SECONDS)
    try:
        connection.request("HEAD", path, headers={"Accept": _ACCEPT})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        return 0
    finally:
        connection.close()


def _is_loopback(host: str) -> bool:
    """As Docker does: a registry on this machine is spoken to without TLS."""
    name = host.partition(":")[0]
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
