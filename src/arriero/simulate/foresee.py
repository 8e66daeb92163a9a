"""What a spec would do under some traffic: first tokens and the bill, by a play of the sites that it has. Pure.

Active sites scale as `arriero controller` scales them: one number, more at the cheapest first, fewer at the dearest. A
standby is paid for its reserve and gets nothing. How fast a target is, is the scenario's, in proportion to processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from arriero.catalog.prices import Prices
from arriero.cost.estimate import HOURS_A_MONTH, estimate
from arriero.cost.money import Money
from arriero.cost.ranking import hourly_of_a_target
from arriero.errors import ArrieroError, Problem
from arriero.scale.autoscale import Policy
from arriero.scale.spot import Mix
from arriero.simulate.demand import DAY, FLAT, Curve, arrivals
from arriero.simulate.figures import Figures
from arriero.simulate.fleet import Offer
from arriero.simulate.machine import Pace
from arriero.simulate.ours import Ours
from arriero.simulate.play import Play, Service
from arriero.simulate.policies import Fixed, Scaling
from arriero.simulate.scenario import Scene
from arriero.spec.model import ResolvedSite, Spec


@dataclass(frozen=True, slots=True)
class Traffic:
    """`rate`: requests a second in the mean; `why` says where it is from. `curve` is the week's."""

    scene: Scene
    rate: float
    why: str
    curve: Curve
    seconds: float
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Foreseen:
    """`refused` got no answer; `targets` run in the mean, `most` at once. `monthly` is the bill of all sites as far as
    prices are known; `unpriced` are sites of which a part is not.
    """

    requests: int
    refused: int
    p50: float
    p95: float
    p99: float
    targets: float
    most: int
    monthly: Money
    unpriced: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "refused": self.refused,
            "first_token_seconds": {name: round(getattr(self, name), 3) for name in ("p50", "p95", "p99")},
            "targets_mean": round(self.targets, 2),
            "targets_most": self.most,
            "monthly": str(self.monthly.rounded),
            "unpriced": list(self.unpriced),
        }


def traffic(scene: Scene, rate: float, spec: Spec, is_recorded: bool, days: float = 0.0) -> Traffic:
    """A rate of 0 stands for: as the trace was recorded (`is_recorded`), else what the sites of `spec` just bear. What
    was recorded is played once, unless so many `days` of it are wished.
    """
    if is_recorded:
        seconds = days * DAY or scene.trace.seconds
        return Traffic(scene, rate or scene.trace.rate, "as recorded" if not rate else "as asked", FLAT, seconds)
    curve = scene.scenario.curve.curve()
    if rate:
        return Traffic(scene, rate, "as asked", curve, scene.seconds)
    why = f"what {sum(_most(site) for site in _serving(spec))} targets bear in the busiest hour"
    return Traffic(scene, bearable(spec, scene), why, curve, scene.seconds)


def bearable(spec: Spec, scene: Scene) -> float:
    """Requests a second in the mean with which all targets that there may be are used to `scale.utilisation` in the
    busiest hour.
    """
    trace, pace, curve = scene.trace, scene.pace, scene.scenario.curve.curve()
    mean = sum(map(pace.work, trace.prompt, trace.answer)) / len(trace.prompt)
    peak = max(*curve.weekday, *curve.weekend) / curve.mean()
    whole = sum(_most(site) * _share(site, scene) for site in _serving(spec))
    return float(spec.scale.utilisation) * whole / mean / peak


