"""Rules for Prometheus: of metrics that exist, tried by promtool, each with a page whose commands exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from arriero.cli.verbs import app_of
from arriero.clock import ManualClock
from arriero.gateway.sidecar.figures import Figures
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.telling import families
from arriero.pipeline.prometheus import files as prometheus
from arriero.pipeline.prometheus.alerts import alerts_of
from arriero.pipeline.prometheus.objectives import FIRST_TOKEN_SECONDS, records
from arriero.spec.budget import Budget
from arriero.spec.gateway import Gateway
from arriero.spec.model import Spec

SITE = {"cloud": "aws", "region": "us-east-1"}
SPEC = Spec.model_validate(
    {
        "name": "llm", "image": "acme/llm:1", "models": ["llama2"], "gateway": {"port": 12345}, "sites": {"a": SITE},
        "budget": {"monthly": "500 USD", "warn": "80%"},
    }
)  # fmt: skip
ALERTS = alerts_of(SPEC)
FILES = prometheus.files(SPEC, Path())
METRIC = re.compile(r"\b(?:arriero|ollama)_[a-z_]+|\barriero:[a-z_]+:ratio_rate\w+")


def told() -> set[str]:
    """Every name that a gateway's or a sidecar's figures have, and every one that is recorded."""
    sidecar = Figures(ManualClock()).text(Tally(1), 0).decode()
    names = {*records(), *re.findall(r"^(\w+)[ {]", sidecar, re.MULTILINE)}
    for family in families.ALL:
        names |= {family.name, *(f"{family.name}_{part}" for part in ("bucket", "count", "sum") if family.bounds)}
    return names


def expressions() -> Iterator[str]:
    yield from records().values()
    for alert in ALERTS:
        yield from (alert.expr, *alert.fires, *alert.quiet)


def labels_of(name: str) -> set[str]:
    if name.startswith("arriero_sidecar_"):
        return {"service", "site", "target"}
    [family] = [one for one in families.ALL if name.startswith(one.name) and name[len(one.name) :] in PARTS]
    # The first from service discovery, where only sidecars' series have it; the second from the scrape's settings.
    return {*family.labels, "target", "service", *(("le", "site") if family.bounds else ())}


PARTS = ("", "_bucket", "_count", "_sum")


def test_every_metric_and_label_of_a_rule_is_told_by_a_gateway() -> None:
    for expr in expressions():
        assert set(METRIC.findall(expr)) <= told(), expr
        for name, within in re.findall(r"((?:arriero|ollama)_[a-z_]+)\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)=", within)) <= labels_of(name), expr


def test_without_a_budget_nobody_is_called_for_it() -> None:
    without = SPEC.model_copy(update={"budget": Budget()})
    assert [alert.name for alert in ALERTS if alert not in alerts_of(without)] == ["ArrieroCostNearBudget"]
    assert "runbooks/ArrieroCostNearBudget.md" not in prometheus.files(without, Path())


def test_the_time_of_the_objective_is_a_bucket() -> None:
    assert FIRST_TOKEN_SECONDS in families.FIRST_TOKEN.bounds


def test_the_gateway_of_the_spec_is_scraped_and_asked_for_the_sidecars() -> None:
    config: dict[str, Any] = YAML(typ="safe").load(FILES["prometheus.yml"])
    gateway, sidecars = config["scrape_configs"]
    assert gateway["static_configs"] == [{"targets": ["127.0.0.1:12345"], "labels": {"service": "llm"}}]
    assert [one["url"] for one in sidecars["http_sd_configs"]] == ["http://127.0.0.1:12345/metrics/targets"]
    assert config["rule_files"] == ["arriero.rules.yml"]


def test_a_gateway_with_a_certificate_is_asked_over_tls() -> None:
    tls = {"certificate": "gateway.pem", "key": "gateway.key"}
    with_tls = SPEC.model_copy(update={"gateway": Gateway.model_validate({"port": 12345, "tls": tls})})
    text = prometheus.files(with_tls, Path())["prometheus.yml"]
    gateway, sidecars = YAML(typ="safe").load(text)["scrape_configs"]
    assert gateway["scheme"] == "https"
    assert sidecars["http_sd_configs"][0]["url"].startswith("https://")
    assert "tls_config" in text


def test_every_alert_has_a_page_whose_commands_are_there() -> None:
    root = typer.main.get_command(app_of())
    for alert in ALERTS:
        page = FILES[f"runbooks/{alert.name}.md"]
        assert str(page).startswith(f"# {alert.name}\n")
        commands = re.findall(r"`arriero ([a-z][^`]*)`(?: with ((?:`--[a-z-]+`(?: or )?)+))?", str(page))
        for words, more in commands:
            unknown = list(strange(root, words.split()))
            unknown += list(strange(root, [*words.split(), *re.findall(r"--[a-z-]+", more)]))
            assert not unknown, (alert.name, words)


def strange(root: Any, words: list[str]) -> Iterator[str]:
    """The verbs and options among these words that the command line does not know."""
    command = root
    for word in words:
        if word.startswith("--"):
            known = {name for parameter in command.params for name in parameter.opts}
            if word not in known:
                yield word
        elif hasattr(command, "commands"):
            found = command.commands.get(word)
            if found is None:
                yield word
                return
            command = found


def test_the_table_of_commands_is_no_sieve() -> None:
    root = typer.main.get_command(app_of())
    assert list(strange(root, ["statsu"])) == ["statsu"]
    assert list(strange(root, ["keys", "add", "--for-ever"])) == ["--for-ever"]


@pytest.mark.wide
def test_promtool_finds_that_each_alert_fires_and_stays_quiet(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(str(content))
    for words in (["check", "config", "prometheus.yml"], ["test", "rules", "arriero.rules.test.yml"]):
        said = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
    tests: dict[str, Any] = YAML(typ="safe").load(FILES["arriero.rules.test.yml"])
    expected = [case["alert_rule_test"][0] for case in tests["tests"]]
    assert [bool(case["exp_alerts"]) for case in expected] == [True, False] * len(ALERTS)
    assert [case["alertname"] for case in expected[::2]] == [alert.name for alert in ALERTS]


@pytest.mark.wide
def test_promtool_sees_an_alert_that_would_never_fire(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for name in ("arriero.rules.yml", "arriero.rules.test.yml"):
        text = str(FILES[name])
        (tmp_path / name).write_text(text.replace("ollama_requests_queued)", "ollama_requests_queued) * 0"))
    words = [promtool, "test", "rules", "arriero.rules.test.yml"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "ArrieroQueueLong" in said.stdout + said.stderr
