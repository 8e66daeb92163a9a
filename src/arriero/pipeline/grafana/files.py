"""The files themselves: the board, and what has a Grafana load it and find its Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arriero.pipeline.yaml_file import yaml_file
from arriero.spec.model import Spec

BOARD = "dashboards/arriero.json"
PROVIDER, SOURCE = "provisioning/dashboards/arriero.yml", "provisioning/datasources/arriero.yml"
# Where Grafana's own image and packages look for boards.
PLACE = "/var/lib/grafana/dashboards"
NEXT = f"""\
By hand:        in Grafana: Dashboards, New, Import, {BOARD}
By its files:   provisioning/ belongs to /etc/grafana/provisioning, dashboards/ to {PLACE}
Its figures:    arriero export prometheus --out DIR"""


def files(_spec: Spec, _home: Path) -> Mapping[str, str]:
    """Three files; no secret is in them. Raises ArrieroError where the extra `grafana` is not installed."""
    # Imported late: the other kinds need none of it.
    from arriero.pipeline.grafana import board

    provider = {"name": "arriero", "folder": "Arriero", "type": "file", "options": {"path": PLACE}}
    source = {
        "name": "Prometheus",
        "uid": "arriero-prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": "http://127.0.0.1:9090",
    }
    return {
        BOARD: board.made(),
        PROVIDER: yaml_file("grafana", {"apiVersion": 1, "providers": [provider]}),
        SOURCE: yaml_file("grafana", {"apiVersion": 1, "datasources": [source]}),
    }
