"""A name server on a UDP port of loopback, in place of the one that a cloud has in each network. It knows A records.

Who runs: a thread that answers one question after the other; `look` tells a name's addresses, None for no such name.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

_TTL_SECONDS = 1
_A, _INTERNET, _NO_SUCH_NAME = 1, 1, 3
_ANSWER = 0x8180  # an answer; recursion was wanted, and is there
_ROOM = 512
_ITSELF = b"\xc0\x0c"  # the name that was asked for, by its place in the message

Look = Callable[[str], tuple[str, ...] | None]


class NameServer:
    def __init__(self, look: Look) -> None:
        self._look = look
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.address = ""

    def start(self, host: str) -> None:
        """Listens there on any free port; `address` says which."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, args=(self._socket,), name="names of a stage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Who waits for a datagram is woken by an empty one."""
        if self._socket is None or self._thread is None:
            return
        found, self._socket = self._socket, None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
            waking.sendto(b"", found.getsockname())
        self._thread.join()
        found.close()

    def _run(self, door: socket.socket) -> None:
        while self._socket is not None:
            asked, peer = door.recvfrom(_ROOM)
            with contextlib.suppress(OSError, IndexError, UnicodeDecodeError, struct.error):
                if asked:
                    door.sendto(answer(asked, self._look), peer)


def answer(asked: bytes, look: Look) -> bytes:
    """The message that answers one; raises IndexError, UnicodeDecodeError or struct.error for what is none."""
    name, end = _name(asked)
    kind, net = struct.unpack_from("!HH", asked, end)
    found = look(name)
    known = found or () if (kind, net) == (_A, _INTERNET) else ()
    records = [_ITSELF + struct.pack("!HHIH", _A, _INTERNET, _TTL_SECONDS, 4) + socket.inet_aton(one) for one in known]
    flags = _ANSWER | (_NO_SUCH_NAME if found is None else 0)
    head = asked[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    return head + asked[12 : end + 4] + b"".join(records)


def _name(message: bytes) -> tuple[str, int]:
    """The name in the question, and where it ends."""
    labels, at = [], 12
    while size := message[at]:
        labels.append(message[at + 1 : at + 1 + size].decode("ascii"))
        at += size + 1
    return ".".join(labels), at + 1
