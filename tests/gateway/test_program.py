"""The gateway as a process: starts at once, drains on SIGTERM, says what is wrong with its settings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from running_gateway import TOKEN, free_port

from arriero.control import keys as keys_file
from arriero.control.client import Gateway, GatewayError
from arriero.control.keys import Key, make_lock
from arriero.control.settings import GatewaySettings
from arriero.gateway.config import ConfigError, load, read_token
from arriero.secret import Secret


def settings(folder: Path, **values: Any) -> Path:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    GatewaySettings("llm", *addresses, str(token)).write(folder / "gateway.json")
    data = {**json.loads((folder / "gateway.json").read_text()), **values}
    (folder / "gateway.json").write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return folder / "gateway.json"


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "arriero.gateway", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_serves_until_sigterm_and_ends_with_0(tmp_path: Path) -> None:
    path = settings(tmp_path)
    client = Gateway(f"http://{load(path).control}", Secret(TOKEN))
    process = start(path)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert client.status().targets == ()
            break
        except GatewayError:
            assert time.monotonic() < deadline
            assert process.poll() is None
    assert process.stdout
    first = process.stdout.readline()  # the control port answers a moment before the start is told
    process.send_signal(signal.SIGTERM)
    rest, err = process.communicate(timeout=10)
    out = first + rest
    assert (process.returncode, err) == (0, "")
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert [event for event in events if event.startswith("gateway")] == [
        "gateway.started", "gateway.draining", "gateway.ended",
    ]  # fmt: skip
    assert TOKEN not in out


def test_a_port_that_is_taken_is_said_without_a_traceback(tmp_path: Path) -> None:
    path = settings(tmp_path)
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "control": data["listen"]}))
    process = start(path)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "cannot listen on" in err
    assert "Traceback" not in err


BAD = json.loads((Path(__file__).parent.parent / "cases/gateway_settings/bad.json").read_text())


@pytest.mark.parametrize("case", BAD, ids=lambda case: str(case["settings"]))
def test_bad_settings_are_refused_in_exact_words(tmp_path: Path, case: dict[str, Any]) -> None:
    path = settings(tmp_path, **case["settings"])
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: {case['message']}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"{",
            "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); correct it there",
        ),
        (b"[]", "not a JSON object; write it with `arriero export gateway`"),
        (b"\xff", "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
    ],
)
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "gateway.json"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert message in str(caught.value)
    with pytest.raises(ConfigError, match="cannot read it: No such file"):
        load(tmp_path / "none.json")


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read this token"):
        read_token(token)
    token.chmod(0o600)
    assert read_token(token) == Secret(TOKEN)
    token.write_text("short")
    with pytest.raises(ConfigError, match="shorter than 16"):
        read_token(token)
    with pytest.raises(ConfigError, match="cannot read the token"):
        read_token(tmp_path / "none")


def test_what_deploying_writes_can_be_read(tmp_path: Path) -> None:
    written = GatewaySettings("llm", "127.0.0.1:1", "127.0.0.1:2", "token", keys_file=str(tmp_path / "keys.json"))
    written.write(tmp_path / "gateway.json")
    assert load(tmp_path / "gateway.json") == written


def test_sighup_reads_the_keys_at_once_and_no_output_shows_one(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    text, lock = make_lock()
    process = start(settings(tmp_path, keys_file=str(file)))
    assert process.stdout
    process.stdout.readline()
    keys_file.write(file, [Key("app", (lock,), datetime(2026, 1, 1, tzinfo=UTC))])
    process.send_signal(signal.SIGHUP)
    told = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert told["event"] == "keys.renewed"
    assert (process.returncode, err) == (0, "")
    assert text.reveal() not in out


def test_bad_keys_stop_the_start_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys_file.write(file, [])
    file.chmod(0o644)
    process = start(settings(tmp_path, keys_file=str(file)))
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (1, f"{file}: others may read these keys; chmod 600 {file}\n")
