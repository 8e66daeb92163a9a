"""`arriero ui` says what is wrong before it serves anything."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from arriero.cli.main import run

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
sites: {office: {cloud: local, hosts: [127.0.0.1]}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "arriero.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--address", "0.0.0.0"),
            "--address: 0.0.0.0 can be reached from other machines, and there are no API keys; "
            "make one with: arriero keys add NAME --role viewer",
        ),
        (
            ("--prefix", "fleet"),
            "--prefix: 'fleet' is not a path of letters, digits and dashes; write it like /arriero",
        ),
        (
            ("--prefix", "/a/../b"),
            "--prefix: '/a/../b' is not a path of letters, digits and dashes; write it like /arriero",
        ),
        (
            ("--trusted-proxy", "nginx"),
            "--trusted-proxy: 'nginx' does not appear to be an IPv4 or IPv6 network; "
            "write it like 127.0.0.1, or 10.0.0.0/8",
        ),
        (
            ("--trusted-proxy", "10.0.0.1/8"),
            "--trusted-proxy: 10.0.0.1/8 has host bits set; write it like 127.0.0.1, or 10.0.0.0/8",
        ),
        (("--prefix", '/"><script>'), "is not a path of letters, digits and dashes"),
    ],
)
def test_what_can_not_be_is_refused(
    spec: str, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ui", "--file", spec, *words]) == 1
    assert said in capsys.readouterr().err


def test_a_taken_port_is_told(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["ui", "--file", spec, "--port", port]) == 1
    told = f"--port: 127.0.0.1:{port} can't be listened at: Address already in use; choose another"
    assert told in capsys.readouterr().err


def test_broken_keys_are_told_as_they_are_elsewhere(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    keys = Path(spec).parent / ".arriero" / "gateway" / "keys.json"
    keys.parent.mkdir(parents=True)
    keys.write_text("{")
    keys.chmod(0o600)
    assert run(["ui", "--file", spec, "--address", "0.0.0.0"]) == 1
    assert "keys.json:1: not JSON" in capsys.readouterr().err
