"""The verbs of the image: plan, build, scan, push, verify. Each can be a stage of a pipeline: its exit code is true."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from arriero.cli.deploying import confirm
from arriero.cli.here import SecretsUnread, load_project
from arriero.cli.options import File, Json, Overlay, Yes
from arriero.clock import SystemClock
from arriero.errors import ArrieroError
from arriero.spec.load import Loaded

if TYPE_CHECKING:
    from arriero.pipeline.image.revision import Revision as Commit

VERDICT_FAILED = 3
Done = TypeVar("Done")

verbs = typer.Typer(
    help="The image that every target runs: plan, build, scan, push and verify it.", no_args_is_help=True
)
Network = Annotated[
    str, typer.Option("--network", help="The build's network, like host where a registry is on this machine.")
]
Fresh = Annotated[bool, typer.Option("--no-cache", help="Build all of it anew.")]
Revision = Annotated[str, typer.Option("--revision", help="The commit, if this folder is in no git.", metavar="SHA")]
Release = Annotated[int | None, typer.Option("--release", min=1, help="Tag it r<N>, too.", show_default=False)]
Stable = Annotated[bool, typer.Option("--stable", help="Tag it stable, and with the next stable-v<N>.")]
Without = Annotated[
    list[str] | None, typer.Option("--without", help="Leave out hadolint, trivy or syft.", show_default=False)
]
Bill = Annotated[Path | None, typer.Option("--sbom", help="Where the list of parts goes (CycloneDX).", metavar="FILE")]
Named = Annotated[str, typer.Option("--image", help="An image of the engine, if not what was built here last.")]
Digest = Annotated[str, typer.Option("--digest", help="Ask for this digest, if not what was pushed here last.")]


def register(app: typer.Typer) -> None:
    app.add_typer(verbs, name="image")


@verbs.command()
def plan(file: File = None, overlay: Overlay = None, as_json: Json = False) -> None:
    """Show what would be in the image, how large it is, and what that means at each site: baked, or mounted.

    Example: [bold]arriero image plan[/bold]
    """
    from arriero.cli import image_lines
    from arriero.pipeline.image import plan as planning

    project, loaded = load_project(file, overlay, SecretsUnread())
    found = planning.plan(project, loaded.spec)
    if as_json:
        print(json.dumps({"schema": 1, **image_lines.plan_json(found)}))
    else:
        print("\n".join(image_lines.plan_lines(loaded.spec, found)))


@verbs.command()
def build(
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
    network: Network = "",
    no_cache: Fresh = False,
    revision: Revision = "",
) -> None:
    """Build the image with the models in it, each in a layer of its own.

    Example: [bold]arriero image build[/bold]
    """
    from arriero.cli import image_lines
    from arriero.pipeline.image import build as building

    project, loaded = load_project(file, overlay, SecretsUnread())
    commit = _revision(project.folder, revision)
    built = _placed(
        loaded, lambda: building.build(project, loaded.spec, commit, SystemClock(), network=network, fresh=no_cache)
    )
    if as_json:
        print(json.dumps({"schema": 1, **image_lines.built_json(loaded.spec, built)}))
    else:
        print("\n".join(image_lines.built_lines(loaded.spec, built)))


@verbs.command()
def scan(
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
    without: Without = None,
    sbom: Bill = None,
    image: Named = "",
) -> int:
    """Hold the image against the spec's policy with hadolint and Trivy, and list its parts with syft.

    Exit code 3: something was found that the policy refuses.

    Example: [bold]arriero image scan --sbom sbom.json[/bold]
    """
    from arriero.cli import image_lines
    from arriero.errors import Problem, Refused
    from arriero.pipeline.image import scan as scanning

    project, loaded = load_project(file, overlay, SecretsUnread())
    if unknown := sorted(set(without or ()) - set(scanning.PROGRAMS)):
        remedy = f"choose from {', '.join(scanning.PROGRAMS)}"
        raise Refused(Problem(f"there is no scanner {', '.join(unknown)}", remedy, key="--without"))
    today = SystemClock().now().date()
    found = scanning.scan(project, loaded.spec, image, without or (), sbom, today)
    if as_json:
        print(json.dumps({"schema": 1, **image_lines.scan_json(found)}))
    else:
        print("\n".join(image_lines.scan_lines(found)))
    return 0 if found.verdict.is_good else VERDICT_FAILED


@verbs.command()
def push(
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
    yes: Yes = False,
    release: Release = None,
    stable: Stable = False,
    revision: Revision = "",
) -> None:
    """Bring the image to its registries: one digest at all of them, and no release's name before it is everywhere.

    Example: [bold]arriero image push --release 12 --yes[/bold]
    """
    from arriero.cli import image_lines
    from arriero.pipeline.image import push as pushing

    project, loaded = load_project(file, overlay, SecretsUnread())
    where = ", ".join(pushing.repositories(loaded.spec))
    print(f"Acting on {where}.", file=sys.stderr)
    confirm(f"Push to {where}?", yes)
    asked = pushing.Asked(_revision(project.folder, revision).tag, release, stable)
    done = _placed(loaded, lambda: pushing.push(project, loaded.spec, asked))
    if as_json:
        print(json.dumps({"schema": 1, **image_lines.pushed_json(done)}))
    else:
        print("\n".join(image_lines.pushed_lines(done)))


@verbs.command()
def verify(file: File = None, overlay: Overlay = None, as_json: Json = False, digest: Digest = "") -> int:
    """See that every registry has the digest, under its names, and that the image holds the models it names.

    Exit code 3: something is not as it should be.

    Example: [bold]arriero image verify[/bold]
    """
    from arriero.pipeline.image import verify as verifying

    project, loaded = load_project(file, overlay, SecretsUnread())
    checks = verifying.verify(project, loaded.spec, digest)
    if as_json:
        print(json.dumps({"schema": 1, "checks": [check.as_json() for check in checks]}))
    else:
        print("\n".join(map(str, checks)))
    return VERDICT_FAILED if any(check.fault for check in checks) else 0


def _revision(folder: Path, given: str) -> Commit:
    from arriero.pipeline.image.revision import Revision, of_folder

    return Revision(given) if given else of_folder(folder)


def _placed(loaded: Loaded, act: Callable[[], Done]) -> Done:
    """Runs it; a problem that names a key of the spec is told with its line."""
    try:
        return act()
    except ArrieroError as error:
        raise type(error)(loaded.placed(error.problems)) from None
