"""How a target's sidecar is told to Prometheus: the same group for `http_sd_configs` and `file_sd_configs`."""

from __future__ import annotations

from typing import Any

from arriero.control.messages import TargetEntry


def group(entry: TargetEntry, service: str) -> dict[str, Any]:
    """One target with its labels, in the form of both."""
    scheme, _, address = entry.address.rpartition("://")
    labels = {"service": service, "site": entry.site, "target": entry.id, "role": entry.role}
    if entry.release is not None:
        labels["release"] = str(entry.release)
    if scheme:
        labels["__scheme__"] = scheme
    return {"targets": [address], "labels": labels}
