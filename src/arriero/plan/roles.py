"""Who is active and who standby now: by the spec, and by what was ordered since it was written so. Pure.

An order holds as long as the spec says of its sites what it said when the order was given: whoever writes other roles
into the spec has the last word. `turn` is the epoch of the lease under which it was given, so a later one is greater,
whatever the clocks say; 0 stands for no order at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arriero.spec.failover import Pair
from arriero.spec.model import Role, Site, Spec
from arriero.spec.scale import Scale


@dataclass(frozen=True, slots=True)
class RoleOrder:
    """`roles` are wanted, `written` is what the spec said of these sites; `at`, `by` and `why` are for people."""

    turn: int = 0
    roles: Mapping[str, Role] = field(default_factory=dict)
    written: Mapping[str, Role] = field(default_factory=dict)
    at: str = ""
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TrafficOrder:
    """What one gateway's machine knows of roles: the newest order it saw, or its own that no ledger has taken yet.

    Its own one counts until the ledger has one of a later turn than it knew (`after`).
    """

    order: RoleOrder
    after: int
    is_own: bool = False


def newest(ledger: RoleOrder | None, here: TrafficOrder | None) -> TrafficOrder:
    """Which of both counts; `ledger` is None where it can't be read: then what was known goes on.

    So it does where a store that lags behind was read.
    """
    if here is None:
        return TrafficOrder(ledger, ledger.turn) if ledger is not None else TrafficOrder(RoleOrder(), 0)
    least = here.after + 1 if here.is_own else here.order.turn
    return TrafficOrder(ledger, ledger.turn) if ledger is not None and ledger.turn >= least else here


def standing(spec: Spec, order: RoleOrder) -> Mapping[str, Role]:
    """The roles that are other than the spec's now."""
    holds = all(name in spec.sites and spec.sites[name].role == role for name, role in order.written.items())
    if not holds:
        return {}
    return {name: role for name, role in order.roles.items() if spec.sites[name].role != role}


def applied(spec: Spec, order: RoleOrder) -> Spec:
    """The spec as it is to be taken now.

    Numbers of targets stay those that were written, so that a change of roles starts and stops nothing by itself; only
    one that is active now keeps a target at least. The ledger's authority stays where it was, too.
    """
    return with_changed(spec, standing(spec, order))


def with_changed(spec: Spec, changed: Mapping[str, Role]) -> Spec:
    """The spec with these roles, at those of the sites that it has; see `applied`."""
    changed = {name: role for name, role in changed.items() if name in spec.sites and spec.sites[name].role != role}
    if not changed:
        return spec
    sites = {**spec.sites, **{name: _with_role(spec, name, role) for name, role in changed.items()}}
    ledger = spec.ledger
    if ledger.authority is None:
        ledger = ledger.model_copy(update={"authority": _first_cloud(spec)})
    return spec.model_copy(update={"sites": sites, "ledger": ledger})


def ordered(
    spec: Spec, order: RoleOrder, wanted: Mapping[str, Role], turn: int, by: str, why: str, at: str
) -> RoleOrder:
    """The order after `order`: other roles for one pair, the others' as they stand."""
    paired = [name for pair in spec.failover.pairs for name in pair.sites]
    kept = {name: spec.sites[name].role for name in paired} | dict(standing(spec, order))
    return RoleOrder(turn, {**kept, **wanted}, {name: spec.sites[name].role for name in paired}, at, by, why)


def pair_of(spec: Spec, site: str) -> Pair | None:
    return next((pair for pair in spec.failover.pairs if site in pair.sites), None)


def partner(pair: Pair, site: str) -> str:
    return pair.sites[1] if pair.sites[0] == site else pair.sites[0]


def given_up(pair: Pair, site: str) -> Mapping[str, Role]:
    """The pair's roles once `site` has given its own up."""
    return {site: "standby", partner(pair, site): "active"}


def is_warm(spec: Spec, site: str) -> bool:
    """Whether it keeps a target while it is a standby."""
    return spec.site(site).min > 0


def _with_role(spec: Spec, name: str, role: Role) -> Site:
    site = spec.sites[name]
    least = spec.site(name).min
    scale = (site.scale or Scale()).model_dump(include=site.scale.model_fields_set if site.scale else set())
    wanted = Scale(**{**scale, "min": max(1, least) if role == "active" else least})
    return site.model_copy(update={"role": role, "scale": wanted})


def _first_cloud(spec: Spec) -> str | None:
    names = sorted(spec.sites, key=lambda name: spec.sites[name].role == "standby")
    return next((site.cloud for name in names if (site := spec.sites[name]).cloud != "local"), None)
