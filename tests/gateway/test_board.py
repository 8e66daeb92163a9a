"""Every metric and label that the board asks for is told by a gateway and its sidecars after some requests."""

from __future__ import annotations

import asyncio
import re

import pytest
from keyed import bearer, made, written
from prometheus_client.parser import text_string_to_metric_families as parsed
from running_gateway import gateway, run
from running_sidecar import sidecar
from scripted_server import Heard, ScriptedServer, chunk, says, stream_head

from arriero.control.messages import TargetEntry
from arriero.pipeline.grafana.panels import ROWS, VARIABLES, expressions

LAST = b'{"done":true,"done_reason":"stop","load_duration":300000000,"prompt_eval_count":7,"eval_count":3}\n'
NAME = r"\b(?:arriero|ollama)_\w+"
# Prometheus itself adds these: from the scrape's settings, and from the gateway's list of sidecars.
FROM_SCRAPE, FROM_DISCOVERY = {"service"}, {"site", "target"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each sample's name."""
    found: dict[str, set[str]] = {}

    async def story() -> None:
        folder = tmp_path_factory.mktemp("board")
        text, key = made("app", tokens_a_minute=1000)
        server = await ScriptedServer().start()
        stream = stream_head() + chunk(b'{"response":"a"}\n') + chunk(b'{"response":"b"}\n')
        server.plays["/api/chat"] = says(stream + chunk(LAST) + chunk(b""))
        values = {"keys_file": written(folder, key), "metrics_sources": ("127.0.0.0/8",)}
        go = asyncio.Event()

        async def held(heard: Heard) -> None:
            await go.wait()
            await heard.send(stream + chunk(LAST) + chunk(b""))

        server.plays["/api/generate"] = held
        async with sidecar(server, slots=1) as beside:
            await beside.until_ready()
            target = TargetEntry("a-1", "a", beside.address, release=3, cost=0.25)
            async with gateway(folder, target, **values) as running:
                await running.ask("POST", "/api/chat", {"model": "llama2"}, bearer(text))
                await running.ask("POST", "/api/chat", {"model": "none"}, bearer(text))
                asked = [running.ask("POST", "/api/generate", {"model": "llama2"}, bearer(text)) for _ in range(2)]
                both = asyncio.gather(*asked)
                queue = running.context.queue
                await running.until(lambda: queue is not None and any(queue.admission.lines.values()))
                own, others = (await running.ask("GET", "/metrics")).body, (await beside.ask("GET", "/metrics")).body
                go.set()
                await both
        await server.stop()
        for exposition, added in ((own, FROM_SCRAPE), (others, FROM_SCRAPE | FROM_DISCOVERY)):
            for family in parsed(exposition.decode()):
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels, added)

    run(story())
    return found


def test_every_metric_of_the_board_is_told(told: dict[str, set[str]]) -> None:
    for expr in expressions():
        assert set(re.findall(NAME, expr)) <= told.keys(), expr


def test_every_label_of_the_board_is_told(told: dict[str, set[str]]) -> None:
    for expr in expressions():
        for name, within in re.findall(rf"({NAME}){{([^}}]*)}}", expr):
            assert set(re.findall(r"(\w+)[=!]", within)) <= told[name], expr
        labels = {label for name in re.findall(NAME, expr) for label in told[name]}
        kept = {label for part in re.findall(r" by \(([^)]*)\)", expr) for label in part.split(", ")}
        assert kept <= labels, expr


def test_every_choice_of_the_board_is_told(told: dict[str, set[str]]) -> None:
    for variable in VARIABLES:
        [(name, label)] = re.findall(rf"label_values\(({NAME}).*, (\w+)\)", variable.query)
        assert label in told[name]


def test_the_board_shows_what_somebody_looks_for_first() -> None:
    titles = " ".join(panel.title for _, panels in ROWS for panel in panels).lower()
    for word in ("first token", "running", "waiting", "tokens a second", "loads", "cost", "targets", "errors", "key"):
        assert word in titles
