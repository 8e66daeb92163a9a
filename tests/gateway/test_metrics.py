"""Figures: what is counted, how it is written, and that no client can make the label sets grow."""

from __future__ import annotations

import mmap
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parsed
from running_gateway import entry, gateway, run
from scripted_server import ScriptedServer, chunk, json_response, says, stream_head

from arriero.gateway.telling import exposition, families
from arriero.gateway.telling.figures import BLOCK_BYTES, Figures, add_up
from arriero.gateway.telling.metrics import VALUES_LIMIT, Metrics
from arriero.gateway.telling.record import Record

LAST = b'{"done":true,"done_reason":"stop","load_duration":300000000,"prompt_eval_count":7,"eval_count":3}\n'


def record(**values: object) -> Record:
    made = Record("1", "POST", "/api/chat")
    for name, value in values.items():
        setattr(made, name, value)
    return made


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in parsed(text.decode()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(text: bytes, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


def test_a_streamed_answer_is_counted_in_tokens_and_times() -> None:
    metrics = Metrics()
    metrics.count(
        record(model="m:latest", status=200, attempts=2, migrations=1, key="team", queue_seconds=0.2, load_seconds=0.3,
               tokens_in=7, tokens_out=11, first_byte_seconds=1.0, seconds=3.0, is_stream=True, site="east",
               found="cold")
    )  # fmt: skip
    text = exposition.text(metrics.figures, ())
    model = {"model": "m:latest"}
    assert value(text, "ollama_eval_total", **model) == 11
    assert value(text, "ollama_prompt_eval_total", **model) == 7
    assert value(text, "arriero_time_between_tokens_seconds_sum", **model) == pytest.approx(0.2)
    assert value(text, "arriero_tokens_per_second_sum", **model) == pytest.approx(5)
    assert value(text, "arriero_time_to_first_token_seconds_sum", **model) == 1
    assert value(text, "arriero_site_time_to_first_token_seconds_sum", site="east") == 1
    assert value(text, "arriero_model_found_total", found="cold", **model) == 1
    assert value(text, "arriero_model_found_total", found="warm", **model) == 0
    assert value(text, "arriero_queue_seconds_sum", **model) == pytest.approx(0.2)
    assert value(text, "ollama_load_duration_seconds_bucket", le="0.5", **model) == 1
    assert value(text, "ollama_load_duration_seconds_bucket", le="0.25", **model) == 0
    assert value(text, "arriero_retries_total") == 1
    assert value(text, "arriero_migrations_total") == 1
    assert value(text, "arriero_key_tokens_total", key="team", direction="out") == 11


def test_an_answer_in_one_piece_tells_no_time_between_tokens() -> None:
    metrics = Metrics()
    metrics.count(record(model="m:latest", status=200, tokens_out=11, first_byte_seconds=1.0, seconds=1.001))
    text = exposition.text(metrics.figures, ())
    assert value(text, "ollama_eval_total", model="m:latest") == 11
    assert value(text, "arriero_time_between_tokens_seconds_count", model="m:latest") == 0
    assert value(text, "arriero_time_to_first_token_seconds_count", model="m:latest") == 0


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [
        (429, "refused", "limited"),
        (503, "failed", "unavailable"),
        (504, "failed", "late"),
        (200, "cut", "cut in mid-stream"),
        (200, "gone", "client gone"),
        (500, "failed", "target failed"),
        (422, "refused", "refused by target"),
    ],
)
def test_errors_are_counted_by_kind(status: int, outcome: str, kind: str) -> None:
    metrics = Metrics()
    metrics.count(record(status=status, outcome=outcome))
    assert value(exposition.text(metrics.figures, ()), "arriero_errors_total", kind=kind) == 1


def test_models_that_no_target_has_are_one_value() -> None:
    metrics = Metrics(knows=lambda model: model == "m:latest")
    for number in range(1000):
        metrics.count(record(model=f"made-up-{number}", status=404, outcome="refused"))
    metrics.count(record(model="m:latest", status=200))
    text = exposition.text(metrics.figures, ())
    assert value(text, "arriero_model_requests_total", model="other", outcome="refused") == 1000
    assert value(text, "arriero_model_requests_total", model="m:latest", outcome="answered") == 1
    assert text.count(b"arriero_model_requests_total{") == 2


def test_more_values_than_the_limit_are_one_value() -> None:
    metrics = Metrics()
    for number in range(VALUES_LIMIT + 50):
        metrics.count(record(model=f"model-{number}", key=f"key-{number}", status=200))
    text = exposition.text(metrics.figures, ())
    assert value(text, "arriero_model_requests_total", model="other", outcome="answered") == 50
    assert value(text, "arriero_key_requests_total", key="other") == 50


def test_the_keys_beyond_the_limit_are_told_by_the_fullest_of_them() -> None:
    fullness = [(f"key-{number}", "concurrency", number / 1000) for number in range(VALUES_LIMIT + 50)]
    known: set[str] = set()
    told = exposition.used(fullness, known)
    assert len(told) == VALUES_LIMIT + 1
    assert told["key-7", "concurrency"] == 0.007
    assert told["other", "concurrency"] == (VALUES_LIMIT + 49) / 1000
    # Keys that come and go take no more rows.
    assert exposition.used([("new", "concurrency", 0.5)], known) == {("other", "concurrency"): 0.5}


HOSTILE = st.text(alphabet=st.characters(codec=None), min_size=1, max_size=40)


@given(HOSTILE)
def test_any_name_is_written_so_that_prometheus_reads_it_back(name: str) -> None:
    metrics = Metrics()
    metrics.count(record(model=name, status=200))
    rows = samples(exposition.text(metrics.figures, ()))
    written = {dict(labels)["model"] for (sample, labels) in rows if sample == "arriero_model_requests_total"}
    assert written == {name.encode("utf-8", "replace").decode().replace("\0", "")}


def test_a_full_block_loses_counts_but_no_request() -> None:
    metrics = Metrics()
    for number in range(40_000):
        metrics.row(families.TARGETS, "x" * 80, str(number))
    metrics.count(record(status=599))
    assert value(exposition.text(metrics.figures, ()), "arriero_requests_total", status="599") is None


def test_another_reader_sees_the_same_numbers_and_a_successor_counts_on() -> None:
    memory = mmap.mmap(-1, BLOCK_BYTES)
    first, reader = Metrics(Figures(memory)), Figures(memory)
    first.count(record(status=200, seconds=2.0))
    successor = Metrics(Figures(memory))
    successor.count(record(status=200, seconds=2.0))
    labels = {"path": "/api/chat", "status": "200", "outcome": "answered"}
    assert value(exposition.text(reader, ()), "arriero_requests_total", **labels) == 2
    beside = Metrics()
    beside.count(record(status=200, seconds=2.0))
    together = exposition.text(reader, (beside.figures,))
    assert value(together, "arriero_requests_total", **labels) == 3
    assert value(together, "arriero_request_seconds_sum", path="/api/chat") == 6


@given(st.lists(st.tuples(st.text(max_size=30), st.integers(1, 20)), max_size=20))
def test_rows_are_found_again_under_any_name(rows: list[tuple[str, int]]) -> None:
    widths = {name.rstrip("\0"): width for name, width in rows}
    figures = Figures()
    for number, (name, width) in enumerate(widths.items()):
        start = figures.row(name, width)
        assert start is not None
        figures.numbers[start + width - 1] = number + 1
    read = dict(figures.rows())
    assert {name: len(numbers) for name, numbers in read.items()} == widths
    assert [numbers[-1] for numbers in read.values()] == [number + 1 for number in range(len(widths))]
    assert add_up([figures, figures]) == {name: [2 * n for n in numbers] for name, numbers in read.items()}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a gateway tells after an answer, a refusal and a model with a hostile name."""
    texts: list[bytes] = []

    async def story() -> None:
        stream = stream_head() + chunk(b'{"response":"a"}\n') + chunk(b'{"response":"b"}\n')
        hostile = 'm"} 1\n# evil\\'
        server = await ScriptedServer((hostile, "llama2:latest"), (hostile,)).start()
        server.plays["/api/chat"] = says(stream + chunk(LAST) + chunk(b""))
        server.plays["/api/generate"] = says(json_response({"error": "no"}, "400 Bad Request"))
        async with gateway(tmp_path_factory.mktemp("metrics"), entry(server, "a")) as running:
            await running.ask("POST", "/api/chat", {"model": "llama2"})
            await running.ask("POST", "/api/generate", {"model": hostile})
            await running.ask("POST", "/api/chat", {"model": "none"})
            texts.append((await running.ask("GET", "/metrics")).body)
        await server.stop()

    run(story())
    return texts[0]


def test_a_running_gateway_tells_everything_in_a_form_that_parses(scraped: bytes) -> None:
    assert value(scraped, "arriero_targets", site="site-a", state="up") == 1
    assert value(scraped, "arriero_workers") == 1
    assert value(scraped, "ollama_eval_total", model="llama2:latest") == 3
    assert value(scraped, "arriero_time_to_first_token_seconds_count", model="llama2:latest") == 1
    assert value(scraped, "arriero_errors_total", kind="not found") == 1
    hostile = {"model": 'm"} 1\n# evil\\:latest'}
    assert value(scraped, "arriero_model_requests_total", outcome="refused", **hostile) == 1


@pytest.mark.wide
def test_promtool_finds_nothing_to_say(scraped: bytes) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    checked = subprocess.run([program, "check", "metrics"], input=scraped, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.wide
def test_a_real_prometheus_scrapes_a_gateway(tmp_path: Path) -> None:
    from prometheus_server import ask_prometheus, prometheus

    async def story() -> None:
        server = await ScriptedServer().start()
        server.plays["/api/chat"] = says(stream_head() + chunk(LAST) + chunk(b""))
        async with gateway(tmp_path, entry(server, "a")) as running:
            await running.ask("POST", "/api/chat", {"model": "llama2"})
            async with prometheus(tmp_path, running.settings.listen) as address:
                assert await ask_prometheus(address, 'up{job="gateway"}') == 1
                assert await ask_prometheus(address, 'arriero_targets{state="up"}') == 1
                assert await ask_prometheus(address, "ollama_eval_total") == 3
        await server.stop()

    run(story())
