"""How pairs of sites look in a plan and in `status`: roles, what was promised, what a warm standby costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from arriero.cost.estimate import estimate
from arriero.events import Json
from arriero.plan import roles
from arriero.plan.roles import RoleOrder
from arriero.spec.failover import Pair
from arriero.spec.model import Spec


def plan_lines(spec: Spec) -> list[str]:
    """A line a pair; `spec` has the roles of now."""
    return [f"pair {_words(pair)}: {_kind(spec, pair)}; {_promise(pair)}" for pair in spec.failover.pairs]


def promised(spec: Spec) -> Iterator[Mapping[str, Json]]:
    """What the spec says of each pair, with the roles that it has."""
    for pair in spec.failover.pairs:
        yield {
            "sites": list(pair.sites),
            "roles": {name: spec.sites[name].role for name in pair.sites},
            "warm": {name: roles.is_warm(spec, name) for name in pair.sites},
            "rto_seconds": float(pair.rto),
            "rpo_seconds": None if pair.rpo is None else float(pair.rpo),
        }


def as_json(written: Spec, order: RoleOrder) -> tuple[Mapping[str, Json], ...]:
    """As `promised`, and the order by which roles are other than written, if one holds; for `status`."""
    now, changed = roles.applied(written, order), roles.standing(written, order)
    told: Json = {"at": order.at, "by": order.by, "why": order.why, "turn": order.turn}
    return tuple(
        {**each, "ordered": told if changed.keys() & set(pair.sites) else None}
        for pair, each in zip(written.failover.pairs, promised(now), strict=True)
    )


def status_lines(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for pair in pairs:
        said = " + ".join(f"{name} {role}" for name, role in pair["roles"].items())
        rpo = pair["rpo_seconds"]
        promise = f"RTO {pair['rto_seconds']:g}s" + (f", RPO {rpo:g}s" if rpo is not None else "")
        lines.append(f"pair: {said}; {promise} promised")
        if order := pair["ordered"]:
            lines.append(
                f"  roles since {order['at']} by {order['by']}: {order['why']}; arriero failback takes it back"
            )
    return lines


def _words(pair: Pair) -> str:
    return " + ".join(pair.sites)


def _promise(pair: Pair) -> str:
    return f"RTO {pair.rto}" + (f", RPO {float(pair.rpo):g}s" if pair.rpo is not None else ", no RPO") + " promised"


def _kind(spec: Spec, pair: Pair) -> str:
    standby = next((name for name in pair.sites if spec.sites[name].role == "standby"), None)
    if standby is None:
        return "active/active"
    active = roles.partner(pair, standby)
    return f"{active} active, {standby} standby, {_warmth(spec, standby)}"


def _warmth(spec: Spec, name: str) -> str:
    """Whether a standby keeps targets, and what that costs, or would."""
    site = spec.site(name)
    kept = max(1, site.min)
    cost = estimate(site, kept).hourly - estimate(site, 0).hourly
    monthly = (estimate(site, kept).monthly.amount - estimate(site, 0).monthly.amount) if cost.amount else None
    price = f"${monthly:.2f} a month" if monthly else "at no known price"
    if site.cloud == "local":
        price = "without a bill"
    count = "1 target" if kept == 1 else f"{kept} targets"
    return f"warm ({count} kept, {price})" if site.min else f"cold (none kept; one would be {price})"
