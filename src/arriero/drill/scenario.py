"""What each scenario strikes, by the spec and a seed: which region or cloud is lost, and what else is done there."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arriero.errors import Problem, Refused
from arriero.plan import roles, stores
from arriero.rehearse.emulator import FaultKind
from arriero.spec.check_failover import COLD_START_SECONDS
from arriero.spec.model import Spec

Deed = Literal["", "bad-release"]
# Without a pair's word: what a site with a warm standby is to take.
WARM_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at one region of one cloud; `is_short`: done at once, it has no end."""

    cloud: str
    region: str
    kind: FaultKind
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """`strikes` begin together. `deed` is something that is done besides; `sites` are struck, `rto_seconds` is what
    was promised for that.
    """

    name: str
    what: str
    strikes: tuple[Strike, ...]
    sites: tuple[str, ...]
    rto_seconds: float
    deed: Deed = ""


def names() -> tuple[str, ...]:
    return tuple(_MADE)


def scenario(name: str, spec: Spec, seed: int) -> Scenario:
    """Raises Refused for a name that there is not, and where the spec has nothing to play it on."""
    make = _MADE.get(name)
    if make is None:
        raise Refused(Problem(f"there is no scenario {name}", f"choose from {', '.join(_MADE)}", key="--scenario"))
    return make(name, spec, random.Random(f"{name} {seed}"))


def _region_loss(name: str, spec: Spec, chance: random.Random) -> Scenario:
    site = chance.choice(_losable(name, spec, lambda one: _region(spec, one)))
    where = _region(spec, site)
    return _lost(name, spec, [where], f"{where[1]} of {where[0]} is gone, its registry, storage and vault with it")


def _cloud_loss(name: str, spec: Spec, chance: random.Random) -> Scenario:
    site = chance.choice(_losable(name, spec, lambda one: spec.sites[one].cloud))
    cloud = spec.sites[site].cloud
    regions = list(dict.fromkeys(_region(spec, one) for one in spec.sites if spec.sites[one].cloud == cloud))
    return _lost(name, spec, regions, f"all regions of {cloud} are gone")


def _lost(name: str, spec: Spec, regions: Sequence[tuple[str, str]], what: str) -> Scenario:
    return _struck(name, spec, regions, "lose", what)


def _partition(name: str, spec: Spec, chance: random.Random) -> Scenario:
    site = chance.choice(_losable(name, spec, lambda one: spec.sites[one].cloud))
    cloud = spec.sites[site].cloud
    regions = list(dict.fromkeys(_region(spec, one) for one in spec.sites if spec.sites[one].cloud == cloud))
    return _struck(name, spec, regions, "refuse", f"the line to {cloud} is cut: nobody there answers, and all run on")


def _zone_loss(name: str, spec: Spec, chance: random.Random) -> Scenario:
    where = _region(spec, chance.choice(_in_clouds(name, spec)))
    return _struck(name, spec, [where], "zone", f"one zone of {where[1]} is gone")


def _spot_storm(name: str, spec: Spec, _: random.Random) -> Scenario:
    regions = list(dict.fromkeys(_region(spec, one) for one in _in_clouds(name, spec)))
    return _struck(name, spec, regions, "storm", "half of the targets of every site get SIGTERM, as Spot gives it")


def _slow_storage(name: str, spec: Spec, chance: random.Random) -> Scenario:
    if not any(model.source == "storage" for model in spec.models):
        what, remedy = "no model is in storage, so no target reads any", "choose another scenario"
        raise Refused(Problem(what, remedy, key="--scenario"))
    where = _region(spec, chance.choice(_in_clouds(name, spec)))
    what = f"storage in {where[1]} is slow, and half of the targets there have to start anew"
    made = _struck(name, spec, [where], "slow-storage", what)
    return _and_a_storm(made)


def _registry_loss(name: str, spec: Spec, chance: random.Random) -> Scenario:
    where = _region(spec, chance.choice(_in_clouds(name, spec)))
    what = f"nothing can be pulled in {where[1]}, and half of the targets there have to start anew"
    return _and_a_storm(_struck(name, spec, [where], "no-images", what))


def _ledger_loss(name: str, spec: Spec, _: random.Random) -> Scenario:
    _in_clouds(name, spec)
    cloud = stores.clouds(spec)[0]
    where = (cloud, stores.region(spec, cloud))
    return _struck(name, spec, [where], "no-objects", f"the ledger's authority store in {where[1]} does not answer")


def _clock_skew(name: str, spec: Spec, _: random.Random) -> Scenario:
    clouds = {spec.sites[one].cloud: _region(spec, one) for one in reversed(_in_clouds(name, spec))}
    return _struck(name, spec, list(clouds.values()), "skew", "this machine's clock is found twenty minutes off")


def _bad_release(name: str, spec: Spec, _: random.Random) -> Scenario:
    _in_clouds(name, spec)
    what = "a release whose servers end at once is deployed everywhere"
    return Scenario(name, what, (), tuple(spec.sites), WARM_SECONDS, "bad-release")


_MADE: Mapping[str, Callable[[str, Spec, random.Random], Scenario]] = {
    "region-loss": _region_loss,
    "cloud-loss": _cloud_loss,
    "zone-loss": _zone_loss,
    "spot-storm": _spot_storm,
    "slow-storage": _slow_storage,
    "registry-loss": _registry_loss,
    "bad-release": _bad_release,
    "ledger-loss": _ledger_loss,
    "network-partition": _partition,
    "clock-skew": _clock_skew,
}


def _struck(name: str, spec: Spec, regions: Sequence[tuple[str, str]], kind: FaultKind, what: str) -> Scenario:
    sites = tuple(one for one in spec.sites if _region(spec, one) in regions)
    strikes = tuple(Strike(cloud, region, kind, is_short=kind == "storm") for cloud, region in regions)
    return Scenario(name, what, strikes, sites, _promised(spec, sites))


def _and_a_storm(made: Scenario) -> Scenario:
    storms = tuple(Strike(each.cloud, each.region, "storm", is_short=True) for each in made.strikes)
    return Scenario(made.name, made.what, (*made.strikes, *storms), made.sites, made.rto_seconds)


def _promised(spec: Spec, struck: Sequence[str]) -> float:
    """What the pairs of the sites that are struck promise; where no other site keeps a target, a cold start."""
    found = [float(pair.rto) for pair in spec.failover.pairs if set(pair.sites) & set(struck)]
    is_warm = any(roles.is_warm(spec, one) for one in spec.sites if one not in struck)
    return max(found, default=WARM_SECONDS if is_warm or set(struck) == set(spec.sites) else COLD_START_SECONDS)


def _region(spec: Spec, site: str) -> tuple[str, str]:
    return spec.sites[site].cloud, spec.sites[site].region


def _in_clouds(name: str, spec: Spec) -> list[str]:
    found = [one for one, site in spec.sites.items() if site.cloud != "local"]
    if not found:
        what = f"{name} strikes a cloud, and no site is in one"
        raise Refused(Problem(what, "add a site in a cloud", key="--scenario"))
    return found


def _losable(name: str, spec: Spec, part: Callable[[str], object]) -> list[str]:
    """The sites that may be lost with all of their part (region, cloud): somebody else is left."""
    found = [one for one in _in_clouds(name, spec) if any(part(other) != part(one) for other in spec.sites)]
    if not found:
        what = f"{name} would take every site, so nobody could serve"
        raise Refused(Problem(what, "add a site elsewhere, and pair them: arriero docs failover", key="--scenario"))
    return found
