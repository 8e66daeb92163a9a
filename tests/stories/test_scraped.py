"""A real Prometheus, with the exported settings, finds the stage's sidecars, and the board's questions get answers.

The tests go on from one another, in their order, on one stage, under load and with API keys.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from places import Place, open_spec, wait_for
from ruamel.yaml import YAML

from arriero.pipeline.grafana.panels import RELEASES, VARIABLES, expressions

PORT, PROMETHEUS = 25634, 25690
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2, mistral]
rehearse: always
scale: {{min: 1}}
gateway: {{port: {PORT}}}
sites:
  aws-east:   {{cloud: aws, region: us-east-1}}
  azure-east: {{cloud: azure, region: eastus}}
"""
# Long enough for requests to stand in line before the few slots.
PROFILE = json.dumps({"first_token_seconds": 0.2, "tokens_per_second": 20})

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]


@dataclass
class Watched:
    place: Place
    user: str
    config: Path

    def query(self, expr: str) -> list[dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", PROMETHEUS, timeout=10)
        try:
            connection.request("GET", "/api/v1/query?query=" + urllib.parse.quote(expr))
            answer = json.load(connection.getresponse())
        except (OSError, ValueError):
            return []
        finally:
            connection.close()
        assert answer["status"] == "success", (expr, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    with contextlib.contextmanager(open_spec)(tmp_path_factory.mktemp("scraped"), SPEC) as place:
        place.always["ARRIERO_ENGINE_PROFILE"] = PROFILE
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
        user = place.arriero("keys", "add", "app", "--tokens-a-minute", "100000", "--json").json["key"]
        viewer = place.arriero("keys", "add", "graphs", "--role", "viewer", "--json").json["key"]
        assert place.arriero("export", "prometheus", "--out", "prom").code == 0
        folder = place.folder / "prom"
        (folder / "viewer.key").write_text(viewer)
        config = folder / "prometheus.yml"
        config.write_text(with_key(config.read_text()).replace('"15s"', '"1s"'))
        words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
        said = (folder / "said.txt").open("wb")
        process = subprocess.Popen([program, *words, f"--web.listen-address=127.0.0.1:{PROMETHEUS}"], stderr=said)
        load = Load(user)
        try:
            yield Watched(place, user, config)
        finally:
            load.end()
            process.terminate()
            process.wait(timeout=20)


def with_key(config: str) -> str:
    """As the comment at its end says."""
    assert "authorization: {type: Bearer, credentials_file: viewer.key}" in config
    settings = YAML(typ="safe").load(config)
    gateway, sidecars = settings["scrape_configs"]
    for place in (gateway, *sidecars["http_sd_configs"]):
        place["authorization"] = {"type": "Bearer", "credentials_file": "viewer.key"}
    return json.dumps(settings, indent=2)


MODELS = {0: "nowhere", 1: "mistral"}


class Load:
    """Twelve who ask all the time: one for a model that is nowhere, one for another that leaves memory at once."""

    def __init__(self, key: str) -> None:
        self._key, self._over = key, threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(number,)) for number in range(12)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self, number: int) -> None:
        asked = 0
        while not self._over.wait(0.05):
            asked += 1
            body: dict[str, Any] = {"model": MODELS.get(number, "llama2"), "prompt": f"Tell story {number} {asked}"}
            body |= {"options": {"num_predict": 10}}
            if number == 1:
                body["keep_alive"] = 0  # Its next request finds it out of memory.
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("POST", "/api/generate", json.dumps(body), {"x-api-key": self._key})
                connection.getresponse().read()
            connection.close()


def asked(expr: str) -> str:
    expr = expr.replace("$__rate_interval", "30s")
    for variable in VARIABLES:
        expr = expr.replace(f"${variable.name}", ".*")
    return expr


def test_the_settings_with_a_key_are_valid(watched: Watched) -> None:
    said = subprocess.run(["promtool", "check", "config", watched.config], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_sidecar_is_found_and_scraped(watched: Watched) -> None:
    targets = {t["id"] for site in watched.place.arriero("status", "--json").json["sites"] for t in site["targets"]}
    assert len(targets) == 2
    up = 'up{job="arriero-sidecars"} == 1'
    assert wait_for(lambda: {one["metric"]["target"] for one in watched.query(up)} == targets, 30)
    for series in watched.query("arriero_sidecar_slots"):
        labels = series["metric"]
        assert labels["site"] in ("aws-east", "azure-east")
        assert (labels["service"], labels["release"]) == ("llm", "1")


def test_the_first_release_is_a_mark(watched: Watched) -> None:
    marks: list[dict[str, Any]] = []

    def seen() -> bool:
        marks[:] = watched.query(asked(RELEASES))
        return len(marks) == 2

    assert wait_for(seen, 30)
    assert {(mark["metric"]["site"], mark["metric"]["release"]) for mark in marks} == {
        ("aws-east", "1"),
        ("azure-east", "1"),
    }


def test_every_question_of_the_board_gets_an_answer(watched: Watched) -> None:
    left = set(expressions()) - {RELEASES}
    end = time.monotonic() + 90
    while left and time.monotonic() < end:
        left = {expr for expr in left if not answers(watched, expr)}
        time.sleep(0.5)
    assert not left


def answers(watched: Watched, expr: str) -> bool:
    return any(one["value"][1] != "NaN" for one in watched.query(asked(expr)))


def test_tokens_are_not_counted_twice(watched: Watched) -> None:
    own, all_told = 'sum(ollama_eval_total{target=""})', 'sum(ollama_eval_total{target!=""})'
    [gateway], [sidecars] = watched.query(own), watched.query(all_told)
    assert float(gateway["value"][1]) == pytest.approx(float(sidecars["value"][1]), rel=0.5)


def test_a_key_near_its_limit_is_seen(watched: Watched) -> None:
    [app] = watched.query('arriero_key_limit_used_ratio{key="app"}')
    assert app["metric"]["limit"] == "tokens_a_minute"
    assert 0 < float(app["value"][1]) < 1


def test_a_target_that_leaves_is_scraped_no_more(watched: Watched) -> None:
    spec = watched.place.folder / "arriero.yaml"
    spec.write_text(spec.read_text().replace("  azure-east: {cloud: azure, region: eastus}\n", ""))
    down = watched.place.arriero("up", "--yes")
    assert down.code == 0, down.err
    assert wait_for(
        lambda: {one["metric"]["site"] for one in watched.query('up{job="arriero-sidecars"}')} == {"aws-east"}, 60
    )
