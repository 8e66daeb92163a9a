"""One of many deployers of a service, a process of its own: `deployer.py NAME SKEW_SECONDS LOG [SIGNAL]`.

It does to the ledger what `up` does, and notes each of its steps in LOG, which all of them append to. Its wall clock is
wrong by SKEW_SECONDS, and its monotonic clock began at another moment than anybody else's. In the middle of its second
step it gets SIGNAL, if one is named. Prints `{"number", "epoch"}`, and ends with 3 if it lost the lease. It waits for a
line on stdin before it begins.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import stage_stores

from arriero.events import Event, ignore
from arriero.releases import journal
from arriero.releases.head import Holder
from arriero.releases.lease import Lease, Lost, acquire
from arriero.releases.ledger import Ledger
from arriero.releases.record import Note, Record

LEASE_SECONDS = 3.0
PATIENCE_SECONDS = 200.0
STEPS, STEP_SECONDS = 6, 0.1


class OwnClock:
    """The system's, but wrong: neither of its readings can be compared with anybody else's."""

    def __init__(self, skew_seconds: float) -> None:
        self._skew, self._shift = timedelta(seconds=skew_seconds), 1000.0 + 7 * skew_seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    def timestamp(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return time.monotonic() + self._shift

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def main() -> int:
    name, skew, log, trouble = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]
    clock, (authority, replica) = OwnClock(skew), stage_stores.stores()
    print("ready", flush=True)
    sys.stdin.readline()
    holder = Holder(name, "up", clock.now().isoformat())
    lease = acquire(authority, holder, LEASE_SECONDS, clock, patience_seconds=PATIENCE_SECONDS, told=lambda _: None)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(what: str) -> None:
        os.write(descriptor, f"{lease.epoch} {name} {what}\n".encode())
        if what == "begins 1":
            for each in trouble:
                os.kill(os.getpid(), signal.Signals[each])

    try:
        lease.keep()
        number = deploy(name, Ledger(authority, replica), lease, clock, note)
    except Lost:
        note("lost")
        return 3
    finally:
        lease.release()
    print(json.dumps({"number": number, "epoch": lease.epoch}), flush=True)
    return 0


def deploy(name: str, books: Ledger, lease: Lease, clock: OwnClock, note: Callable[[str], None]) -> int:
    """As `up` does it, the steps aside: each is a moment's sleep, which does not outlive the lease. Raises Lost."""
    at = clock.now().isoformat()
    draft = Record(0, 0, "llm", at, name, "", {"name": name}, "acme/llm", "", ("llama2",), {"a": name}, (), "")
    number = books.begin(lease, draft).number
    books.copy()
    with journal.opened(books, lease, ignore) as listener:
        for step in range(STEPS):
            lease.require()
            listener(Event("step.started", clock.now(), name, {"step": step}))
            note(f"begins {step}")
            clock.sleep(STEP_SECONDS)
            lease.require()
            note(f"ends {step}")
            listener(Event("step.finished", clock.now(), name, {"step": step}))
    content = {"sites": {}, "models": {}, "spec": {}}
    books.end(lease, Note(number, lease.epoch, clock.now().isoformat(), name, "ended", content, name))
    books.copy()
    return number


if __name__ == "__main__":
    sys.exit(main())
