"""The sidecar of a target: the same image with another command, on the port that clients know; Ollama behind it.

Its settings are its environment (`arriero.gateway.sidecar.settings` reads them), so that it needs no file.
"""

from __future__ import annotations

from arriero.plan.wanted import storage
from arriero.spec.model import ResolvedSite

NAME = "sidecar"
COMMAND = ("arriero", "gateway", "sidecar")
# Said of the other container, too: an image for both runs both in one where nothing is said.
SERVER_COMMAND = ("ollama", "serve")
PORT = 11434
OLLAMA_ADDRESS = "127.0.0.1:11435"
MEMORY_MIB = 256  # measured: 27 MB at rest, about 50 MB with 1,000 open streams


def environment(site: ResolvedSite) -> dict[str, str]:
    """What the sidecar is told. The site's own network may read its figures, so that a Prometheus can stand there. It
    stops draining a second before it is killed. Right behind a load balancer it has the names by which clients know
    that one.
    """
    hosts = {"ARRIERO_HOSTS": ",".join(site.alb.hosts)} if site.alb and not site.edges else {}
    # More would push one another out.
    warm = site.models[: site.ollama.max_loaded_models] if site.warm else ()
    return {
        **hosts,
        **({"ARRIERO_PRELOAD": ",".join(model.name for model in warm)} if warm else {}),
        "ARRIERO_LISTEN": f"0.0.0.0:{PORT}",
        "ARRIERO_OLLAMA_ADDRESS": OLLAMA_ADDRESS,
        "ARRIERO_SLOTS": str(site.ollama.num_parallel),
        "ARRIERO_SERVICE": site.service,
        "ARRIERO_SITE": site.name,
        "ARRIERO_MODELS": ",".join(model.name for model in site.models),
        "ARRIERO_METRICS_SOURCES": "" if site.cloud == "local" else site.network.cidr,
        "ARRIERO_DRAIN_SECONDS": str(max(1, int(site.deploy.stop_within) - 1)),
    }


def server_environment(site: ResolvedSite) -> dict[str, str]:
    """Ollama's own environment: behind a sidecar it listens on loopback, whatever the spec says."""
    behind = {"OLLAMA_HOST": OLLAMA_ADDRESS} if site.sidecar else {}
    return {**site.server_environment, **behind, **storage.server_environment(site)}
