"""The verbs failover and failback: a site gives its role to its partner, and gets it back.

First the gateway of this machine follows, without a lease; then the order is written in the ledger, under it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli import completing, deploying
from arriero.cli.deploying import confirm
from arriero.cli.here import Here, SecretsUnread, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, VaultPassword, Yes
from arriero.cli.progress import Progress
from arriero.cli.roles import order_of
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.deploy import engine, releasing, traffic
from arriero.errors import ArrieroError, Problem, Refused
from arriero.plan import roles
from arriero.plan.roles import RoleOrder, TrafficOrder
from arriero.releases import opening
from arriero.releases import roles as written
from arriero.releases.ledger import Ledger
from arriero.releases.opening import Opened
from arriero.scale.standby import words
from arriero.spec.failover import Pair
from arriero.spec.model import Role, Spec

Given = Annotated[
    str | None,
    typer.Argument(
        help="The site that gives its role up; by default the active one of the only pair.",
        show_default=False,
        autocompletion=completing.sites,
    ),
]
Back = Annotated[
    str | None,
    typer.Argument(
        help="A site of the pair; by default all whose roles are not the spec's.",
        show_default=False,
        autocompletion=completing.sites,
    ),
]
TrafficOnly = Annotated[
    bool, typer.Option("--traffic", help="Only move this machine's requests; no lease, nothing is recorded.")
]


def register(app: typer.Typer) -> None:
    app.command()(failover)
    app.command()(failback)


@dataclass(frozen=True, slots=True)
class Move:
    """`wanted` are the roles, `heirs` who is active then and was not; `why` is for people."""

    wanted: Mapping[str, Role]
    heirs: tuple[str, ...]
    why: str


def failover(
    site: Given = None,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    traffic: TrafficOnly = False,
) -> int:
    """Have a site's partner serve in its place, until failback. Requests move at once; no target is stopped.

    Example: [bold]arriero failover aws-east --yes[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        books = opening.read(here.spec, read.check_accounts(here.spec, here.endpoints))
        now = order_of(here, books)
        spec = roles.applied(here.spec, now.order)
        pair, given = _given(spec, site)
        move = Move(roles.given_up(pair, given), (roles.partner(pair, given),), f"failover from {given}")
        cold = _ordered(here, books, now, move, as_json, yes, traffic)
    return _started(cold, file, overlay, rehearse, vault_password_file, as_json)


def failback(
    site: Back = None,
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    traffic: TrafficOnly = False,
) -> int:
    """Have sites serve in the roles that the spec gives them again.

    Example: [bold]arriero failback --yes[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file, secrets=SecretsUnread()) as here:
        books = opening.read(here.spec, read.check_accounts(here.spec, here.endpoints))
        now = order_of(here, books)
        changed = roles.standing(here.spec, now.order)
        back = _back(here.spec, changed, site)
        if not back:
            print(
                json.dumps({"schema": 1, "roles": {}}) if as_json else "Every site has the role that the spec gives it."
            )
            return 0
        heirs = tuple(name for name in back if here.spec.sites[name].role == "active" and name in changed)
        move = Move(
            {name: here.spec.sites[name].role for name in back}, heirs, f"failback to {', '.join(heirs or back)}"
        )
        cold = _ordered(here, books, now, move, as_json, yes, traffic)
    return _started(cold, file, overlay, rehearse, vault_password_file, as_json)


def _ordered(
    here: Here, books: Opened, now: TrafficOrder, move: Move, as_json: bool, yes: bool, only_traffic: bool
) -> list[str]:
    """Has traffic move and the order written; returns who has to be started first."""
    cold = _refuse_the_dead(here, now.order, move.heirs)
    print(f"{move.why}: {words(move.wanted)}", file=sys.stderr)
    confirm("Change these roles?" if not only_traffic else "Move the requests of this machine's gateway?", yes)
    order = roles.ordered(here.spec, now.order, move.wanted, now.order.turn, releasing.who(), move.why, _stamp())
    traffic.keep(here.project, TrafficOrder(order, now.order.turn, is_own=True))
    if not only_traffic:
        order = _recorded(here, books, move, as_json)
        traffic.keep(here.project, TrafficOrder(order, order.turn))
    if as_json:
        print(json.dumps({"schema": 1, "roles": dict(order.roles), "turn": order.turn, "recorded": not only_traffic}))
    else:
        where = "is how this machine's gateway sends requests now" if only_traffic else "is recorded"
        print(f"{move.why} {where}: {words(move.wanted)}.")
    return [] if only_traffic else cold


def _recorded(here: Here, books: Opened, move: Move, as_json: bool) -> RoleOrder:
    """The order under the lease. Raises Refused, Held, Lost, ArrieroError: then only traffic has moved."""
    with Progress((), as_json) as progress:
        run = engine.Run(here.project, here.endpoints.environment, progress)
        try:
            lease = releasing.take(books.ledger, run, here.spec, "failover")
        except ArrieroError as error:
            moved = Problem("requests of this machine's gateway have moved; roles are not recorded", "", key="failover")
            raise ArrieroError([moved, *error.problems]) from None
    try:
        assert books.ledger.authority is not None
        fresh = written.read(Ledger(books.ledger.authority)) or RoleOrder()
        order = roles.ordered(here.spec, fresh, move.wanted, lease.epoch, releasing.who(), move.why, _stamp())
        if lagging := written.write(books.ledger, lease, order):
            print(f"! recorded in one store only: {lagging}", file=sys.stderr)
        return order
    finally:
        lease.release()


def _refuse_the_dead(here: Here, order: RoleOrder, heirs: tuple[str, ...]) -> list[str]:
    """Raises Refused where an heir can't serve; returns those that keep no target, and have to start one."""
    facts = read.read(here.spec, set(heirs)) if heirs else None
    problems, cold = [], []
    for name in heirs:
        assert facts is not None
        found = facts.sites[name]
        ready = [target for target in found.targets if target.state == "ready"]
        if found.problem:
            problems.append(
                Problem(f"{name} can't be read: {found.problem.what}", "see: arriero status", f"sites.{name}")
            )
        elif not ready and (found.count or not found.resources or roles.is_warm(roles.applied(here.spec, order), name)):
            what = f"no target of {name} is ready, so nobody would serve"
            problems.append(Problem(what, "mend it first: arriero up; see: arriero status", f"sites.{name}"))
        elif not ready:
            cold.append(name)
    if problems:
        raise Refused(problems)
    return cold


def _started(
    cold: list[str], file: Path | None, overlay: str | None, rehearse: bool, vault: Path | None, as_json: bool
) -> int:
    return deploying.up(file, overlay, rehearse, vault, as_json, True, cold) if cold else 0


def _given(spec: Spec, site: str | None) -> tuple[Pair, str]:
    """The pair, and who of it gives its role up. Raises Refused."""
    _refuse_without_pairs(spec)
    if site is None:
        found = [name for pair in spec.failover.pairs for name in pair.sites if _has_standby(spec, pair, name)]
        if len(found) != 1:
            choice = found or [name for pair in spec.failover.pairs for name in pair.sites]
            raise Refused(
                Problem("it is not said which site gives its role up", f"name it: {', '.join(choice)}", key="SITE")
            )
        site = found[0]
    pair = _pair(spec, site)
    if spec.sites[site].role == "standby":
        what = f"{site} is the standby; {roles.partner(pair, site)} serves"
        raise Refused(Problem(what, "name the active site, or take a change back: arriero failback", key="SITE"))
    return pair, site


def _has_standby(spec: Spec, pair: Pair, name: str) -> bool:
    return spec.sites[name].role == "active" and spec.sites[roles.partner(pair, name)].role == "standby"


def _back(spec: Spec, changed: Mapping[str, Role], site: str | None) -> list[str]:
    """The sites of the pairs that are to be as written again. Raises Refused."""
    _refuse_without_pairs(spec)
    if site is None:
        return [name for pair in spec.failover.pairs if changed.keys() & set(pair.sites) for name in pair.sites]
    pair = _pair(spec, site)
    return list(pair.sites) if changed.keys() & set(pair.sites) else []


def _pair(spec: Spec, site: str) -> Pair:
    if site not in spec.sites:
        raise Refused(Problem(f"there is no site {site}", f"choose from {', '.join(spec.sites)}", key="SITE"))
    pair = roles.pair_of(spec, site)
    if pair is None:
        known = "; ".join(" + ".join(each.sites) for each in spec.failover.pairs)
        raise Refused(Problem(f"{site} is in no pair", f"there are: {known}", key="SITE"))
    return pair


def _refuse_without_pairs(spec: Spec) -> None:
    if not spec.failover.pairs:
        remedy = "write some, like failover: {pairs: [{sites: [aws-east, azure-east]}]}"
        raise Refused(Problem("the spec pairs no sites", remedy, key="failover"))


def _stamp() -> str:
    return SystemClock().now().isoformat(timespec="seconds")
