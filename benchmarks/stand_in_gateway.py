"""A gateway's control port with as many targets as wished, and no gateway behind it: what the page is measured against.

It tells what a gateway tells of a fleet at work: each second's counters, some targets that come and go. A project's
folder is told that this is its gateway, so that `arriero ui` finds it there.

    python benchmarks/stand_in_gateway.py FOLDER --targets 200
"""

from __future__ import annotations

import argparse
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from arriero.clouds.local import process

TOKEN = "stand-in"
BUCKETS = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
sites:
"""
SITES = ("aws-east", "aws-west", "azure-east", "azure-eu")
HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "{{constructor.constructor('document.title=1')()}}",
    "a`${1}`\\u0000",
)


class Fleet:
    """What is told at a moment; `began` makes all counters grow with time."""

    def __init__(self, targets: int, models: tuple[str, ...]) -> None:
        self._count, self._models, self._began = targets, models, time.monotonic()

    def status(self) -> dict[str, Any]:
        second = int(time.monotonic() - self._began)
        targets = [self._target(number, second) for number in range(self._count)]
        running = sum(one["in_flight"] for one in targets)
        return {"schema": 1, "service": "llm", "draining": False, "in_flight": running, "targets": targets,
                "pid": os.getpid(), "workers": 1}  # fmt: skip

    def figures(self) -> str:
        passed = time.monotonic() - self._began
        lines = [f"arriero_requests_total {passed * 40:.0f}", f"ollama_requests_queued {int(passed) % 7}"]
        for number, model in enumerate(self._models):
            label = json.dumps(model)
            lines += [f"ollama_eval_total{{model={label}}} {passed * (900 + number):.0f}",
                      f"arriero_model_requests_total{{model={label}}} {passed * 20:.0f}"]  # fmt: skip
            lines += _histogram("arriero_time_to_first_token_seconds", f"model={label}", passed)
        for site in SITES:
            lines.append(f'arriero_cost_dollars_per_hour{{site="{site}"}} 11.42')
            lines += _histogram("arriero_site_time_to_first_token_seconds", f'site="{site}"', passed)
        # What else a gateway tells of each target, and nobody here asks for: it has to be read all the same.
        for number in range(self._count):
            labels = f'site="{SITES[number % 4]}",target="t{number}"'
            lines += [
                f'arriero_target_requests_total{{{labels},code="{code}"}} {passed * 3:.0f}' for code in (200, 503)
            ]
            lines.append(f"arriero_target_in_flight{{{labels}}} {(number + int(passed)) % 5}")
        return "\n".join(lines) + "\n"

    def _target(self, number: int, second: int) -> dict[str, Any]:
        state = "down" if (number + second) % 97 == 0 else "suspect" if (number + second) % 61 == 0 else "up"
        site, models = SITES[number % len(SITES)], list(self._models)
        return {"id": f"llm-{site}-r7-{number:03d}", "site": site, "address": f"10.64.{number % 200}.7:11434",
                "state": state, "role": "active", "release": 7, "weight": 100, "in_flight": (number + second) % 5,
                "models": models, "resident": models[:1], "reason": ""}  # fmt: skip


def _histogram(name: str, labels: str, passed: float) -> list[str]:
    counts = [passed * 20 * min(1.0, (place + 1) / 6) for place in range(len(BUCKETS))]
    return [f'{name}_bucket{{{labels},le="{le}"}} {count:.0f}' for le, count in zip(BUCKETS, counts, strict=True)]


def handler(fleet: Fleet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told = {"/status": fleet.status, "/figures": lambda: {"schema": 1, "text": fleet.figures()}}.get(self.path)
            body = json.dumps(told() if told else {"error": "not here"}).encode()
            self.send_response(200 if told else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


def record(folder: Path, port: int) -> None:
    """Has the project in this folder take the process that runs this for its gateway."""
    edge = folder / ".arriero" / "edge"
    edge.mkdir(parents=True, exist_ok=True)
    (edge / "token").write_text(TOKEN)
    me = process.find(os.getpid())
    assert me is not None
    own = {"pid": me.pid, "started": me.started}
    told = {"url": "http://127.0.0.1:1", "control_url": f"http://127.0.0.1:{port}", "gateway": own,
            "controller": own, "token_file": str(edge / "token")}  # fmt: skip
    (edge / "edge.json").write_text(json.dumps(told))
    regions = {"aws-east": "us-east-1", "aws-west": "us-west-2", "azure-east": "eastus", "azure-eu": "westeurope"}
    sites = "".join(f"  {n}: {{cloud: {n.partition('-')[0]}, region: {r}}}\n" for n, r in regions.items())
    (folder / "arriero.yaml").write_text(SPEC + sites)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--hostile", action="store_true", help="Models have names that a page must not obey.")
    asked = parser.parse_args()
    models = HOSTILE if asked.hostile else ("llama2:latest", "mistral:latest", "qwen3:8b")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Fleet(asked.targets, models)))
    record(asked.folder, server.server_address[1])
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
