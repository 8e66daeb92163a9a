"""Which models of a site's storage no release needs any more, pure: by what the ledger's releases named there.

A release needs its models while it runs, and as long as it is kept to go back to. Models that no release ever named are
nobody's here: they are in neither list, and stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from arriero.spec.model import Model


@dataclass(frozen=True, slots=True)
class Named:
    """The models that one release had from a site's storage. `stood`: it ended well there, so one can go back to it."""

    release: int
    models: tuple[Model, ...]
    stood: bool = True


@dataclass(frozen=True, slots=True)
class Cleaning:
    """`kept` and `gone` are models by name, each with the last release that named it; 0 is the spec as it is written
    now. `releases` are those that keep all of theirs.
    """

    kept: Mapping[str, int] = field(default_factory=dict)
    gone: Mapping[str, int] = field(default_factory=dict)
    releases: tuple[int, ...] = ()

    def last(self, name: str) -> int | None:
        """The last release that named a model; None where none did."""
        return self.kept.get(name, self.gone.get(name))


def decide(
    named: Sequence[Named], running: Collection[int], besides: Collection[int], now: Sequence[Model], keep: int
) -> Cleaning:
    """`running` are the releases of the site's targets, `keep` how many before them stay to go back to, `now` the
    models of the spec. `besides` are releases that stay however old they are: the stable one, and those whose models
    the storage's own mark says are there, for whoever deploys them believes it.

    Kept is all from the oldest of these on: one that went back may go on again, and what failed may be tried again.
    """
    former = [each.release for each in named if each.stood and each.release < min(running)]
    oldest = min([*running, *sorted(former, reverse=True)[:keep]])
    needed = [each for each in named if each.release >= oldest or each.release in besides]
    kept = dict.fromkeys(_names(now), 0)
    kept |= {name: each.release for each in sorted(needed, key=_number) for name in _names(each.models)}
    gone = {n: each.release for each in sorted(named, key=_number) for n in _names(each.models) if n not in kept}
    return Cleaning(kept, gone, tuple(sorted(each.release for each in needed)))


def _number(named: Named) -> int:
    return named.release


def _names(models: Sequence[Model]) -> list[str]:
    """What a job calls them in the storage: one that is pulled by another name lies there under both."""
    return [name for model in models for name in dict.fromkeys((model.name, model.pull or model.name))]
