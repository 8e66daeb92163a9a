"""A real Prometheus that scrapes one address each 0.2 s, and the question for a value."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running_gateway import free_port


@contextlib.asynccontextmanager
async def prometheus(folder: Path, scraped: str) -> AsyncIterator[str]:
    """Its address; the test is skipped where Prometheus is not installed."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    config, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: gateway, static_configs: [{{targets: ['{scraped}']}}]}}]\n"
    )
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    process = subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    try:
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


async def ask_prometheus(address: str, query: str, seconds: float = 20.0) -> float:
    """The sum of what it answers, as soon as it answers anything."""
    url = f"http://{address}/api/v1/query?query=" + urllib.parse.quote(f"sum({query})")
    async with asyncio.timeout(seconds):
        while True:
            with contextlib.suppress(urllib.error.URLError):
                answer = json.loads(await asyncio.to_thread(_read, url))
                if found := answer["data"]["result"]:
                    return float(found[0]["value"][1])
            await asyncio.sleep(0.1)


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        return bytes(response.read())
