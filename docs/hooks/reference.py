"""The pages that are generated from the code: spec, commands, metrics, roles, runbooks; Markdown by its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typer
from ruamel.yaml import YAML

import arriero
from arriero.cli.verbs import app_of
from arriero.clock import ManualClock
from arriero.gateway.sidecar.figures import Figures
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.telling import families
from arriero.gateway.telling.families import Family
from arriero.pipeline.prometheus.alerts import alerts_of
from arriero.spec import docs as sections
from arriero.spec.load import load
from arriero.spec.schema import schema

ROLES = Path(arriero.__file__).parent / "deploy/ansible/ansible_collections/arriero/fleet/roles"
RUNBOOKS = "arriero.pipeline.prometheus"
_MARKUP = re.compile(r"\[/?(?:bold|italic|dim)\]")
WITH_BUDGET = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
budget: {monthly: 500 USD}
sites: {office: {cloud: local, hosts: [127.0.0.1]}}
"""


def pages() -> dict[str, str]:
    """Every generated page, by its place on the site."""
    return {
        "runbooks/index.md": alerts_page(),
        **{f"runbooks/{alert.name}.md": runbook(alert.name) for alert in all_alerts()},
        "reference/spec.md": spec_page(),
        "reference/commands.md": commands_page(),
        "reference/metrics.md": metrics_page(),
        "reference/roles.md": roles_page(),
    }


def all_alerts() -> tuple[Any, ...]:
    """Those of a service with a budget: all that there are."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arriero.yaml"
        path.write_text(WITH_BUDGET)
        return alerts_of(load(path, None, {}).spec)


def runbook(name: str) -> str:
    """As `arriero export prometheus` writes it beside the rules."""
    return resources.files(RUNBOOKS).joinpath(f"runbooks/{name}.md").read_text("utf-8")


def alerts_page() -> str:
    rows = [f"| [{a.name}]({a.name}.md) | {a.severity} | {_cell(_spoken(a.summary))} |" for a in all_alerts()]
    head = ["# Runbooks", "", "Each alert that `arriero export prometheus` writes, and what to do when it comes.", ""]
    return "\n".join([*head, "| alert | calls | what it says |", "|---|---|---|", *rows, ""])


def _spoken(summary: str) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", summary)


def spec_page() -> str:
    described = schema()["properties"]
    text = [
        "# The spec",
        "",
        "Each section of `arriero.yaml` as a commented example that a test loads. All keys at once,",
    ]
    text += ["for editors: `arriero schema`. A section in the terminal: `arriero docs NAME`.", ""]
    for name in sections.sections():
        about = described.get(name, {}).get("description", "")
        text += [
            f"## {name}",
            "",
            *([about, ""] if about else []),
            "```yaml",
            sections.section(name).rstrip(),
            "```",
            "",
        ]
    return "\n".join(text)


def commands_page() -> str:
    group = typer.main.get_command(app_of())
    text = ["# Commands", "", "Every verb with its options, as `arriero VERB --help` says it.", ""]
    for name, command in sorted(leaves(group, "arriero")):
        text += [f"## {name}", "", _markdown(command.help or ""), "", *_parameters(command), ""]
    return "\n".join(text)


def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every verb by its whole name."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, found in children.items():
        yield from leaves(found, f"{name} {child}")


def _parameters(command: Any) -> list[str]:
    rows = []
    for one in command.params:
        flags = (
            ", ".join((*one.opts, *one.secondary_opts))
            if one.param_type_name == "option"
            else (one.metavar or one.name).upper()
        )
        if flags != "--help":
            rows.append(f"| `{flags}` | {_cell(_MARKUP.sub('', getattr(one, 'help', None) or ''))} |")
    return ["| option | what it does |", "|---|---|", *rows] if rows else []


def _markdown(text: str) -> str:
    """Examples stand in [bold] in the terminal, and as code here."""
    text = re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", " ".join(text.replace("\n\n", "\0").split()))
    return text.replace("\0", "\n\n").replace("<", "&lt;") if "`" not in text else text.replace("\0", "\n\n")


def metrics_page() -> str:
    text = [
        "# Metrics",
        "",
        "What gateways and sidecars tell at `/metrics`. Guide: [Seeing it](../observability.md).",
        "",
    ]
    rows = [f"| `{f.name}` | {f.kind} | {_cell(f.text)} | {_cell(', '.join(f.labels))} |" for f in all_families()]
    beside = [f"| `{name}` | {kind} | {_cell(told)} |" for name, kind, told in sidecars()]
    gateways = ["## Of a gateway", "", "| figure | kind | what it tells | labels |", "|---|---|---|---|", *rows, ""]
    return "\n".join(
        [*text, *gateways, "## Of a sidecar", "", "| figure | kind | what it tells |", "|---|---|---|", *beside, ""]
    )


def sidecars() -> list[tuple[str, str, str]]:
    """What a sidecar tells that has seen a request and a model: name, kind, meaning, out of its own text."""
    figures, tally = Figures(ManualClock()), Tally(1)
    tally.take("m")
    tally.resident = {"m": {"size": 1}}
    figures.count("/api/chat", 200, "answered", "m", b"{}")
    lines = figures.text(tally, 0).decode().splitlines()
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    helps = {line.split()[2]: line.split(maxsplit=3)[3] for line in lines if line.startswith("# HELP")}
    return [(name, kinds[name], told) for name, told in sorted(helps.items())]


def all_families() -> list[Family]:
    found = {value.name: value for value in vars(families).values() if isinstance(value, Family)}
    return [found[name] for name in sorted(found)]


def roles_page() -> str:
    text = [
        "# Ansible roles",
        "",
        "The collection `arriero.fleet`: each role's interface, out of its argument specs.",
        "",
    ]
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        for entry, spec in YAML(typ="safe").load(path)["argument_specs"].items():
            name = path.parent.parent.name + ("" if entry == "main" else f", {entry}")
            text += [
                f"## {name}",
                "",
                spec.get("short_description", "") + ".",
                "",
                *_options(spec.get("options", {})),
                "",
            ]
    return "\n".join(text)


def _options(options: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| `{name}` | {one.get('type', '')} | {'yes' if one.get('required') else ''} | {_cell(_told(one))} |"
        for name, one in options.items()
    ]
    return ["| variable | type | required | what it is |", "|---|---|---|---|", *rows] if rows else ["No variables."]


def _told(option: Mapping[str, Any]) -> str:
    told = option.get("description", "")
    return " ".join(told) if isinstance(told, list) else str(told)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
