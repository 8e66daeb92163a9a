"""The sidecar's settings: its environment, read as a whole or refused in exact words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from arriero.errors import ArrieroError
from arriero.gateway.sidecar.settings import SidecarSettings


def test_without_any_it_stands_before_the_ollama_of_this_machine() -> None:
    settings = SidecarSettings.of({})
    assert (settings.listen, settings.ollama, settings.slots) == ("127.0.0.1:11434", "127.0.0.1:11435", 1)
    assert settings.may_read_figures("::1")
    assert not settings.may_read_figures("10.0.0.1")
    assert not settings.may_read_figures("no address")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"ARRIERO_LISTEN": "11434", "ARRIERO_SLOTS": "0"},
            "environment: ARRIERO_LISTEN: '11434' is not an address with its port, like 127.0.0.1:11434; "
            "correct it, or unset it\n"
            "environment: ARRIERO_SLOTS: '0' is not a whole number above 0; correct it, or unset it",
        ),
        (
            {"ARRIERO_METRICS_SOURCES": "10.0.0.0/16, there"},
            "environment: ARRIERO_METRICS_SOURCES: '10.0.0.0/16, there' is not a list of ranges like 10.0.0.0/16; "
            "correct it, or unset it",
        ),
        (
            {"ARRIERO_DRAIN_SECONDS": "nan"},
            "environment: ARRIERO_DRAIN_SECONDS: 'nan' is not a number above 0; correct it, or unset it",
        ),
        (
            {"ECS_AGENT_URI": "https://agent"},
            "environment: ECS_AGENT_URI: 'https://agent' is not an address that begins with http://; "
            "correct it, or unset it",
        ),
        (
            {"ARRIERO_OLLAMA_ADDRESS": "127.0.0.1:11434"},
            "environment: ARRIERO_LISTEN: 127.0.0.1:11434 is where Ollama listens; give another port",
        ),
    ],
)
def test_bad_settings_are_refused_in_exact_words(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ArrieroError) as caught:
        SidecarSettings.of(variables)
    assert str(caught.value) == message


def test_as_a_program_it_says_what_is_wrong_without_a_traceback() -> None:
    command = [sys.executable, "-m", "arriero.gateway", "sidecar"]
    done = subprocess.run(command, env={"ARRIERO_SLOTS": "x"}, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("environment: ARRIERO_SLOTS: 'x' is not a whole number")
    assert "Traceback" not in done.stderr