def foresee(spec: Spec, prices: Prices, asked: Traffic) -> Foreseen:
    """Raises ArrieroError where no site serves."""
    offers, scene = [_offer(site, asked.scene, prices) for site in _serving(spec)], asked.scene
    if not offers:
        raise ArrieroError(Problem("no active site is there to simulate", "give one site the role active"))
    names = tuple(model.name for model in spec.models)
    size = float(scene.scenario.models.size)
    service = Service(
        names, size, size / scene.scenario.cloud.load_bytes_per_second, offers[0].slots, offers[0].room,
        queue_length=spec.gateway.limits.queue, queue_seconds=float(spec.gateway.limits.queue_within),
    )  # fmt: skip
    # Prices of offers are all that is paid here; Spot is no part of a spec yet.
    cloud = replace(scene.cloud, evictions_a_week=0.0)
    scaling = _scaling(spec, offers, float(cloud.start_seconds))
    whole = Play(service, offers[0].pace, cloud, Mix(), scaling, asked.seed, asked.seconds, offers)
    came = arrivals(
        scene.trace, asked.curve, asked.rate, asked.seconds, asked.seed, len(names), scene.scenario.models.zipf
    )
    return _told(spec, prices, whole, whole.run(came), asked.seconds)


def _told(spec: Spec, prices: Prices, whole: Play, found: Figures, seconds: float) -> Foreseen:
    monthly, unpriced = Money(), []
    for name in spec.sites:
        site = spec.site(name)
        anyway = estimate(site, site.min if site.role == "standby" else 0, prices)
        monthly += anyway.monthly
        hourly = hourly_of_a_target(site, prices) if site.role == "active" else None
        mean = Decimal(str(whole.fleet.seconds_at.get(name, 0.0) / seconds))
        monthly += Money(Decimal(str(hourly or 0.0)) * HOURS_A_MONTH * mean)
        if anyway.unknown or (site.role == "active" and site.cloud != "local" and hourly is None):
            unpriced.append(name)
    first = found.first_token
    return Foreseen(
        first.total, found.refusals, first.percentile(50), first.percentile(95), first.percentile(99),
        whole.fleet.seconds / seconds, found.most, monthly, tuple(unpriced),
    )  # fmt: skip


def _serving(spec: Spec) -> list[ResolvedSite]:
    return [site for site in map(spec.site, spec.sites) if site.role == "active"]


def _is_fixed(site: ResolvedSite) -> bool:
    return site.scale_by == "hand" or site.cloud == "local"


def _least(site: ResolvedSite) -> int:
    return max(site.min, len(site.adopt)) if site.cloud == "local" else site.min


def _most(site: ResolvedSite) -> int:
    return _least(site) if _is_fixed(site) else site.max


def _share(site: ResolvedSite, scene: Scene) -> float:
    """What one target there does, of the scenario's one."""
    return float(site.size.cpu) / float(scene.scenario.target.cpu)


def _offer(site: ResolvedSite, scene: Scene, prices: Prices) -> Offer:
    pace, share = scene.pace, _share(site, scene)
    whole = pace.total_tokens_per_second * share
    own = Pace(
        pace.first_token_seconds,
        pace.prompt_tokens_per_second * share,
        min(pace.tokens_per_second, whole) if whole else pace.tokens_per_second * share,
        whole,
        pace.prompt_load,
    )
    hourly = hourly_of_a_target(site, prices) or 0.0
    ollama = site.ollama
    return Offer(
        site.name, hourly, hourly, own, ollama.num_parallel, ollama.max_loaded_models, _least(site), _most(site)
    )


def _scaling(spec: Spec, offers: Sequence[Offer], start_seconds: float) -> Scaling:
    least, most = sum(offer.min for offer in offers), sum(offer.max for offer in offers)
    if least == most:
        return Fixed(least)
    scale = spec.scale
    policy = Policy(min=least, max=most, utilisation=float(scale.utilisation), hold_seconds=float(scale.hold))
    return Ours(policy, _mean(offers), start_seconds)


def _mean(offers: Sequence[Offer]) -> Pace:
    """Of all targets that there may be: work is counted in seconds of such a one."""
    count = sum(offer.max for offer in offers)

    def mean(name: str) -> float:
        return sum(float(getattr(offer.pace, name)) * offer.max for offer in offers) / count

    return Pace(
        mean("first_token_seconds"), mean("prompt_tokens_per_second"), mean("tokens_per_second"),
        mean("total_tokens_per_second"), mean("prompt_load"),
    )  # fmt: skip
