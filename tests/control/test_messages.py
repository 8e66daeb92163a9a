"""What is said between the halves survives its way as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import (
    Drain,
    GatewayStatus,
    Question,
    Reason,
    Routing,
    TargetEntry,
    Targets,
    TargetStatus,
    Weights,
)
from arriero.control.settings import GatewaySettings, Limits
from arriero.gateway.config import load
from arriero.secret import Secret

MESSAGES = [
    Targets((TargetEntry("a", "east", "h:1", "standby", 3, 0, 2), TargetEntry("b", "west", "h:2"))),
    Targets(()),
    Targets((), ("llama2:latest",)),
    Weights({"a": 0, "b": 100}),
    Drain(("a", "b")),
    Question("llama2", "Why?"),
    Routing("llama2:latest", "a", "a: it is warm", (Reason("a", "east", "the model in memory", 0.25, 0.0, True),)),
    GatewayStatus("llm", True, 2, (TargetStatus("a", "east", "h:1", "up", "active", None, 100, 2, ("m:1",), ()),)),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_comes_back_as_it_was(
    message: Targets | Weights | Drain | Question | Routing | GatewayStatus,
) -> None:
    data = json.loads(json.dumps(message.as_json()))
    assert data["schema"] == 1
    assert type(message).from_json(data) == message


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    settings = GatewaySettings(
        "llm",
        "127.0.0.1:1",
        "[::1]:2",
        "/t",
        "/targets",
        "",
        ("https://a.example",),
        Limits(attempts=1, idle_seconds=5.0),
    )
    settings.write(tmp_path / "gateway.json")
    assert load(tmp_path / "gateway.json") == settings


def test_a_gateway_that_is_not_there_is_an_error_with_its_address_and_no_secret() -> None:
    with pytest.raises(GatewayError) as caught:
        Gateway("http://127.0.0.1:1", Secret("very-secret")).status()
    assert str(caught.value).startswith("127.0.0.1:1: the gateway did not answer: ")
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["127.0.0.1:1", "https://127.0.0.1:1", "http://127.0.0.1", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(GatewayError, match="is not a control address"):
        Gateway(url, Secret("x"))
