"""Debian's nginx with an exported configuration: as nobody, in a folder of its own, in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from running_gateway import Client, Reply, free_port, request

from arriero.pipeline.nginx import files as nginx_files
from arriero.spec.model import Spec

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_nginx = pytest.mark.skipif(PROGRAM is None, reason="nginx is not installed (Debian: nginx)")
NOBODY = 65534


def spec_of(nginx: Mapping[str, Any], **gateway: object) -> Spec:
    return Spec.model_validate(
        {
            "name": "llm",
            "image": "acme/llm:1",
            "models": ["llama2"],
            "sites": {"a": {"cloud": "aws", "region": "us-east-1"}},
            "gateway": gateway,
            "ingress": {"nginx": nginx},
        }
    )


@contextlib.contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """A folder that somebody without rights can work in; pytest's own is its user's alone."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def command(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    own = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    words = [str(PROGRAM), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", *more]
    with (folder / "stderr").open("ab") as said:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder, **own)  # type: ignore[call-overload,no-any-return]


def nginx_says(spec: Spec, folder: Path) -> str:
    """What `nginx -t` says of the spec's configuration; it must find nothing wrong."""
    written(spec, folder)
    code, said = command(folder, "-t").wait(20), (folder / "stderr").read_text()
    assert code == 0, said
    return said


def written(spec: Spec, folder: Path) -> None:
    for name, text in nginx_files.files(spec, Path()).items():
        (folder / name).write_text(text)


@dataclass
class Nginx:
    folder: Path
    spec: Spec
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        assert self.spec.ingress.nginx
        return self.spec.ingress.nginx.port

    async def connect(self, port: int = 0, **more: Any) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", port or self.port, limit=2**24, **more))

    async def ask(self, method: str, path: str, body: object = None, headers: str = "", **more: Any) -> Reply:
        async with contextlib.aclosing(await self.connect(**more)) as client:
            await client.send(request(method, path, body, headers))
            return await client.reply(method)

    async def lines(self, count: int = 1) -> list[dict[str, str]]:
        """The access log, once it has so many lines: nginx writes one after its request."""
        async with asyncio.timeout(10):
            while len(lines := (self.folder / "access.log").read_text().splitlines()) < count:
                await asyncio.sleep(0.02)
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()


@contextlib.asynccontextmanager
async def nginx_before(
    *gateways: str, folder: Path | None = None, of_gateway: Mapping[str, object] | None = None, **values: object
) -> AsyncIterator[Nginx]:
    """Serves before the gateways at these addresses until the block ends; `values` are of `ingress.nginx`."""
    known = {"port": free_port(), "gateways": list(gateways), "without_keys": True}
    spec = spec_of({**known, **values}, **(of_gateway or {}))
    with contextlib.nullcontext(folder) if folder else folder_of_nobody() as place:
        written(spec, place)
        running = Nginx(place, spec, command(place, "-g", "daemon off;"))
        try:
            await _until_it_listens(running)
            yield running
        finally:
            await asyncio.to_thread(running.stop)


async def _until_it_listens(running: Nginx) -> None:
    async with asyncio.timeout(20):
        while True:
            assert running.process.poll() is None, (running.folder / "stderr").read_text()
            with contextlib.suppress(OSError):
                await (await running.connect()).aclose()
                return
            await asyncio.sleep(0.02)
