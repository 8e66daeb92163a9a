"""How the command line speaks to the stage's process: a question and an answer, a line of JSON each.

Over a unix-domain socket in the stage's folder, which only its owner may enter: no port, no token. The socket is
reached through the folder's descriptor, for a socket's path may have 107 bytes only.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.events import Json

Answer = Callable[[Mapping[str, Json]], Json]

_NAME = "control.sock"
_ENDED = '{"error": [{"what": "the stage ended while it was asked"}]}'


class NotThere(ArrieroError):
    """Nobody answers at the stage's socket."""


def ask(folder: Path, question: Mapping[str, Json], timeout_seconds: float = 30) -> Json:
    """The stage's answer; NotThere if it does not run, ArrieroError with what it found wrong."""
    try:
        with _socket_path(folder) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(path)
            connection.sendall(json.dumps(question).encode() + b"\n")
            reply = connection.makefile().readline()
    except OSError as error:
        raise NotThere(Problem(f"the stage does not answer: {error}", "start it: arriero rehearse start")) from error
    answer: dict[str, Any] = json.loads(reply or _ENDED)
    if "error" in answer:
        raise ArrieroError([Problem(**problem) for problem in answer["error"]])
    result: Json = answer["result"]
    return result


class ControlServer:
    """Answers questions, each in a thread of its own; `answer` raises ArrieroError to refuse one."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        (folder / _NAME).unlink(missing_ok=True)
        with _socket_path(folder) as path:
            self._server = _Server(path, answer)
        (folder / _NAME).chmod(0o600)
        self._file = folder / _NAME

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="control", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._file.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, answer: Answer) -> None:
        self.answer = answer
        super().__init__(path, _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        line = self.rfile.readline()
        if not line:
            return
        try:
            reply: dict[str, Json] = {"result": self.server.answer(json.loads(line))}
        except ArrieroError as error:
            reply = {"error": [dict(problem.as_json()) for problem in error.problems]}
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(json.dumps(reply).encode() + b"\n")


@contextlib.contextmanager
def _socket_path(folder: Path) -> Iterator[str]:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)
