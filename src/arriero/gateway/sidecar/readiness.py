"""`python3 -m arriero.gateway.sidecar.readiness`: a health check for containers, which have no curl.

Exit code 0 if the server of this container is ready, else 1. It loads nothing that takes time: it runs every ten
seconds beside a model that needs the processors.
"""

from __future__ import annotations

import http.client
import os
import sys


def main() -> int:
    """Asks the sidecar's /readyz; in a container that runs `ollama serve` alone, Ollama itself."""
    listen = os.environ.get("ARRIERO_LISTEN", "127.0.0.1:11434")
    said = ask(listen, "/readyz")
    if said is None:
        said = ask(os.environ.get("OLLAMA_HOST") or listen, "/")
    return 0 if said == 200 else 1


def ask(address: str, path: str) -> int | None:
    """The status; None where nobody listens."""
    host, _, port = address.rpartition(":")
    try:
        connection = http.client.HTTPConnection(host.replace("0.0.0.0", "127.0.0.1"), int(port), timeout=4)
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    sys.exit(main())
