"""What is exported is the same each time, is checked against what is there, and works where it was taken."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arriero.cli import main
from arriero.errors import Refused
from arriero.gateway import config
from arriero.pipeline import export

SPEC = """\
name: llm
image: acme/ollama
models: [llama2]
gateway: {port: %d}
secrets: {hf_token: "${HF_TOKEN}"}
sites: {a: {cloud: aws, region: us-east-1}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a spec whose secret is not set: an export needs none."""
    (tmp_path / "arriero.yaml").write_text(SPEC % port_before_a_free_one())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_second_export_finds_everything_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["export", "gateway", "--out", "here"]) == 0
    assert capsys.readouterr().out.startswith("here/gateway.json: written\n")
    assert main.run(["export", "gateway", "--out", "here"]) == 0
    assert capsys.readouterr().out.startswith("here/gateway.json: same\n")


@pytest.mark.parametrize(("change", "state", "code"), [(None, "missing", 2), ("{}", "differs", 2), ("", "same", 0)])
def test_a_check_writes_nothing_and_tells_what_differs(
    folder: Path, capsys: pytest.CaptureFixture[str], change: str | None, state: str, code: int
) -> None:
    if change is not None:
        main.run(["export", "gateway", "--out", "here"])
    if change:
        (folder / "here/gateway.json").write_text(change)
    capsys.readouterr()
    assert main.run(["export", "gateway", "--out", "here", "--check", "--json"]) == code
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == [{"name": "gateway.json", "state": state}]
    assert (folder / "here").exists() == (change is not None)


def test_files_that_the_spec_names_are_found_from_the_folder_written_into(folder: Path) -> None:
    spec = folder / "arriero.yaml"
    tls = "tls: {certificate: certs/tls.crt, key: /etc/llm/tls.key}"
    spec.write_text(spec.read_text().replace("gateway: {", f"gateway: {{keys: keys.json, {tls}, workers: 2, "))
    assert main.run(["export", "gateway", "--out", "deep/here"]) == 0
    written = json.loads((folder / "deep/here/gateway.json").read_text())
    assert (written["keys_file"], written["workers"]) == ("../../keys.json", 2)
    assert (written["tls_certificate"], written["tls_key"]) == ("../../certs/tls.crt", "/etc/llm/tls.key")
    assert (folder / "deep/here" / written["keys_file"]).resolve() == folder / "keys.json"


def test_what_there_is_no_kind_of_is_refused() -> None:
    with pytest.raises(Refused, match="there is no kind 'gatewy'; did you mean gateway"):
        export.kind_of("gatewy")


def test_a_folder_that_can_not_be_made_is_a_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["export", "gateway", "--out", "arriero.yaml/here"]) == 1
    assert "arriero.yaml/here/gateway.json: can't be read: Not a directory; name another" in capsys.readouterr().err


def test_a_gateway_runs_from_what_was_exported(folder: Path) -> None:
    main.run(["export", "gateway", "--out", "here"])
    token = folder / "here/gateway.token"
    token.touch(mode=0o600)
    token.write_text("a token that nobody knows\n")
    settings = config.load(folder / "here/gateway.json")
    command = [sys.executable, "-m", "arriero", "gateway", "run", "--config", "here/gateway.json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            assert answers(settings.listen) == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def port_before_a_free_one() -> int:
    """Orders go to the port after the clients' one, so both have to be free."""
    while True:
        with socket.socket() as probe, socket.socket() as after:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            try:
                after.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def answers(address: str) -> int:
    """The status of GET / once somebody listens there; 0 if nobody does within ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    return 0


def test_what_is_made_of_the_spec_alone_waits_for_no_clouds_sdk() -> None:
    code = "import sys, arriero.cli.exporting; print({name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'arriero'" in told
    assert "'botocore'" not in told
    assert "'azure'" not in told
