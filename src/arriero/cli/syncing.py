"""The verb sync: deploys what a git repository says, once or as a loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli.deploying import confirm
from arriero.cli.options import Json, Overlay, Rehearse, Yes
from arriero.clock import SystemClock
from arriero.errors import ArrieroError, Problem, Refused
from arriero.pipeline.sync import report
from arriero.pipeline.sync.report import State
from arriero.pipeline.sync.repository import Policy, Repository, shown
from arriero.pipeline.sync.round import Ran, Round, Sync
from arriero.secret import Secret
from arriero.spec.load import FILE
from arriero.spec.units import Duration

TOKEN_VARIABLE = "ARRIERO_STATUS_TOKEN"
CLONES = Path(".arriero-sync")
CODES = {"deployed": 0, "unchanged": 0, "pending": 2, "drifted": 2, "failed": 1, "refused": 1, "back": 3}


Repo = Annotated[str, typer.Option("--repo", help="The repository's URL or path.", metavar="URL")]
Branch = Annotated[str, typer.Option("--branch", help="The branch that says what is wished.")]
SpecFile = Annotated[str, typer.Option("-f", "--file", help="The spec's path in the repository.")]
Signers = Annotated[
    Path | None, typer.Option("--signers", help="SSH allowed-signers file: who may sign.", show_default=False)
]
Keyring = Annotated[Path | None, typer.Option("--keyring", help="GnuPG home whose keys may sign.", show_default=False)]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="Take commits without asking who signed them.")]
Rewind = Annotated[bool, typer.Option("--allow-rewind", help="Take a branch that was rewritten.")]
Exports = Annotated[
    list[str] | None,
    typer.Option(
        "--export",
        help="Exported files to hold against the spec, like gateway=ops/gateway.",
        metavar="KIND=DIR",
        show_default=False,
    ),
]
StatusUrl = Annotated[
    str, typer.Option("--status-url", help="Where to post commit statuses; {sha} stands for the commit.")
]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit code 2 if something would.")]
Every = Annotated[str, typer.Option("--every", help="Look again and again, so often, like 1m; by default once.")]


def register(app: typer.Typer) -> None:
    app.command()(sync)


def sync(
    repo: Repo,
    branch: Branch = "main",
    file: SpecFile = FILE,
    overlay: Overlay = None,
    signers: Signers = None,
    keyring: Keyring = None,
    unsigned: Unsigned = False,
    allow_rewind: Rewind = False,
    export: Exports = None,
    status_url: StatusUrl = "",
    check: Check = False,
    every: Every = "",
    rehearse: Rehearse = False,
    as_json: Json = False,
    yes: Yes = False,
) -> int:
    """Deploy what a git repository says when it changes, if its newest commit is signed by who may; report drift.

    The clone is kept in .arriero-sync here. ARRIERO_STATUS_TOKEN holds the token that posts statuses.

    Example: [bold]arriero sync --repo https://git.example.com/llm --signers allowed_signers --every 1m --yes[/bold]
    """
    policy = _policy(signers, keyring, unsigned)
    repository = Repository(repo, branch, Path.cwd() / CLONES / _folder(repo, branch))
    if not check:
        confirm(f"Deploy what {shown(repo)} says?", yes)

    def verbs(*arguments: str) -> Ran:
        return _ran(repository.folder, [*arguments, *_options(file, overlay, rehearse)])

    def tell(commit: str, state: State, text: str) -> None:
        if status_url and (why := report.post(status_url, _token(), commit, state, text)):
            print(f"! the commit's status could not be posted: {why}", file=sys.stderr)

    memory = repository.folder / ".arriero" / "sync.json"
    course = Sync(repository, policy, memory, verbs, tell, _exports(export or ()), allow_rewind)
    if not every:
        return _told(course.look(check), as_json)
    return _loop(course, _seconds(every), check, as_json)


def _loop(course: Sync, seconds: float, check: bool, as_json: bool) -> int:
    """Until it is ended. A round that fails is told, and the next one tries again."""
    clock, before = SystemClock(), ""
    while True:
        try:
            found = course.look(check)
            if as_json or f"{found.act}{found.text}" != before:
                _told(found, as_json)
            before = f"{found.act}{found.text}"
        except ArrieroError as error:
            if str(error) != before:
                print(error, file=sys.stderr, flush=True)
            before = str(error)
        clock.sleep(seconds)


def _told(found: Round, as_json: bool) -> int:
    if as_json:
        print(json.dumps(found.as_json()), flush=True)
    else:
        print("\n".join([f"{found.act}: {found.text}", *(f"  {change}" for change in found.changes)]), flush=True)
    return CODES[found.act]


def _policy(signers: Path | None, keyring: Path | None, unsigned: bool) -> Policy:
    if signers is None and keyring is None and not unsigned:
        what = "nobody is named whose signature counts, so whoever can push could deploy"
        raise Refused(Problem(what, "add --signers FILE or --keyring DIR; or --unsigned, if pushing is enough"))
    missing = [path for path in (signers, keyring) if path and not path.exists()]
    if missing:
        raise Refused(
            [Problem("there is no such file or folder", "correct the path", file=str(each)) for each in missing]
        )
    if unsigned and (signers or keyring):
        raise Refused(Problem("--unsigned takes what --signers and --keyring refuse", "drop one of them"))
    return Policy(signers, keyring)


def _exports(given: Sequence[str]) -> Mapping[str, str]:
    pairs = [text.partition("=") for text in given]
    wrong = [text for text, (kind, mark, folder) in zip(given, pairs, strict=True) if not (kind and mark and folder)]
    if wrong:
        raise Refused([Problem(f"{text} is not KIND=DIR", "write it like gateway=ops", "--export") for text in wrong])
    return {kind: folder for kind, _, folder in pairs}


def _seconds(every: str) -> float:
    try:
        return float(Duration.parse(every))
    except ValueError as error:
        raise Refused(Problem(str(error), key="--every")) from None


def _folder(repo: str, branch: str) -> str:
    name = repo.rstrip("/").rpartition("/")[2].removesuffix(".git")
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{name}-{branch}").lstrip(".-")


def _options(file: str, overlay: str | None, rehearse: bool) -> list[str]:
    return ["-f", file, *(["-e", overlay] if overlay else []), *(["--rehearse"] if rehearse else [])]


def _token() -> Secret:
    return Secret(os.environ.get(TOKEN_VARIABLE, ""))


def _ran(folder: Path, arguments: Sequence[str]) -> Ran:
    """A verb of ours in the clone. Its progress is shown; the token for statuses is nothing that it needs."""
    own = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    ended = subprocess.run(
        [sys.executable, "-m", "arriero", *arguments],
        cwd=folder,
        env=own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)
