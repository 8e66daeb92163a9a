"""The board: whole, the same each time, and made of questions that Prometheus understands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard
from ruamel.yaml import YAML

from arriero.pipeline.grafana import files as grafana
from arriero.pipeline.grafana.panels import ROWS, VARIABLES, Panel, expressions
from arriero.spec.model import Spec

SITE = {"cloud": "aws", "region": "us-east-1"}
SPEC = Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"a": SITE}})
FILES = grafana.files(SPEC, Path())
BOARD: dict[str, Any] = json.loads(FILES[grafana.BOARD])
PANELS = [panel for _, panels in ROWS for panel in panels]


def test_the_board_is_the_same_each_time() -> None:
    assert grafana.files(SPEC, Path()) == FILES


def test_grafanas_own_model_reads_the_board_back() -> None:
    assert Dashboard.from_json(BOARD).title == "Arriero"


def test_every_panel_has_its_place_and_its_questions() -> None:
    shown = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in shown] == [panel.title for panel in PANELS]
    asked = [query["expr"] for panel in shown for query in panel["targets"]]
    assert (*asked, BOARD["annotations"]["list"][0]["expr"]) == expressions()
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert ids == list(range(1, len(ids) + 1))


def test_no_two_panels_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_a_choice_of_service_site_and_model_is_asked_for_by_some_panel() -> None:
    assert [one["name"] for one in BOARD["templating"]["list"]] == ["datasource", *(v.name for v in VARIABLES)]
    for variable in VARIABLES:
        assert any(f'=~"${variable.name}"' in expr for expr in expressions()), variable.name
    unknown = set(re.findall(r"\$(\w+)", " ".join(expressions()))) - {v.name for v in VARIABLES} - {"__rate_interval"}
    assert not unknown


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_legend_names_labels_that_its_answer_has(panel: Panel) -> None:
    for query in panel.queries:
        kept = {label for part in re.findall(r" by \(([^)]*)\)", query.expr) for label in part.split(", ")}
        assert set(re.findall(r"{{(\w+)}}", query.legend)) <= kept


def test_grafana_finds_the_board_and_its_prometheus() -> None:
    read = YAML(typ="safe").load
    [provider] = read(FILES[grafana.PROVIDER])["providers"]
    assert provider["options"] == {"path": "/var/lib/grafana/dashboards"}
    [source] = read(FILES[grafana.SOURCE])["datasources"]
    assert source["type"] == "prometheus"


@pytest.mark.wide
def test_promtool_parses_every_question(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    rules = [{"record": f"board:{number}", "expr": asked(expr)} for number, expr in enumerate(expressions())]
    for more, code in (([], 0), ([{"record": "board:bad", "expr": "sum by (site) rate(x[5m])"}], 1)):
        (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "board", "rules": rules + more}]}))
        said = subprocess.run([promtool, "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == code, said.stdout + said.stderr


def asked(expr: str) -> str:
    """As Grafana sends it where everything is chosen."""
    expr = expr.replace("$__rate_interval", "1m")
    for variable in VARIABLES:
        expr = expr.replace(f"${variable.name}", ".*")
    return expr
