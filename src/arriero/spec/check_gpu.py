"""GPUs: neither Fargate nor ACI has any, and some that people still ask for are gone altogether."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.catalog import catalog
from arriero.errors import Problem
from arriero.spec.model import Site

CLOUDS = {"aws": "AWS", "azure": "Azure"}


def gpu_problems(name: str, site: Site) -> Iterator[Problem]:
    """Why a site can't have the GPU it asks for, and where there is one."""
    if site.gpu is None:
        return
    key = f"sites.{name}.gpu"
    if site.cloud == "local":
        yield Problem("a local Ollama finds this machine's GPU by itself", "remove the line", key)
        return
    gone = catalog.retired(site.gpu)
    if gone:
        what = f"{gone.name} was retired by {CLOUDS[gone.cloud]} ({gone.date}), and {_why(site.cloud)}"
        successors = ", ".join(gone.successors)
        yield Problem(what, f"its successors are {successors}; remove gpu, or serve it there and not here", key)
    else:
        yield Problem(_why(site.cloud), f"remove gpu; {CLOUDS[site.cloud]} has {_offers(site.cloud)}", key)


def _why(cloud: str) -> str:
    none = catalog.without_gpu(cloud)
    if none is None:
        raise KeyError(cloud)
    return f"{none.service} has had no GPUs since {none.since}" if none.since else f"{none.service} has no GPUs"


def _offers(cloud: str) -> str:
    services: dict[str, list[str]] = {}
    for gpu in catalog.gpus(cloud):
        services.setdefault(gpu.service, []).append(gpu.gpu if gpu.gpu == gpu.name else f"{gpu.gpu} ({gpu.name})")
    return ", and ".join(f"{', '.join(gpus)} on {service}" for service, gpus in services.items())
