"""Which sites go together, and which wait until those before them went well. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arriero.errors import Problem
from arriero.plan.model import SiteFacts, SitePlan
from arriero.spec.model import Spec

Wave = tuple[SitePlan, ...]


def waves(spec: Spec, sites: Sequence[SitePlan], found: Mapping[str, SiteFacts]) -> tuple[Wave, ...]:
    """The sites in the spec's order. Without one they go together, but for a canary: that is proven at one site first.

    active-first: the first active site, the other active ones, standbys. one-cloud: each cloud in turn, that of the
    first active site first.
    """
    is_trial = spec.deploy.is_canary and any(replaces(site, found[site.site]) for site in sites)
    order = spec.deploy.order or ("active-first" if is_trial else "together")
    if order == "together":
        return _filled(sites)
    active = [site for site in sites if spec.sites[site.site].role == "active"]
    standby = [site for site in sites if site not in active]
    if order == "active-first":
        return _filled(active[:1], active[1:], standby)
    clouds = dict.fromkeys(site.cloud for site in (*active, *standby))
    return _filled(*([site for site in (*active, *standby) if site.cloud == cloud] for cloud in clouds))


def replaces(site: SitePlan, found: SiteFacts) -> bool:
    """Whether another release serves there now, or still stands beside the plan's."""
    return bool(former(site, found))


def former(site: SitePlan, found: SiteFacts) -> tuple[str, ...]:
    """The targets that go when the plan's release has taken over, by id."""
    others = (t for t in found.targets if t.release not in (None, site.release) and t.state != "stopped")
    return tuple(target.id for target in others)


def held_back(wave: Sequence[SitePlan], failed: str) -> tuple[Problem, ...]:
    """What is said of sites whose turn never came."""
    what, remedy = f"not begun, because {failed} failed; it keeps what it had", "mend that and run arriero up again"
    return tuple(Problem(what, remedy, key=f"sites.{site.site}") for site in wave if site.steps)


def _filled(*groups: Sequence[SitePlan]) -> tuple[Wave, ...]:
    return tuple(tuple(group) for group in groups if group)
