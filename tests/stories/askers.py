"""A client that asks one way in without a pause and keeps what it was told, independent of the product's own counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Asker:
    """`ask` returns a status; what it raises is kept as its own words."""

    ask: Callable[[], int]
    told: list[int | str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.05):
            try:
                self.told.append(self.ask())
            except Exception as error:  # noqa: BLE001 - any of them is a lost request
                self.told.append(repr(error))

    def end(self) -> None:
        self._over.set()


@contextmanager
def asking(**ways: Callable[[], int]) -> Iterator[dict[str, Asker]]:
    """One client a way in, all at once, for as long as the block lasts."""
    askers = {name: Asker(ask) for name, ask in ways.items()}
    threads = [threading.Thread(target=asker.run, name=name) for name, asker in askers.items()]
    for thread in threads:
        thread.start()
    try:
        yield askers
    finally:
        for asker in askers.values():
            asker.end()
        for thread in threads:
            thread.join()
