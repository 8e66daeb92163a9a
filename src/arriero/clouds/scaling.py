"""How many targets a cloud runs at a site, and other numbers of them: for the controller, which deploys nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from arriero.errors import CloudError, Problem
from arriero.plan.model import Cloud, SiteRef, TargetFacts


class Throttled(CloudError):
    """The cloud takes no more such calls for `wait_seconds`."""

    def __init__(self, site: str, problem: Problem, wait_seconds: float) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(site, problem)


class Busy(CloudError):
    """What is to leave is not free yet; the same is asked for again later. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What runs at a site: so many are asked for, and `targets` are those that run or start, of any release.

    `holder` is what the cloud counts them by: an ECS service. `obstacle`: why no more can be started there. `creates`:
    each one more is a creation that the cloud's quota of creations counts. `unplaced` of the count find no capacity;
    `stand_ins` run in Spot's place, in no count. `release` is what new ones run, where the cloud tells. `lingers`: who
    was told to go is counted until it has gone. `is_misnamed`: the name by which edges find targets leads to others.
    """

    site: str
    count: int
    targets: tuple[TargetFacts, ...] = ()
    holder: str = ""
    obstacle: str = ""
    creates: bool = False
    unplaced: int = 0
    stand_ins: tuple[TargetFacts, ...] = ()
    release: int | None = None
    lingers: bool = False
    is_misnamed: bool = False


# Called before each single write: raises where no more may be written.
Require = Callable[[], None]


class ScalingModule(Protocol):
    """What the `scaling.py` of a cloud offers. All raise CloudError; `start` and `stop` also Throttled and Busy."""

    def read(self, ref: SiteRef) -> Standing: ...

    def start(self, ref: SiteRef, standing: Standing, more: int, require: Require) -> Sequence[str]:
        """Has so many more run; returns the names of those that it named itself."""

    def stop(self, ref: SiteRef, standing: Standing, leaving: Sequence[str], require: Require) -> None:
        """Has exactly these targets go, which serve nobody any more."""


class CoverModule(Protocol):
    """What it offers besides, where the cloud has Spot. Both raise CloudError."""

    def read(self, ref: SiteRef) -> Standing: ...

    def stand_in(self, ref: SiteRef, more: int, require: Require) -> Sequence[str]:
        """Runs so many more on demand, beside the site's count; returns their names."""

    def dismiss(self, ref: SiteRef, leaving: Sequence[str], require: Require) -> None:
        """Ends exactly these stand-ins."""


def cover_of(cloud: Cloud) -> CoverModule | None:
    """The cloud's module; None where there is no Spot to stand in for."""
    return cast(CoverModule, import_module("arriero.clouds.aws.scaling")) if cloud == "aws" else None


class NamingModule(Protocol):
    """What names a site's targets for its edges, where the cloud does not by itself. Raises CloudError."""

    def set_right(self, ref: SiteRef, require: Require) -> None: ...


def naming_of(cloud: Cloud) -> NamingModule | None:
    """The cloud's module; None where nobody has to: ECS writes its tasks down itself."""
    return cast(NamingModule, import_module("arriero.clouds.azure.names")) if cloud == "azure" else None


def scaling_of(cloud: Cloud) -> ScalingModule:
    """The cloud's module."""
    return cast(ScalingModule, import_module(f"arriero.clouds.{cloud}.scaling"))
