"""Whether an image is still in its registry: one question in the distribution protocol, without a login.

See https://distribution.github.io/distribution/spec/api/. A registry that wants a login, or can't be reached from here,
tells nothing about the image.
"""

from __future__ import annotations

import http.client
from ipaddress import ip_address

from arriero.spec.image import digest_of, registry_of, repository_of, tag_of

DOCKER_HUB = "registry-1.docker.io"
WITHIN_SECONDS = 5.0
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


def gone(image: str) -> str:
    """Why it can't be pulled any more; empty where it can, or where nobody can tell from here."""
    host, path = place_of(repository_of(image))
    wanted = digest_of(image) or tag_of(image)
    status = _asked(host, f"/v2/{path}/manifests/{wanted}")
    return f"{host} has no {path}:{wanted}" if status == 404 else ""


def place_of(repository: str) -> tuple[str, str]:
    """Host and path of a repository: `acme/llm` is Docker Hub's."""
    if host := registry_of(repository):
        return host, repository.removeprefix(f"{host}/")
    return DOCKER_HUB, repository if "/" in repository else f"library/{repository}"


def is_here(host: str) -> bool:
    """A registry on this machine is spoken to without TLS, as Docker does."""
    name = host.partition(":")[0]
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _asked(host: str, path: str) -> int:
    """The status; 0 where nobody answers."""
    plain = is_here(host)
    kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
    connection = kind(host, timeout=WITHIN_SECONDS)
    try:
        connection.request("HEAD", path, headers={"Accept": _ACCEPT})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError):
        return 0
    finally:
        connection.close()
