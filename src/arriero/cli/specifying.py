"""Verbs about the spec itself: init, config, schema, docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from arriero.cli import completing
from arriero.cli.here import load_project
from arriero.cli.options import File, Json, Overlay
from arriero.errors import Problem, Refused


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(config)
    app.command()(schema)
    app.command()(docs)


def init(
    name: Annotated[str, typer.Option(help="The service's name.")] = "llm",
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
) -> None:
    """Write a first arriero.yaml to start from.

    Example: [bold]arriero init --name chat[/bold]
    """
    from arriero.spec import starter
    from arriero.spec.schema import schema as whole

    path = folder / "arriero.yaml"
    if path.exists():
        raise Refused(Problem("the file is there already", "edit it, or name another folder", file=str(path)))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(starter.text(name))
    schema_file = folder / starter.SCHEMA_FILE
    schema_file.write_text(json.dumps(whole(), indent=2) + "\n")
    print(f"Wrote {path}, and {schema_file} for editors. Next: arriero plan --rehearse")


def config(
    file: File = None,
    overlay: Overlay = None,
    as_json: Json = False,
    origin: Annotated[bool, typer.Option("--origin", help="Show where each value comes from.")] = False,
) -> None:
    """Print the resolved spec, defaults and overlay included.

    Example: [bold]arriero config -e staging --origin[/bold]
    """
    from arriero.spec import origin as origins

    _, loaded = load_project(file, overlay)
    if as_json:
        print(json.dumps({"schema": 1, "spec": json.loads(loaded.spec.model_dump_json(by_alias=True))}))
    elif origin:
        rows = origins.rows(loaded)
        width = max(len(f"{key}: {value}") for key, value, _ in rows)
        for key, value, source in rows:
            print(f"{f'{key}: {value}':<{width}}  # {source}")
    else:
        print(origins.dump(loaded.spec), end="")


def schema() -> None:
    """Print the JSON Schema of arriero.yaml, for editors.

    Example: [bold]arriero schema > arriero.schema.json[/bold]
    """
    from arriero.spec.schema import schema as whole

    print(json.dumps(whole(), indent=2))


def docs(
    section: Annotated[
        str, typer.Argument(help="A top-level key of the spec.", autocompletion=completing.sections)
    ] = "",
) -> None:
    """Print a section's commented reference; without a name, the list of sections.

    Example: [bold]arriero docs scale[/bold]
    """
    from arriero.spec import docs as reference

    print(reference.section(section) if section else "\n".join(reference.sections()))
