"""The compose file of a spec's image: one container, as safe as the clouds run it."""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from arriero.pipeline.image.dockerfile import KEYS, PORT
from arriero.spec.model import Spec

# Docker kills a container that is still there after its grace; the sidecar stops draining before that.
SPARE_SECONDS = 6


def compose(spec: Spec) -> str:
    drain = int(spec.deploy.stop_within)
    service: dict[str, Any] = {
        "image": spec.image.name,
        "build": ".",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ports": [f"127.0.0.1:{PORT}:{PORT}"],
        "volumes": [f"keys:{KEYS}", "scratch:/tmp"],
        "environment": {**spec.environment, "ARRIERO_DRAIN_SECONDS": str(drain)},
        "stop_grace_period": f"{drain + SPARE_SECONDS}s",
        "restart": "unless-stopped",
        "mem_limit": int(spec.size.memory),
        "cpus": float(spec.size.cpu),
    }
    if spec.image.variant == "cuda":
        devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
        service["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    stream = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump({"services": {spec.name: service}, "volumes": {"keys": {}, "scratch": {}}}, stream)
    return "# One container that serves the models; port 11434 answers on this machine alone.\n" + stream.getvalue()
