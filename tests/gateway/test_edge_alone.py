"""`arriero gateway edge`: a gateway that has its settings and its keys from its environment, as a container has."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dns_server import names
from keyed import bearer, made
from running_gateway import Client, Reply, free_port, request, run
from scripted_server import ScriptedServer, json_response, says

from arriero.control import keys as keys_file
from arriero.errors import ArrieroError
from arriero.gateway.edge import main

ASK = {"model": "llama2", "prompt": "x", "stream": False}
NAME = "targets.llm.internal"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "environment: ARRIERO_SETTINGS: is not there; write what is in a gateway's settings file"),
        (
            "{",
            "environment: ARRIERO_SETTINGS: not JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1); write what is in a gateway's settings file",
        ),
        ("[]", "environment: ARRIERO_SETTINGS: not a JSON object; write {…}"),
    ],
)
def test_bad_settings_are_refused_in_exact_words(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArrieroError) as caught:
        main.write(tmp_path, {"ARRIERO_SETTINGS": text})
    assert str(caught.value) == message


def test_its_files_are_its_own_and_the_variables_are_gone(tmp_path: Path) -> None:
    environment = {"ARRIERO_SETTINGS": '{"service": "llm"}', "ARRIERO_KEYS": "{}", "PATH": "/bin"}
    main.write(tmp_path, environment)
    assert environment == {"PATH": "/bin"}
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "gateway.json": 0o600,
        "keys.json": 0o600,
        "token": 0o600,
    }
    assert json.loads((tmp_path / "gateway.json").read_text()) == {
        "service": "llm",
        "control": "127.0.0.1:11436",
        "admin_token_file": "token",
        "keys_file": "keys.json",
    }
    assert len((tmp_path / "token").read_text()) == 43


def started(folder: Path, settings: dict[str, Any], keys: str = "") -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "ARRIERO_SETTINGS": json.dumps(settings)}
    environment |= {"ARRIERO_KEYS": keys} if keys else {}
    out = (folder / "out").open("wb")
    return subprocess.Popen(
        [sys.executable, "-m", "arriero.gateway", "edge"], env=environment, stdout=out, stderr=subprocess.STDOUT
    )


def test_without_keys_it_listens_on_loopback_only_and_says_so(tmp_path: Path) -> None:
    settings = {"service": "llm", "listen": "0.0.0.0:11434", "targets_dns": f"{NAME}:1"}
    process = started(tmp_path, settings)
    assert process.wait(20) == 1
    said = (tmp_path / "out").read_text()
    assert "listen: 0.0.0.0:11434 can be reached from other machines, and there are no keys" in said
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_it_serves_who_has_a_key_from_targets_that_it_finds_and_leaves_nothing(tmp_path: Path) -> None:
    text, key = made()
    keys_file.write(tmp_path / "made.json", [key])
    keys = (tmp_path / "made.json").read_text()
    (tmp_path / "made.json").unlink()

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))}).start()
        host, _, port = server.address.rpartition(":")
        listen = f"127.0.0.1:{free_port()}"
        async with names(**{NAME: [host]}) as dns:
            settings = {
                "service": "llm",
                "listen": listen,
                "control": f"127.0.0.1:{free_port()}",
                "targets_dns": f"{NAME}:{port}",
                "targets_resolver": dns.address,
            }
            process = started(tmp_path, settings, keys)
            try:
                await until_ready(listen)
                assert (await asked(listen, "POST", "/api/generate", ASK)).status == 401
                assert (await asked(listen, "POST", "/api/generate", ASK, bearer(text))).status == 200
            finally:
                process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
        await server.stop()

    run(story())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    said = (tmp_path / "out").read_text()
    assert text not in said
    assert key.locks[0].digest.hex() not in said


async def asked(listen: str, method: str, path: str, body: object = None, headers: str = "") -> Reply:
    host, _, port = listen.rpartition(":")
    client = Client(*await asyncio.open_connection(host, int(port)))
    try:
        await client.send(request(method, path, body, headers))
        return await client.reply(method)
    finally:
        await client.aclose()


async def until_ready(listen: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if (await asked(listen, "GET", "/readyz")).status == 200:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.02)
