"""`ollama serve` as the engine has it: reads the environment, serves until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from arriero.rehearse.bond import die_with_parent


def main() -> None:
    if parent := os.environ.get("ARRIERO_PARENT"):
        die_with_parent(signal.SIGKILL, int(parent))
    if sys.argv[1:] != ["serve"]:
        sys.exit(f'Error: unknown command "{" ".join(sys.argv[1:])}" for "ollama"')
    asyncio.run(_serve())


async def _serve() -> None:
    host, _, port = os.environ.get("OLLAMA_HOST", "127.0.0.1:11434").rpartition(":")
    server = await asyncio.start_server(_answer, host, int(port))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with server:
        await ended.wait()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 17\r\n\r\nOllama is running")
    await writer.drain()
    writer.close()
