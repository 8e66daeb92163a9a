"""Slots in use and models in memory of one Ollama, and whether they changed since they were last told. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from arriero.gateway.words.told import Models, Told


class Tally:
    """Mutable, changed only from the event loop's thread. `version` rises with every change that is to be told.

    `evictions` counts models that left memory as another one came, or was on its way; one that was not used for its
    time leaves without that.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.in_flight = 0
        self.running: dict[str, int] = {}
        self.on_disk: Models = {}
        self.resident: Models = {}
        self.is_draining = False
        self.answers = False
        self.why = "it has not answered yet"
        self.version = self.resident_version = self.evictions = 0
        self._disk = ""
        self._digests: frozenset[str] = frozenset()

    def take(self, model: str | None) -> bool:
        """A slot for a request; False when none is free. `give_back` must follow."""
        if self.in_flight >= self.slots or self.is_draining:
            return False
        self.in_flight += 1
        if model:
            self.running[model] = self.running.get(model, 0) + 1
        self.version += 1
        return True

    def give_back(self, model: str | None) -> None:
        self.in_flight -= 1
        if model and self.running[model] > 1:
            self.running[model] -= 1
        elif model:
            del self.running[model]
        self.version += 1

    def is_resident(self, model: str) -> bool:
        """By digest: a copy is in memory when its original is."""
        return str(self.on_disk.get(model, {}).get("digest", model)) in self._digests

    def is_loading(self, model: str) -> bool:
        """A request for it is open, and it is not in memory yet."""
        return model in self.running and model in self.on_disk and not self.is_resident(model)

    def loading(self) -> frozenset[str]:
        return frozenset(filter(self.is_loading, self.running))

    def saw_memory(self, resident: Models) -> None:
        """Ollama answers, and has these models in memory."""
        if not self.answers:
            self.answers, self.why = True, ""
            self.version += 1
        if resident != self.resident:
            former, was_loading = self._digests, bool(self.loading())
            self.resident = resident
            self._digests = frozenset(str(model.get("digest", name)) for name, model in resident.items())
            if was_loading or self._digests - former:
                self.evictions += len(former - self._digests)
            self.version += 1
            self.resident_version += 1

    def saw_disk(self, on_disk: Models) -> None:
        if on_disk != self.on_disk or not self._disk:
            self.on_disk = on_disk
            self._disk = _fingerprint(on_disk)
            self.version += 1

    def missed(self, why: str) -> None:
        """Ollama gave no answer."""
        if self.answers or self.why != why:
            self.answers, self.why = False, why
            self.version += 1

    def drain(self) -> None:
        self.is_draining = True
        self.version += 1

    def told(self) -> Told:
        return Told(
            slots=self.slots,
            in_flight=self.in_flight,
            running=dict(self.running),
            loading=self.loading(),
            is_draining=self.is_draining,
            answers=self.answers,
            why=self.why,
            disk=self._disk,
            resident=self.resident,
        )


def _fingerprint(on_disk: Mapping[str, Mapping[str, Any]]) -> str:
    rows = sorted((name, str(model.get("digest")), str(model.get("modified_at"))) for name, model in on_disk.items())
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
