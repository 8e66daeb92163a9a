"""A server that is asked while it serves others."""

from __future__ import annotations

import pytest
from little_ollama import Behaviour, serving

from arriero.observe.validation.server import NoAnswer, Server


def test_one_with_all_slots_in_use_is_asked_again_when_it_says() -> None:
    waited: list[float] = []
    with serving(Behaviour(answer="Hello", refused=3)) as address:
        answer = Server(f"http://{address}", 5, wait=waited.append).chat("llama2", "Say hello", {}, None)
    assert answer.text == "Hello"
    assert waited == [1.0, 1.0, 1.0]


def test_one_that_stays_busy_is_told_with_what_it_said() -> None:
    waited: list[float] = []
    with serving(Behaviour(refused=9)) as address, pytest.raises(NoAnswer, match="503: all 4 slots are in use"):
        Server(f"http://{address}", 5, wait=waited.append).load("llama2")
    assert sum(waited) == 5


@pytest.mark.parametrize("said", ["", "Wed, 21 Oct 2026 07:28:00 GMT", "-1"])
def test_an_error_without_a_time_to_come_back_is_final(said: str) -> None:
    waited: list[float] = []
    with serving(Behaviour(refused=1, retry_after=said)) as address, pytest.raises(NoAnswer, match="503"):
        Server(f"http://{address}", 5, wait=waited.append).load("llama2")
    assert waited == []
