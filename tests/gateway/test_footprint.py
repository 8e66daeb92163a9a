"""Ollama writes down an address that the sidecar made of the request's id, so that its line is known to be of that."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ollama_servers import REAL, servers
from running_gateway import run
from running_sidecar import sidecar
from scripted_server import ScriptedServer, json_response, says

from arriero.control.footprint import footprint
from arriero.observe.logs.entry import entry_of
from arriero.observe.logs.requests import Requests
from arriero.observe.logs.sources import sidecar_entry
from arriero.plan.model import LogLine

ASK = {"model": "llama2", "prompt": "a secret"}
ID = "X-Request-Id: of-a-client\r\n"


def test_each_id_has_an_address_of_its_own_that_no_machine_has() -> None:
    found = {footprint(f"r-{number}") for number in range(5_000)} | {footprint(""), footprint("\ud800")}
    assert len(found) == 5_002
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("fd00::/8") for each in found)
    assert footprint("r-1") == footprint("r-1")


def test_what_a_client_says_of_its_address_comes_after_it_and_probes_have_none() -> None:
    async def story() -> None:
        plays = {path: says(json_response({"done": True})) for path in ("/api/generate", "/api/version")}
        server = await ScriptedServer(plays=plays).start()
        async with sidecar(server, site="a") as beside:
            await beside.until_ready()
            # The same head twice: what was added to the first is not added again.
            for _ in range(2):
                await beside.ask("POST", "/api/generate", ASK, ID + "X-Forwarded-For: 192.0.2.1\r\n")
            await beside.ask("GET", "/api/version", headers=ID)
        for heard in server.heard:
            lines = [line for line in heard.head.decode().split("\r\n") if line.startswith("X-Forwarded-For")]
            ours = f"X-Forwarded-For: {footprint('of-a-client')}"
            assert lines == ([ours, "X-Forwarded-For: 192.0.2.1"] if heard.path == "/api/generate" else [])
        assert len([heard for heard in server.heard if heard.path == "/api/generate"]) == 2
        await server.stop()

    run(story())


@pytest.mark.parametrize("is_real", [False, pytest.param(True, marks=pytest.mark.skipif(not REAL, reason="no Ollama"))])
def test_an_ollamas_line_is_found_to_be_the_requests(tmp_path: Path, is_real: bool) -> None:
    told: list[str] = []

    async def story(address: str) -> None:
        server: Any = SimpleNamespace(address=address)
        async with sidecar(server, site="a") as beside:
            # Refused, so that it needs no model: it is in the log all the same.
            await beside.ask("POST", "/api/generate", {**ASK, "model": "nope"}, ID + "X-Forwarded-For: 192.0.2.1\r\n")
            await beside.ask("GET", "/api/tags")
            told.extend((await beside.ask("GET", "/arriero/lines")).body.decode().splitlines())

    with servers(tmp_path, "one", is_real=is_real) as (server,):
        run(story(server.entry.address))
    requests = Requests()
    for text in told:
        entry = sidecar_entry("a", "a-1", text)
        assert entry is not None
        requests.learn(entry)
    lines = [line for line in (tmp_path / "one/log").read_text().splitlines() if line.startswith("[GIN] ")]
    at = entry.at
    named = [requests.named(entry_of(LogLine(at, "a", "a-1", line))) for line in lines]
    assert [line.text.rpartition(" ")[2] for line in named if line.request == "of-a-client"] == ['"/api/generate"']
    assert {line.request for line in named if "/api/tags" in line.text} == {""}


def test_what_is_known_of_ids_is_bounded() -> None:
    requests = Requests(3)
    line = '{"at": "2026-01-01T00:00:00+00:00", "event": "sidecar.request", "id": "r-%d"}'
    for number in (0, 1, 2, 0, 3):
        entry = sidecar_entry("a", "a-1", line % number)
        assert entry is not None
        requests.learn(entry)
    gin = '[GIN] 2026/01/01 - 00:00:00 | 200 |  1.2ms | %s | POST "/api/chat"'
    found = [
        requests.named(entry_of(LogLine(entry.at, "a", "a-1", gin % footprint(f"r-{n}")))).request for n in range(4)
    ]
    assert found == ["r-0", "", "r-2", "r-3"]
