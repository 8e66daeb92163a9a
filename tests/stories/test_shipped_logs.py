"""Log lines are sent away as they come: one request's of gateway, sidecar and Ollama, by Loki's push API and by OTLP.

The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from burst import ask, controller_events, figure
from places import Onlooker, Place, open_spec, wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "observe"))
from log_receiver import Fault, Got, Receiver, receiving

PORT = 25834
GATEWAY = f"http://127.0.0.1:{PORT}"
KEY = "glc_a-key-that-nobody-may-see"
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1}}
gateway: {{port: {PORT}}}
logs: {{ship: {{to: loki, url: "URL", headers_file: loki.headers}}}}
sites:
  aws-east:   {{cloud: aws, region: us-east-1}}
"""

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("shipped"), SPEC.replace("URL", receiver.url))


def of(receiver: Receiver, request: str) -> list[Got]:
    return [got for got in receiver.got if request in got.beside.values()]


def test_without_the_file_of_headers_nothing_is_deployed(place: Place) -> None:
    refused = place.arriero("up", "--yes")
    assert refused.code == 1
    assert "arriero.yaml:7: logs.ship.headers_file: there is no file loki.headers; put it at " in refused.err


def test_a_requests_lines_of_gateway_sidecar_and_ollama_arrive_under_one_id(place: Place, receiver: Receiver) -> None:
    (place.folder / "loki.headers").touch(mode=0o600)
    (place.folder / "loki.headers").write_text(f"Authorization: Bearer {KEY}\n")
    with Onlooker() as onlooker:
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
        assert ask(PORT, "told-1")[0] == 200
        assert wait_for(lambda: len(of(receiver, "told-1")) >= 3, 60)
    time.sleep(5)  # The stores are read again meanwhile, and have the same lines.
    by_source = {got.labels["source"]: got for got in of(receiver, "told-1")}
    assert len(of(receiver, "told-1")) == 3
    assert set(by_source) == {"gateway", "sidecar", "ollama"}
    assert by_source["ollama"].text.startswith("[GIN] ")
    assert by_source["ollama"].labels["target"] == by_source["sidecar"].labels["target"] != "gateway"
    assert {got.labels["site"] for got in by_source.values()} == {"aws-east"}
    assert {got.labels["level"] for got in by_source.values()} == {"info"}
    assert all(set(got.labels) == {"service", "site", "target", "level", "source"} for got in receiver.got)
    assert "Tell told-1" not in str(receiver.got)
    assert {head["Authorization"] for head in receiver.heads} == {f"Bearer {KEY}"}
    assert onlooker.rounds > 3
    assert not [line for line in onlooker.seen if KEY.encode() in line]


def test_while_the_receiver_fails_every_request_is_answered_and_its_lines_come_later(
    place: Place, receiver: Receiver
) -> None:
    receiver.faults.extend([Fault(503), Fault(429, {"Retry-After": "2"}), Fault(is_cut=True)])
    assert [ask(PORT, f"meanwhile-{number}")[0] for number in range(10)] == [200] * 10
    assert wait_for(lambda: not receiver.faults, 60)
    assert wait_for(lambda: all(len(of(receiver, f"meanwhile-{number}")) == 3 for number in range(10)), 60)
    assert wait_for(lambda: figure(GATEWAY, "arriero_logs_failures_total") == 3, 30)
    assert figure(GATEWAY, "arriero_logs_lost_total") == 0
    assert figure(GATEWAY, "arriero_logs_shipped_total") >= 33
    kinds = [event["event"] for event in controller_events(place) if event["event"].startswith("logs.")]
    assert kinds[0] == "logs.unshipped"
    assert kinds[-1] == "logs.shipped"


def test_from_the_next_up_on_the_lines_go_elsewhere_and_none_comes_twice(place: Place, receiver: Receiver) -> None:
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text().replace("to: loki", "to: otlp"))
    before = len(receiver.got)
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert wait_for(lambda: "/v1/logs" in receiver.paths, 60)
    assert ask(PORT, "told-2")[0] == 200
    assert wait_for(lambda: len(of(receiver, "told-2")) >= 3, 60)
    time.sleep(5)
    assert {got.labels["arriero.source"] for got in of(receiver, "told-2")} == {"gateway", "sidecar", "ollama"}
    assert len(of(receiver, "told-2")) == 3
    assert {got.beside.get("arriero.request") for got in receiver.got[before:]} & {"told-1", "meanwhile-9"} == set()
    assert not of(receiver, "told-2")[0].trace or len(of(receiver, "told-2")[0].trace) == 32


def test_the_key_is_in_no_file_of_ours(place: Place) -> None:
    assert place.files_with([KEY])[KEY] == set()
