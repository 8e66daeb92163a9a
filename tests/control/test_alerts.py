"""What Azure Monitor may tell the controller, and the exact answer to everybody else."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from arriero.control.alert_listener import CONNECTIONS_MOST, AlertListener
from arriero.control.alerts import Alert, Refusal, read

KEY = "a-key-that-nobody-guesses"
FIRED = {
    "schemaId": "azureMonitorCommonAlertSchema",
    "data": {"essentials": {"alertRule": "g-1-cpu-high", "monitorCondition": "Fired", "firedDateTime": "2026-11-29"}},
}


class Listening:
    """A listener and what it took and refused."""

    def __init__(self) -> None:
        self.taken: list[Alert] = []
        self.refused: list[Refusal] = []
        self.listener = AlertListener("127.0.0.1", 0, KEY, self.taken.append, self.refused.append)

    def ask(
        self, body: bytes, target: str = f"/alerts?key={KEY}", method: str = "POST", **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.listener.port, timeout=5)
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text).get("error", "") if text else ""


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    made.listener.start()
    yield made
    made.listener.stop()


def changed(**essentials: Any) -> bytes:
    whole = {**FIRED["data"]["essentials"], **essentials}  # type: ignore[index]
    return json.dumps({**FIRED, "data": {"essentials": whole}}).encode()


def test_an_alert_with_the_key_is_taken_and_answered_at_once(listening: Listening) -> None:
    started = time.monotonic()
    assert listening.ask(json.dumps(FIRED).encode())[0] == 202
    assert listening.ask(changed(monitorCondition="Resolved"), "/alerts", Authorization=f"Bearer {KEY}")[0] == 202
    assert time.monotonic() - started < 3
    assert listening.taken == [Alert("g-1-cpu-high", True, "2026-11-29"), Alert("g-1-cpu-high", False, "2026-11-29")]
    assert listening.refused == []


NO_RULE, NO_ESSENTIALS = "data.essentials.alertRule is missing", "data.essentials is missing"
SCHEMA = (
    "the body is not of the schema azureMonitorCommonAlertSchema; switch the common alert schema on for the webhook"
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[]", SCHEMA),
        (b'{"schemaId": "AzureMonitorMetricAlert", "data": {}}', SCHEMA),
        (b'{"schemaId": "azureMonitorCommonAlertSchema"}', NO_ESSENTIALS),
        (b'{"schemaId": "azureMonitorCommonAlertSchema", "data": []}', NO_ESSENTIALS),
        (changed(alertRule=""), NO_RULE),
        (changed(alertRule=7), NO_RULE),
        (changed(monitorCondition="Maybe"), "data.essentials.monitorCondition is 'Maybe', neither Fired nor Resolved"),
        (changed(monitorCondition=None), "data.essentials.monitorCondition is None, neither Fired nor Resolved"),
    ],
)
def test_what_is_no_alert_is_refused_with_the_reason(listening: Listening, body: bytes, why: str) -> None:
    assert listening.ask(body) == (400, why)
    assert listening.refused == [Refusal(400, why)]
    assert listening.taken == []


@pytest.mark.parametrize(
    ("target", "method", "headers", "status", "why"),
    [
        ("/alerts", "POST", {}, 401, "the key is missing or wrong"),
        ("/alerts?key=", "POST", {}, 401, "the key is missing or wrong"),
        ("/alerts?key=wrong", "POST", {}, 401, "the key is missing or wrong"),
        ("/alerts?key=%C3%A4", "POST", {}, 401, "the key is missing or wrong"),
        ("/alerts", "GET", {}, 401, "the key is missing or wrong"),
        (f"/alerts?key={KEY}", "GET", {}, 405, "an alert is told with POST"),
        (f"/?key={KEY}", "POST", {}, 404, "there is only /alerts here"),
        (f"/alerts?key={KEY}", "POST", {"Content-Length": "70000"}, 413, "an alert has at most 65536 bytes"),
        (f"/alerts?key={KEY}", "POST", {"Content-Length": "-1"}, 411, "the body has no Content-Length"),
    ],
)
def test_who_may_not_is_refused_before_anything_is_read(
    listening: Listening, target: str, method: str, headers: dict[str, str], status: int, why: str
) -> None:
    assert listening.ask(b"", target, method, **headers) == (status, why)
    assert listening.taken == []


def test_who_says_nothing_keeps_nobody_else_out_and_too_many_are_closed_unread(listening: Listening) -> None:
    silent = [socket.create_connection(("127.0.0.1", listening.listener.port)) for _ in range(CONNECTIONS_MOST - 1)]
    assert listening.ask(json.dumps(FIRED).encode())[0] == 202
    silent += [socket.create_connection(("127.0.0.1", listening.listener.port)) for _ in range(2)]
    closed, *_ = select.select(silent, [], [], 5)
    assert closed
    assert set(closed) <= set(silent[-2:])  # the place of who asked may be free for one of the two, or not yet
    assert {each.recv(1) for each in closed} == {b""}
    for each in silent:
        each.close()


def test_read_gives_what_is_acted_on() -> None:
    assert read(json.dumps(FIRED).encode()) == Alert("g-1-cpu-high", True, "2026-11-29")
