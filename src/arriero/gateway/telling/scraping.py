"""Where else there are figures: the targets' sidecars, as Prometheus's HTTP service discovery reads them. Pure.

The format is that of `http_sd_configs`: a list of `{"targets": ["host:port"], "labels": {...}}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from arriero.control.scraping import group
from arriero.gateway.routing.target import Target

PATH = "/metrics/targets"


def sidecars(targets: Iterable[Target], service: str) -> list[dict[str, Any]]:
    """All targets but those that answered without a sidecar; one that is down stays, so that it is seen to be."""
    return [group(target.entry, service) for target in targets if target.has_sidecar is not False]
