"""The verb rollback: a release that stood before stands again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Annotated

import typer

from arriero.cli import show
from arriero.cli.deploying import confirm, read_world
from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword, Wait, Yes
from arriero.cli.progress import Progress
from arriero.cli.release_image import remember
from arriero.cli.roles import order_of
from arriero.cli.validating import golden
from arriero.clouds import read, registry
from arriero.cost.estimate import estimate
from arriero.deploy import edge, engine, releasing, rolling_back
from arriero.deploy.releasing import Deployed, Wish
from arriero.deploy.rolling_back import Return
from arriero.errors import ArrieroError, Problem, VerdictFailed
from arriero.observe.status import model_digests
from arriero.plan import roles
from arriero.plan.model import Facts, Plan
from arriero.releases.opening import Opened

To = Annotated[
    str, typer.Argument(help="A release's number, or `stable`; by default the one before.", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    to: To = "",
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    wait: Wait = None,
) -> int:
    """Go back to a release that stood before: by weight where its targets still run, else with what it was made from.

    Example: [bold]arriero rollback stable --site aws-east --yes[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        only = here.only(site)
        books, facts = read_world(here, only)
        ordered = roles.standing(here.spec, order_of(here, books).order)
        way = rolling_back.with_roles(rolling_back.found(books.ledger, to, running(facts), here.spec), ordered)
        rolling_back.refuse_what_cannot_be(way, facts, only, registry.gone)
        facts = read.with_images(read.with_secrets(facts, way.spec), way.spec)
        wanted = way.plan(facts, only)
        if wanted.is_empty:
            if wanted.problems:
                raise ArrieroError([replace(s.problem, key=f"sites.{s.site}") for s in wanted.sites if s.problem])
            print(json.dumps({"schema": 1, "release": wanted.release}) if as_json else _nothing(wanted))
            return 0
        read.refuse_unpinned(here.spec, facts, here.endpoints)
        known = here.loaded.prices
        prices = {site.site: estimate(way.spec.site(site.site), site.count, known) for site in wanted.sites}
        # Without its last line, which says how to make the changes: by another verb.
        print("\n".join(show.plan_lines(wanted, way.spec, prices)[:-1]), file=sys.stderr if as_json else sys.stdout)
        confirm(f"Go back to release {wanted.release}?", yes)
        with Progress([s.site for s in wanted.sites], as_json) as progress:
            run = engine.Run(here.project, here.endpoints.environment, progress, golden=golden(here))
            done = releasing.deploy(run, _wish(here, way, books, facts, wanted, site), wait or 0.0)
            remember(here, way.spec, facts, done)
        problems = [*done.outcome.problems, *_still_different(way, facts, done)]
        if problems:
            raise (VerdictFailed if done.outcome.is_judged_bad else ArrieroError)(problems)
        if not as_json:
            print(f"Release {wanted.release} runs again.{_gateway(here)}")
        return 0


def running(facts: Facts) -> int | None:
    """The newest release of which a target runs."""
    releases = [
        t.release for found in facts.sites.values() for t in found.targets if t.release and t.state != "stopped"
    ]
    return max(releases, default=None)


def _wish(here: Here, way: Return, books: Opened, facts: Facts, wanted: Plan, site: list[str] | None) -> Wish:
    def again() -> tuple[Opened, Facts, Plan]:
        found, now = read_world(here, here.only(site))
        rolling_back.refuse_what_cannot_be(way, now, here.only(site), registry.gone)
        now = read.with_secrets(now, way.spec)
        return found, now, way.plan(now, here.only(site))

    accounts: dict[str, str] = {found.cloud: found.account for found in facts.sites.values() if found.account}
    return Wish(way.spec, accounts, books, facts, wanted, again, model_digests, written=way.written)


def _still_different(way: Return, facts: Facts, done: Deployed) -> list[Problem]:
    changed = done.outcome.done & {site.site for site in done.plan.sites if site.steps}
    if not changed:
        return []
    now = replace(facts, sites={**facts.sites, **done.after.sites})
    return [
        Problem(
            f"{change.kind} {change.name} is still not as it was: {change.reason}",
            "run arriero rollback again; if it stays, report it with the run's log",
            key=f"sites.{planned.site}",
        )
        for planned in way.plan(now, changed).sites
        for change in planned.changes
    ]


def _nothing(wanted: Plan) -> str:
    return f"Nothing to do: release {wanted.release} runs."


def _gateway(here: Here) -> str:
    found = edge.find(here.project)
    return f" The gateway answers at {show.gateway_words(here.spec, found.url)}" if found else ""
