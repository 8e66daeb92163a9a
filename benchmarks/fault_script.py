"""What happens to the servers while the streams run, and when: by signals and orders, never by a call into our code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxies import Proxy
from servers import Server, restart

from arriero.control.messages import Weights


@dataclass(frozen=True)
class Fault:
    """`at` seconds after the start `kind` befalls these servers; it is undone `for_seconds` later."""

    kind: str
    at: float
    servers: tuple[str, ...]
    for_seconds: float


@dataclass
class Happened:
    """A fault that was done, at `at` on the loop's clock."""

    fault: Fault
    at: float
    undone_at: float = 0.0


@dataclass
class Script:
    """Plays faults on servers; `happened` tells when each was really done."""

    servers: dict[str, Server]
    proxy: Proxy
    happened: list[Happened] = field(default_factory=list)

    async def play(self, faults: Sequence[Fault]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for fault in faults:
            await asyncio.sleep(max(0.0, start + fault.at - loop.time()))
            self._do(fault)
            happened = Happened(fault, loop.time())
            self.happened.append(happened)
            await asyncio.sleep(fault.for_seconds)
            happened.undone_at = loop.time()
            await asyncio.to_thread(self._undo, fault)

    def _do(self, fault: Fault) -> None:
        if fault.kind == "drained":
            self._weigh(fault.servers, 0)
            return
        number = signal.SIGSTOP if fault.kind == "frozen" else signal.SIGKILL
        for name in fault.servers:
            self.servers[name].signal(number)

    def _undo(self, fault: Fault) -> None:
        if fault.kind == "drained":
            self._weigh(fault.servers, 100)
            return
        for name in fault.servers:
            if fault.kind == "frozen":
                self.servers[name].signal(signal.SIGCONT)
            else:
                self.servers[name] = restart(self.servers[name])

    def _weigh(self, names: Sequence[str], weight: int) -> None:
        assert self.proxy.control
        self.proxy.control.set_weights(Weights(dict.fromkeys(names, weight)))
