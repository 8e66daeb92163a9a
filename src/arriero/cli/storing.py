"""The verbs models list and models clean: what sites' storages hold, and taking out what no release needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer

from arriero.cli.deploying import confirm, settled
from arriero.cli.here import Here, opened
from arriero.cli.options import File, Json, Overlay, Rehearse, Sites, VaultPassword, Yes
from arriero.cli.progress import Progress
from arriero.deploy import cleaning, engine
from arriero.deploy.cleaning import Report
from arriero.errors import Problem, Refused
from arriero.gateway.words.naming import canonical
from arriero.plan.cleaning import Cleaning

models = typer.Typer(help="The models in sites' storages, and which of them no release needs.", no_args_is_help=True)

Keep = Annotated[
    int, typer.Option("--keep", min=1, help="How many releases before the one in place keep their models.")
]


def register(app: typer.Typer) -> None:
    models.command(name="list")(list_models)
    models.command(name="clean")(clean_models)
    app.add_typer(models, name="models")


def list_models(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    site: Sites = None,
    keep: Keep = 1,
) -> int:
    """Say what is in each storage, how large, which release named it last, and what `clean` would take. A job of the
    site's image looks; nothing is removed.

    Example: [bold]arriero models list[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        wanted, reports, problems = _look(here, site, keep, as_json)
        _tell(wanted, reports, as_json, is_done=False)
        cleaning.raise_for(problems)
        return 0


def clean_models(
    file: File = None,
    overlay: Overlay = None,
    rehearse: Rehearse = False,
    vault_password_file: VaultPassword = None,
    as_json: Json = False,
    yes: Yes = False,
    site: Sites = None,
    keep: Keep = 1,
) -> int:
    """Take models out of storages that neither the release in place, the ones kept to go back to, the stable one nor
    the spec names. What no release ever named stays. It can't be undone: who goes back further pulls them anew.

    Example: [bold]arriero models clean --keep 2[/bold]
    """
    with opened(file, overlay, rehearse, vault_password=vault_password_file) as here:
        seen = None
        if not yes:
            seen, reports, problems = _look(here, site, keep, as_json)
            _tell(seen, reports, as_json, is_done=False)
            cleaning.raise_for(problems)
            if not any(report.going for report in reports):
                return 0
            confirm("Take out what goes?", yes)
        wanted, reports, problems = _look(here, site, keep, as_json, is_listing=False, seen=seen)
        _tell(wanted, reports, as_json, is_done=True)
        cleaning.raise_for(problems)
        return 0


def _look(
    here: Here,
    site: list[str] | None,
    keep: int,
    as_json: bool,
    *,
    is_listing: bool = True,
    seen: Mapping[str, Cleaning] | None = None,
) -> tuple[Mapping[str, Cleaning], Sequence[Report], Sequence[Problem]]:
    """Runs the jobs. Raises Refused where another than what was `seen` would be removed now."""
    sites = cleaning.storing(here.spec, here.only(site))
    here, lacking, books, facts, plan = settled(here, [each.name for each in sites])
    if lacking:
        raise Refused(lacking)
    wanted = cleaning.decided(sites, books, facts, keep)
    if seen is not None and wanted != seen:
        raise Refused(Problem("a deployment came between, so other models would go", "look again", key="ledger"))
    with Progress([each.name for each in sites], as_json) as progress:
        run = engine.Run(here.project, here.endpoints.environment, progress)
        reports, problems = cleaning.carry_out(run, here.spec, books, facts, plan, wanted, is_listing=is_listing)
    return wanted, reports, problems


def _tell(wanted: Mapping[str, Cleaning], reports: Sequence[Report], as_json: bool, *, is_done: bool) -> None:
    if as_json:
        rows = [_row(wanted[report.site], report) for report in reports]
        print(json.dumps({"schema": 1, "cleaned": is_done, "sites": rows}))
        return
    for report in reports:
        print("\n".join(lines(wanted[report.site], report, is_done=is_done)))


def lines(wanted: Cleaning, report: Report, *, is_done: bool) -> Iterator[str]:
    """A site's head, a line a model, and what else lies there."""
    verb, freed = ("freed" if is_done else "would be free"), _gigabytes(report.freed)
    kept = ", ".join(map(str, wanted.releases)) or "none"
    what = f"{freed} {verb}" if report.going or report.freed else "nothing to take out"
    yield f"{report.site}: {what}; releases that keep their models: {kept}"
    for model in report.models:
        word = {"goes": "gone" if is_done else "goes", "unknown": "stays: no release named it"}.get(
            model.state, "stays"
        )
        yield f"  {model.name}  {_gigabytes(model.size)}  {_release(wanted, model.name)}{word}"
    if report.strange_count:
        more = f" and {rest} more" if (rest := report.strange_count - len(report.strange)) else ""
        yield f"  ! no model there names these files; they stay: {', '.join(report.strange)}{more}"


def _release(wanted: Cleaning, name: str) -> str:
    last = _last(wanted, name)
    return "" if last is None else f"{f'release {last}' if last else 'the spec'}  "


def _last(wanted: Cleaning, name: str) -> int | None:
    """The last release that named what a job calls by its one spelling."""
    numbers = {canonical(each): number for each, number in [*wanted.gone.items(), *wanted.kept.items()]}
    return numbers.get(name)


def _gigabytes(size: int) -> str:
    return f"{size / 10**9:.1f} GB" if size >= 10**8 else f"{size} bytes"


def _row(wanted: Cleaning, report: Report) -> dict[str, object]:
    return {
        "site": report.site,
        "models": [
            {"name": m.name, "bytes": m.size, "state": m.state, "last_release": _last(wanted, m.name)}
            for m in report.models
        ],
        "freed_bytes": report.freed,
        "strange": list(report.strange),
        "strange_count": report.strange_count,
        "releases": list(wanted.releases),
    }
