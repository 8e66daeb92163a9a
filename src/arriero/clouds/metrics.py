"""How busy a site's targets were, as the clouds measured it, for weeks back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module

from arriero.errors import CloudError, Problem
from arriero.plan.model import SiteFacts, SiteRef

STEP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Series:
    """Each five minutes that a cloud has both figures of: percent of the processors in the mean over the site's
    targets, and percent of the memory of the fullest one. With a `problem` nothing is known.
    """

    at: tuple[datetime, ...] = ()
    cpu: tuple[float, ...] = ()
    memory: tuple[float, ...] = ()
    problem: Problem | None = None

    @property
    def days(self) -> float:
        """How much time the samples cover."""
        return len(self.at) * STEP_SECONDS / 86400


def joined(cpu: Mapping[datetime, float], memory: Mapping[datetime, float]) -> Series:
    """The moments that both know, in order."""
    both = sorted(cpu.keys() & memory.keys())
    return Series(tuple(both), tuple(cpu[at] for at in both), tuple(memory[at] for at in both))


def read(sites: Iterable[tuple[SiteRef, SiteFacts, datetime]], until: datetime) -> dict[str, Series]:
    """By site, each since its own moment. This machine measures nothing for us: an empty series."""
    wanted = list(sites)
    with ThreadPoolExecutor(max(1, len(wanted)), thread_name_prefix="metrics") as pool:
        found = pool.map(lambda one: _of(one[0], one[1], one[2], until), wanted)
        return {ref.site: series for (ref, _, _), series in zip(wanted, found, strict=True)}


def _of(ref: SiteRef, found: SiteFacts, since: datetime, until: datetime) -> Series:
    if ref.cloud == "local":
        return Series()
    try:
        series: Series = import_module(f"arriero.clouds.{ref.cloud}.metrics").read(ref, found, since, until)
        return series
    except CloudError as error:
        return Series(problem=replace(error.problems[0], key=f"sites.{ref.site}"))
