"""What faults of a region mean for tasks that are to start there."""

from __future__ import annotations

from typing import Protocol


class Troubles(Protocol):
    def has_no_images(self, region: str) -> bool:
        """Whether nothing can be pulled there, nor from the registry there."""

    def lost_subnets(self) -> frozenset[str]:
        """Where nothing starts."""

    def has_spot(self, region: str) -> bool:
        """Whether a Spot task can be placed there."""


class NoTroubles:
    def has_no_images(self, _: str) -> bool:
        return False

    def lost_subnets(self) -> frozenset[str]:
        return frozenset()

    def has_spot(self, _: str) -> bool:
        return True
