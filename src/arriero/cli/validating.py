"""The verb validate: whether what was deployed is good."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword
from arriero.clouds import read
from arriero.deploy import edge
from arriero.errors import ArrieroError, Problem, Refused
from arriero.observe.asking import KEY_VARIABLE
from arriero.observe.validation import look, report
from arriero.observe.validation.findings import Speeds, Validation, speeds_from_json
from arriero.observe.validation.look import Expected, Gateway
from arriero.observe.validation.server import Server
from arriero.plan.model import SiteFacts
from arriero.secret import Secret

VERDICT_FAILED = 3


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
        str, typer.Option("--gateway", help="The gateway's URL. Default: the one that runs here.", show_default=False)
    ] = "",
    baseline: Annotated[
        Path | None,
        typer.Option(help="Compare with the speeds of this file, which `validate --json` wrote.", show_default=False),
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
        expected = Expected(speeds=_speeds(baseline) if baseline else {})
        within = here.spec.validation.answer_within
        found = look.validate(
            here.spec, facts.sites, _gateway(here, gateway), expected, lambda a: Server(f"http://{a}", within)
        )
    if junit:
        _write(junit, report.junit(found))
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


def _show(found: Validation, as_json: bool) -> None:
    print(json.dumps(found.as_json()) if as_json else "\n".join(report.lines(found)))


def _gateway(here: Here, url: str) -> Gateway | None:
    """The gateway that was named, or else the one that runs here."""
    key, tls = Secret(os.environ.get(KEY_VARIABLE, "")), here.spec.gateway.tls
    certificate = here.project.file(tls.certificate) if tls else None
    if url:
        return Gateway(Server(_checked(url), here.spec.validation.answer_within, key, certificate))
    running = edge.find(here.project)
    if running is None:
        return None
    reached = look.reached(running.client().status().targets)
    return Gateway(Server(running.url, here.spec.validation.answer_within, key, certificate), reached)


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


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"can't be written: {error.strerror}"
        raise ArrieroError(Problem(what, "name another file with --junit", file=str(path))) from None
