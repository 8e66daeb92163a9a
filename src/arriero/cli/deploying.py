"""The verbs that change the world: plan, up, down."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from arriero.cli import checking, door_lines, nginx_here, show
from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword, Wait, Yes
from arriero.cli.progress import Progress
from arriero.cli.release_image import remember
from arriero.cli.roles import with_roles
from arriero.cli.validating import golden
from arriero.clouds import read
from arriero.cost.estimate import Estimate, estimate
from arriero.deploy import edge, engine, releasing, traffic
from arriero.deploy.edge import Edge
from arriero.deploy.releasing import Deployed, Wish
from arriero.errors import ArrieroError, Problem, Refused, VerdictFailed
from arriero.events import Listener
from arriero.observe.model_drift import with_model_drift
from arriero.observe.status import model_digests, served_models
from arriero.plan import place, registries
from arriero.plan.model import Change, Facts, Plan, SiteFacts
from arriero.releases import opening
from arriero.releases.opening import Opened
from arriero.spec.front_door import NAME
from arriero.spec.model import Spec

if TYPE_CHECKING:
    from arriero.cli.foreseeing import Comparison

PENDING = 2


def register(app: typer.Typer) -> None:
    app.command()(plan)
    app.command()(up)
    app.command()(down)


def plan(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    site: Sites = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show also what it would do to first tokens and the bill.")
    ] = False,
    scenario: Annotated[
        str, typer.Option(help="The traffic to simulate: conversation, code, office, flat, or a file.")
    ] = "conversation",
    trace: Annotated[str, typer.Option(help="A CSV of your own requests to simulate.", show_default=False)] = "",
    rate: Annotated[
        float, typer.Option(help="Requests a second in the mean. Default: what the sites bear.", show_default=False)
    ] = 0.0,
    days: Annotated[float, typer.Option(help="Days to simulate. Default: the scenario's.", show_default=False)] = 0.0,
) -> int:
    """Show what would change and why, with each site's price. Exit code 2: changes are pending.

    Example: [bold]arriero plan --simulate --trace requests.csv[/bold]
    """
    if not simulate and (trace or rate or days or scenario != "conversation"):
        raise Refused(Problem("there is traffic to simulate, and no --simulate", "add --simulate", key="--simulate"))
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        here, image, books, facts, wanted = settled(here, site)
        print("".join(f"! {problem}\n" for problem in image), end="", file=sys.stderr)
        foreseen = _foreseen(here, books, scenario, trace, rate, days) if simulate else None
        nginx = nginx_here.pending(here)
        _show(here, facts, wanted, as_json, foreseen=foreseen, nginx=nginx)
        if wanted.problems:
            return 1
        return 0 if wanted.is_empty and not nginx else PENDING


def up(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    gateway: Annotated[bool, typer.Option(help="Keep a gateway running on this machine.")] = True,
    wait: Wait = None,
    pushed: Annotated[
        bool, typer.Option("--pushed", help="Deploy the image that was pushed from here last, by its digest.")
    ] = False,
) -> int:
    """Make the world as the spec says, and see that it answers. A second run does nothing.

    Example: [bold]arriero up --yes --site azure-east[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        if gateway and (obstacles := (*edge.obstacles(here.project, here.spec), *nginx_here.obstacles(here))):
            raise Refused(here.loaded.placed(obstacles))
        written = here
        here, image, books, facts, wanted = settled(_with_pushed(here) if pushed else here, site)
        if lacking := [*image, *here.loaded.placed(registries.obstacles(wanted))]:
            raise Refused(lacking)
        is_idle, nginx = _is_settled(books, wanted), nginx_here.pending(here) if gateway else None
        if not is_idle or nginx:
            read.refuse_unpinned(here.spec, facts, here.endpoints)
            _show(here, facts, wanted, as_json, to=sys.stderr if as_json else sys.stdout, nginx=nginx)
            confirm("Make these changes?", yes)
        with Progress([s.site for s in wanted.sites], as_json) as progress:
            run = engine.Run(here.project, here.endpoints.environment, progress, golden=golden(here))
            if is_idle:
                done = Deployed(engine.deploy(run, here.spec, facts, wanted), wanted, wanted.release, facts)
            else:
                wish = replace(
                    _wish(here, books, facts, wanted, site),
                    image=written.spec.image.name,
                    written=_with_image_of(written.spec, here.spec),
                )
                done = releasing.deploy(run, wish, wait or 0.0)
                remember(here, here.spec, facts, done)
            running, unserved = _gateway(here, progress, done) if gateway else (edge.find(here.project), ())
        problems = [*done.outcome.problems, *_still_different(here, facts, done), *unserved]
        if problems:
            raise (VerdictFailed if done.outcome.is_judged_bad else ArrieroError)(problems)
        if not as_json:
            print(_done(here, done.plan, running.url if running else None, is_changed_here=nginx is not None))
            print("".join(f"{line}\n" for line in door_lines.to_do_lines(done.after.front_door)), end="")
        return 0


def _foreseen(here: Here, books: Opened, scenario: str, trace: str, rate: float, days: float) -> Comparison:
    from arriero.cli import foreseeing

    wish = foreseeing.Wish(scenario, trace, rate, days)
    wish.check()
    number = books.last.number if books.last else 0
    return foreseeing.compared(books.ledger, number, here.spec, here.loaded.prices, wish)


def _is_settled(books: Opened, wanted: Plan) -> bool:
    """Whether neither clouds nor ledger want anything: who died after its end was written left the lease, and maybe a
    replica that lags.
    """
    is_ended = books.head.open is None and books.head.holder is None
    return wanted.is_empty and is_ended and not releasing.standing_after_all(books, wanted)


def _with_pushed(here: Here) -> Here:
    from arriero.pipeline import pinning

    return _with_spec(here, pinning.pushed(here.project, here.spec))


def _with_image_of(written: Spec, deployed: Spec) -> Spec:
    """What is recorded: the roles as the user's file has them, with the image and the digests of what is deployed."""
    return written.model_copy(update={"image": deployed.image, "models": deployed.models})


def _with_spec(here: Here, spec: Spec) -> Here:
    return replace(here, loaded=replace(here.loaded, spec=spec))


def down(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    purge: Annotated[bool, typer.Option("--purge", help="Leave nothing at all; asks for the service's name.")] = False,
) -> int:
    """Remove exactly what carries the service's tags. Keeps model storage and registries, unless --purge.

    Example: [bold]arriero down --site azure-eu[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        only = here.only(site)
        books, facts = read_world(here, only)
        there = (*engine.standing(facts, only, purge), *(standing_door(facts) if only is None else ()))
        if not as_json:
            lines = show.removal_lines(there, purge)
            lines += show.copying_lines(facts.registries) if purge and only is None else []
            print("\n".join(lines))
        read.refuse_unpinned(here.spec, facts, here.endpoints)
        _confirm_removal(here, purge, yes)
        if only is None:
            nginx_here.stop(here)
            edge.stop(here.project)
            if purge:
                traffic.forget(here.project)
        with Progress([found.site for found in there], as_json) as progress:
            run = engine.Run(here.project, here.endpoints.environment, progress)
            outcome = releasing.remove(
                run, here.spec, books, there, purge=purge, whole=only is None, registries=facts.registries
            )
        if outcome.problems:
            raise ArrieroError(outcome.problems)
        if not as_json:
            print("Nothing of the service is left at these sites." if there else "There was nothing to remove.")
            lines = show.kept_lines(books.stores, is_gone=purge and only is None)
            for line in (*lines, *([] if purge else show.kept_models(facts, only))):
                print(line)
        return 0


def standing_door(facts: Facts) -> tuple[SiteFacts, ...]:
    """The service's Front Door, where something stands of it, or that can't be known: it goes as a site does."""
    door = facts.front_door
    return (door,) if door and (door.resources or door.problem) else ()


def confirm(question: str, yes: bool) -> None:
    """Asks y/n on the terminal; without a terminal only `--yes` will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(Problem("this acts, and there is no terminal to ask at", "add --yes"))
    if not typer.confirm(question):
        raise typer.Abort


def _confirm_removal(here: Here, purge: bool, yes: bool) -> None:
    if not purge or yes:
        confirm("Remove all this?", yes)
        return
    confirm("Remove all this, storage and registries too?", yes)
    if typer.prompt(f"Type the service's name ({here.spec.name}) to go on") != here.spec.name:
        raise Refused(Problem("that is not the service's name", "nothing was removed"))


def read_world(here: Here, only: Collection[str] | None) -> tuple[Opened, Facts]:
    """The ledger, and the facts of all sites; those that left the spec are looked for only where they are touched."""
    accounts = read.check_accounts(here.spec, here.endpoints)
    with ThreadPoolExecutor(2, thread_name_prefix="ledger") as pool:
        ledger = pool.submit(opening.read, here.spec, accounts)
        images = pool.submit(read.image_registries, here.spec, accounts)
        facts = read.read_all(here.spec, here.endpoints) if only is None else read.read(here.spec)
        opened = ledger.result()
    for line in show.unasked_lines(facts):
        print(line, file=sys.stderr)
    known = replace(facts, stores=opened.stores, last=opened.last, registries=images.result())
    return opened, replace(known, orders=opened.orders)


def settled(here: Here, site: list[str] | None) -> tuple[Here, list[Problem], Opened, Facts, Plan]:
    """The world and the plan for it, with the image named by its digest from here on, as far as anybody knows it; and
    why there is no image to deploy, if so.
    """
    from arriero.pipeline import pinning

    only = here.only(site)
    opened, facts = read_world(here, only)
    here = with_roles(here, opened)
    find = pinning.on_this_machine if here.is_staged else pinning.in_registry
    image = pinning.by_digest(here.spec, facts.last, find)
    if image.warning:
        print(f"! image: {here.spec.image.name} {image.warning}", file=sys.stderr)
    here = _with_spec(here, image.spec)
    facts = read.with_images(facts, here.spec)
    problems = here.loaded.placed([image.problem]) if image.problem else []
    return here, list(problems), opened, facts, _planned(here, facts, only)


def _planned(here: Here, facts: Facts, only: Collection[str] | None) -> Plan:
    return with_model_drift(place.plan(here.spec, facts, only), here.spec, facts.sites, served_models)


def _wish(here: Here, opened: Opened, facts: Facts, wanted: Plan, site: list[str] | None) -> Wish:
    def again() -> tuple[Opened, Facts, Plan]:
        only = here.only(site)
        opened, facts = read_world(here, only)
        wanted = _planned(here, facts, only)
        print("Another deployment, or the controller, came between; this is the plan now:", file=sys.stderr)
        _show(here, facts, wanted, False, to=sys.stderr)
        return opened, facts, wanted

    accounts: dict[str, str] = {found.cloud: found.account for found in facts.sites.values() if found.account}
    return Wish(here.spec, accounts, opened, facts, wanted, again, model_digests)


def _estimates(here: Here, wanted: Plan) -> dict[str, Estimate]:
    prices = here.loaded.prices
    staying = [site for site in wanted.sites if not site.is_leaving]
    found = {site.site: estimate(here.spec.site(site.site), site.count, prices) for site in staying}
    door = door_lines.estimated(wanted.front_door, here.spec, prices)
    return {**found, NAME: door} if door else found


def _show(
    here: Here,
    facts: Facts,
    wanted: Plan,
    as_json: bool,
    to: TextIO | None = None,
    foreseen: Comparison | None = None,
    nginx: Change | None = None,
) -> None:
    estimates, verdict = _estimates(here, wanted), checking.judged(here.project, here.loaded, facts)
    if as_json and to is None:
        more = {"policy": checking.as_json_of(verdict, here.loaded)}
        if foreseen is not None:
            more["simulated"] = foreseen.as_json()
        told_plan = show.plan_json(wanted, here.spec, facts, estimates, here.loaded.prices, nginx)
        print(json.dumps({**told_plan, **more}, default=list))
    else:
        told = checking.told_in_plan(verdict, here.loaded)
        lines = show.plan_lines(wanted, here.spec, estimates, told, here.loaded.prices, nginx)
        print("\n".join(lines), file=to or sys.stdout)
        if foreseen is not None:
            from arriero.cli import foreseeing

            print("", *foreseeing.lines(foreseen), sep="\n")


def _gateway(here: Here, listener: Listener, done: Deployed) -> tuple[Edge | None, tuple[Problem, ...]]:
    """The running gateway, and what it or the nginx before it lacks: that never hides why a site failed, and follows
    from it at times.
    """
    if done.outcome.problems and not done.outcome.done:
        return edge.find(here.project), ()
    try:
        running = edge.ensure(here.project, here.spec, listener, has_targets=_is_needed(here.spec, done.plan))
        return running, nginx_here.ensure(here, running, listener)
    except ArrieroError as error:
        return None, error.problems


def _is_needed(spec: Spec, plan: Plan) -> bool:
    """Whether clients have this machine's gateway alone: what edges in a cloud serve, it may not even reach."""
    awake = [spec.site(each.site) for each in plan.sites if each.count and not each.asleep and not each.is_leaving]
    return any(site.edges is None and site.azure_edges is None for site in awake)


def _still_different(here: Here, facts: Facts, done: Deployed) -> list[Problem]:
    """What a fresh look at the sites that were changed still finds different: a deployment that did not take."""
    changed = done.outcome.done & {site.site for site in done.plan.sites if site.steps and not site.is_leaving}
    if not changed:
        return []
    now = replace(facts, sites={**facts.sites, **done.after.sites}, last=None)
    again = place.plan(here.spec, now, changed)
    return [
        Problem(
            f"{change.kind} {change.name} is still not as wanted after the deployment: {change.reason}",
            "run arriero up again; if it stays, report it with the run's log",
            key=f"sites.{planned.site}",
        )
        for planned in again.sites
        for change in planned.changes
    ]


def _done(here: Here, wanted: Plan, url: str | None, *, is_changed_here: bool = False) -> str:
    idle = "Nothing to do at the sites." if is_changed_here else "Nothing to do: everything is as the spec says."
    head = idle if wanted.is_empty else f"Release {wanted.release} is up."
    if not url:
        return head
    model = here.spec.models[0].name
    front = nginx_here.url(here)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    return "\n".join(
        [
            f"{head} The gateway answers at {show.gateway_words(here.spec, url)}",
            *([f"Clients come through nginx at {front}"] if front else []),
            "Try next:",
            '  arriero ask "Why is the sky blue?"',
            "  arriero status",
            f"  curl {url}/api/chat -d '{body}'",
        ]
    )
