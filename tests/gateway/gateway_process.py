"""A gateway as a process of its own before given servers, for clients that block."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from running_gateway import TOKEN, free_port

from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import TargetEntry, Targets
from arriero.control.settings import GatewaySettings
from arriero.secret import Secret


@contextlib.contextmanager
def gateway_process(folder: Path, entries: Sequence[TargetEntry], **more: object) -> Iterator[str]:
    """Its address as a URL; every target answers when the block begins. `more` are settings."""
    token, listen, control = folder / "token", *(f"127.0.0.1:{free_port()}" for _ in range(2))
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    settings = GatewaySettings("llm", listen, control, str(token), access_log=str(folder / "access.log"))
    replace(settings, **more).write(folder / "gateway.json")  # type: ignore[arg-type]
    with (folder / "gateway.out").open("wb") as out:
        command = [sys.executable, "-m", "arriero.gateway", str(folder / "gateway.json")]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _order(Gateway(f"http://{control}", Secret(TOKEN)), Targets(tuple(entries)), process, folder)
        yield f"http://{listen}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


def _order(gateway: Gateway, targets: Targets, process: subprocess.Popen[bytes], folder: Path) -> None:
    is_ordered, deadline = False, time.monotonic() + 20
    while True:
        assert process.poll() is None, (folder / "gateway.out").read_text()
        assert time.monotonic() < deadline, "the targets do not come up"
        with contextlib.suppress(GatewayError):
            if not is_ordered:
                gateway.set_targets(targets)
                is_ordered = True
            if all(target.state == "up" for target in gateway.status().targets):
                return
        time.sleep(0.02)
