"""Faults on purpose: which are on, what they make of a request, and which servers they hold frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.emulator import Fault

# Of four ticks a slow server runs one: as fast as on a quarter of its processor, by signals only.
_SLOW_TICKS, _SLOW_RUNNING = 4, 1


@dataclass
class Faults:
    """Those with an end or a lasting effect; `now` gives seconds since the epoch."""

    now: Callable[[], float]
    active: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Replaces one of the same kind at the same place: with `until` in the past that ends it."""
        self.active = [one for one in self.active if _place(one) != _place(fault)]
        self.active.append(fault)
        self.expire()

    def expire(self) -> list[Fault]:
        """Forgets those whose time is over; returns them."""
        over = [one for one in self.active if one.until is not None and one.until <= self.now()]
        self.active = [one for one in self.active if one not in over]
        return over

    def check(self, region: str, *, writes: bool) -> None:
        """Raises what a region in trouble answers."""
        self.expire()
        if self.is_cut_off(region):
            message = f"The service in '{region}' is currently unavailable. Please retry after some time."
            raise ArmError(503, "ServiceUnavailable", message, {"Retry-After": "1"})
        if writes and self._is_on("throttle", region):
            message = f"The request rate in '{region}' is too high. Please retry after 1 second."
            raise ArmError(429, "TooManyRequests", message, {"Retry-After": "1"})

    def is_cut_off(self, region: str) -> bool:
        """Whether nothing of the region answers."""
        self.expire()
        return self._is_on("refuse", region) or self.is_lost(region)

    def is_lost(self, region: str) -> bool:
        """Whether the region is gone: nothing starts there."""
        return self._is_on("lose", region)

    def has_no_images(self, region: str) -> bool:
        """Whether nothing can be pulled there, nor from a registry that stands there alone."""
        return self._is_on("no-images", region) or self.is_lost(region)

    def has_no_objects(self, region: str) -> bool:
        return self.is_cut_off(region) or self._is_on("no-objects", region)

    def is_skewed(self) -> bool:
        """A clock is off for all regions alike."""
        return any(one.kind == "skew" for one in self.active)

    def is_frozen(self, region: str, target: str, tick: int, *, is_mounting: bool = False) -> bool:
        """Whether a server of a target is to stand still now; `is_mounting`: it sees a share."""
        if is_mounting and self._is_on("slow-storage", region) and tick % _SLOW_TICKS >= _SLOW_RUNNING:
            return True
        if self._is_on("freeze", region, target) or self._is_on("refuse", region):
            return True
        return self._is_on("slow", region, target) and tick % _SLOW_TICKS >= _SLOW_RUNNING

    def is_evicted(self, region: str, target: str) -> bool:
        return self._is_on("evict", region, target)

    def _is_on(self, kind: str, region: str, target: str = "") -> bool:
        return any(
            one.kind == kind and one.region == region and (not one.target or one.target == target)
            for one in self.active
        )


def _place(fault: Fault) -> tuple[str, str, str]:
    return (fault.kind, fault.region, fault.target)
