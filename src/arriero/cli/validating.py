"""The verb validate: whether what was deployed is good."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword
from arriero.cli.releases import ledger
from arriero.cli.sites import asleep
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.control.client import Gateway as Client
from arriero.deploy import edge, releasing
from arriero.errors import ArrieroError, Problem, Refused
from arriero.events import Json as JsonValue
from arriero.events import ignore
from arriero.observe.asking import KEY_VARIABLE
from arriero.observe.validation import look, report
from arriero.observe.validation.findings import Speeds, Validation, speeds_as_json, speeds_from_json
from arriero.observe.validation.look import Expected, Gateway
from arriero.observe.validation.server import Server
from arriero.plan.model import SiteFacts
from arriero.releases.ledger import Ledger
from arriero.releases.record import Release, spec_of
from arriero.secret import Secret

VERDICT_FAILED = 3
REACHED_WITHIN_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    app.command()(validate)


def validate(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    site: Sites = None,
    gateway: Annotated[
        str, typer.Option("--gateway", help="Its URL. Default: the one here, or one for the time.", show_default=False)
    ] = "",
    baseline: Annotated[
        Path | None,
        typer.Option(help="Compare with the speeds of this file, which `validate --json` wrote.", show_default=False),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the JSON into this file, too.", show_default=False)
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit XML into this file, too.", show_default=False)
    ] = None,
) -> int:
    """Ask every target and the gateway what the spec's `validation` says, and hold the answers against it.

    Exit code 3: something is not as it should be. ARRIERO_KEY holds the gateway's API key, where one is needed.

    Example: [bold]arriero validate --site aws-east --junit validation.xml[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        facts = read.read(here.spec, here.only(site))
        books, release = _books(here), _newest(facts.sites.values())
        expected = _expected(books, release, baseline)
        within, off = here.spec.validation.answer_within, asleep(here)
        with _gateway(here, gateway, facts.sites.keys() - off) as edge_of_sites:
            found = look.validate(
                here.spec, facts.sites, edge_of_sites, expected, lambda a: Server(f"http://{a}", within), off
            )
        _record(books, found)
    if junit:
        write_report(junit, report.junit(found))
    if save:
        write_report(save, json.dumps(found.as_json()) + "\n")
    _show(found, as_json)
    return 0 if found.is_good else VERDICT_FAILED


def golden(here: Here) -> Callable[[Mapping[str, SiteFacts]], tuple[Problem, ...]]:
    """Asks the golden prompts of a trial's targets, by site; gives what went wrong."""
    within = here.spec.validation.answer_within

    def ask(found: Mapping[str, SiteFacts]) -> tuple[Problem, ...]:
        told = look.validate(here.spec, found, None, Expected(), lambda address: Server(f"http://{address}", within))
        wrong = [each for each in told.findings if each.verdict == "failed"]
        return tuple(Problem(f"{each.target or each.place}: {each.check}: {each.found}") for each in wrong)

    return ask


def _books(here: Here) -> Ledger | None:
    """The ledger; None, with a word on stderr, where there is none to be had: a validation needs none."""
    try:
        found = ledger(here)
        found.head()  # that it can be read is known only then
        return found
    except ArrieroError as error:
        print(f"! nothing to compare with, and nothing is recorded: {error.problems[0]}", file=sys.stderr)
        return None


def _newest(sites: Iterable[SiteFacts]) -> int | None:
    return max((target.release for found in sites for target in found.targets if target.release), default=None)


def _expected(books: Ledger | None, release: int | None, baseline: Path | None) -> Expected:
    """The digests that were baked, else those that the running release began with, and the speeds of the stable one;
    `baseline` comes first.
    """
    running = books.release(release) if books and release else None
    digests = _digests(running) if running else {}
    if baseline:
        return Expected(digests, _speeds(baseline))
    stable = books.head().stable if books else None
    measured = books.release(stable) if books and stable and stable != release else None
    figures = measured.figures[-1] if measured and measured.figures else {}
    return Expected(digests, speeds_from_json(cast("Mapping[str, Any]", figures.get("speeds", {}))))


def _digests(running: Release) -> dict[str, str]:
    began = {model["name"]: model["digest"] for model in running.models if model.get("digest")}
    return began | {model.name: model.digest for model in spec_of(running).models if model.digest}


def _record(books: Ledger | None, found: Validation) -> None:
    """Adds what was measured to the release's record; that it can't be done fails no validation."""
    if books is None or found.release is None or not found.speeds:
        return
    figures: dict[str, JsonValue] = {"good": found.is_good, "speeds": speeds_as_json(found.speeds)}
    try:
        books.add_figures(found.release, figures, releasing.who(), SystemClock().now())
    except ArrieroError as error:
        print(f"! what was measured is not recorded: {error.problems[0]}", file=sys.stderr)


def _show(found: Validation, as_json: bool) -> None:
    print(json.dumps(found.as_json()) if as_json else "\n".join(report.lines(found)))


@contextmanager
def _gateway(here: Here, url: str, awake: Collection[str]) -> Iterator[Gateway | Problem]:
    """The gateway that was named, or the one that runs here, or else one of its own for as long as it takes."""
    key, tls = Secret(os.environ.get(KEY_VARIABLE, "")), here.spec.gateway.tls
    certificate = here.project.file(tls.certificate) if tls else None
    within = here.spec.validation.answer_within
    if url:
        yield Gateway(Server(_checked(url), within, key, certificate))
        return
    running = edge.find(here.project)
    try:
        try:
            serving = running or edge.ensure(here.project, here.spec, ignore, has_targets=bool(awake))
            reached = _reached(serving.client(), awake)
            found: Gateway | Problem = Gateway(Server(serving.url, within, key, certificate), reached)
        except ArrieroError as error:
            found = error.problems[0]
        yield found
    finally:
        if running is None:
            edge.stop(here.project)


def _reached(gateway: Client, sites: Collection[str]) -> Collection[str]:
    """The sites of which the gateway says that a target is up; one that began a moment ago has time to find them."""
    clock = SystemClock()
    deadline = clock.monotonic() + REACHED_WITHIN_SECONDS
    while not (found := look.reached(gateway.status().targets)) >= set(sites) and clock.monotonic() < deadline:
        clock.sleep(0.2)
    return found


def _checked(url: str) -> str:
    scheme, _, rest = url.rstrip("/").partition("://")
    host, _, port = rest.rpartition(":")
    if scheme not in ("http", "https") or not host or not port.isdecimal():
        raise Refused(Problem(f"{url} is not a gateway's URL", "write it like http://127.0.0.1:11434", "--gateway"))
    return url.rstrip("/")


def _speeds(path: Path) -> Speeds:
    try:
        return speeds_from_json(json.loads(path.read_text(encoding="utf-8"))["speeds"])
    except OSError as error:
        raise ArrieroError(Problem(f"can't be read: {error.strerror}", "check its path", file=str(path))) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        remedy = "make one with: arriero validate --json > FILE"
        raise ArrieroError(Problem("holds no validation's speeds", remedy, file=str(path))) from None


def write_report(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"can't be written: {error.strerror}"
        raise ArrieroError(Problem(what, "name another file", file=str(path))) from None
