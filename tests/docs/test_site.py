"""The documentation as a site: it builds without a warning, asks nobody else for anything, and leaves nothing out."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import typer

from arriero.cli.verbs import MODULES, app_of
from arriero.pipeline.prometheus.alerts import ALERTS

ROOT = Path(__file__).parent.parent.parent
# What a runbook has: what it means above these, then where to look and what to do.
RUNBOOK = ("## Look", "## Do")


@cache
def reference() -> ModuleType:
    found = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "hooks" / "reference.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = reference().pages()
    return made


def test_each_alert_has_a_runbook_that_says_where_to_look_and_what_to_do(pages: dict[str, str]) -> None:
    names = [alert.name for alert in ALERTS] + ["ArrieroCostNearBudget"]
    assert [alert.name for alert in reference().all_alerts()] == names
    for name in names:
        page = pages[f"runbooks/{name}.md"]
        assert page.startswith(f"# {name}\n"), name
        assert [part for part in RUNBOOK if f"\n{part}\n" not in page] == [], name
        assert f"({name}.md)" in pages["runbooks/index.md"]
    kept = {path.stem for path in (ROOT / "src/arriero/pipeline/prometheus/runbooks").glob("*.md")}
    assert kept == set(names), "a runbook of no alert"


def test_every_verb_metric_role_and_section_is_in_the_reference(pages: dict[str, str]) -> None:
    commands = pages["reference/commands.md"]
    missing = [verb for verbs in MODULES.values() for verb in verbs if f"\n## arriero {verb}" not in commands]
    assert missing == []
    assert "[bold]" not in commands
    assert [f.name for f in reference().all_families() if f"`{f.name}`" not in pages["reference/metrics.md"]] == []
    assert "`arriero_sidecar_slots`" in pages["reference/metrics.md"]
    roles = {path.parent.parent.name for path in reference().ROLES.glob("*/meta/argument_specs.yml")}
    assert [role for role in roles if f"\n## {role}" not in pages["reference/roles.md"]] == []
    assert [
        name for name in reference().sections.sections() if f"\n## {name}\n" not in pages["reference/spec.md"]
    ] == []


def commands_of(page: Path) -> list[list[str]]:
    """Each command of ours in a page's console blocks, without its comment."""
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("arriero ")]


def test_decisions_are_numbered_one_after_the_other() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_command_of_the_pages_exists_with_its_options() -> None:
    verbs = dict(reference().leaves(typer.main.get_command(app_of()), "arriero"))
    unknown, found = [], 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for words in commands_of(page):
            found += 1
            name = next((" ".join(words[:end]) for end in (3, 2) if " ".join(words[:end]) in verbs), "")
            options = {
                flag for one in (verbs[name].params if name else ()) for flag in (*one.opts, *one.secondary_opts)
            }
            flags = [word.partition("=")[0] for word in words if word.startswith("-") and word != "--"]
            unknown += [f"{page.name}: {' '.join(words)}"] * (not name or not {*flags} <= {*options, "--help"})
    assert unknown == []
    assert found > 40


class Loaded(HTMLParser):
    """What a page has a browser fetch; links that a person may follow are none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.places.append(str(given["src"]))
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.places.append(str(given.get("href")))


@pytest.mark.wide
def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    found = list(tmp_path.rglob("*.html"))
    assert len(found) > 40
    for page in found:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [place for place in loaded.places if re.match(r"(?:https?:)?//", place)] == [], page.name
    assert "ArrieroSiteDown" in (tmp_path / "runbooks" / "index.html").read_text(encoding="utf-8")
