"""A gateway finds its targets by a name: who comes is used, who is away goes, and a lost DNS takes nobody away."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from dns_server import Names, names
from running_gateway import Running, gateway, run
from scripted_server import ScriptedServer, json_response, says

from arriero.gateway.watch import naming

ASK = {"model": "llama2", "prompt": "x", "stream": False}
NAME = "targets.llm.internal"
FIRST, SECOND = "127.0.19.1", "127.0.19.2"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "EVERY_SECONDS", 0.05)


async def server_at(host: str, port: int = 0) -> ScriptedServer:
    server = ScriptedServer(plays={"/api/generate": says(json_response({"done": True}))})
    return await server.start(host, port)


def found_by_name(tmp_path: Path, dns: Names, port: int) -> AbstractAsyncContextManager[Running]:
    here = {"targets_dns": f"{NAME}:{port}", "targets_site": "aws-east", "targets_resolver": dns.address}
    return gateway(tmp_path, targets_file="", **here)


def standing(running: Running) -> dict[str, str]:
    return {target.entry.address.partition(":")[0]: target.state for target in running.context.pool}


def test_targets_come_with_the_name_and_go_when_they_neither_have_it_nor_answer(tmp_path: Path) -> None:
    async def story() -> None:
        first = await server_at(FIRST)
        port = int(first.address.rpartition(":")[2])
        second = await server_at(SECOND, port)
        async with names(**{NAME: [FIRST]}) as dns, found_by_name(tmp_path, dns, port) as running:
            await running.until(lambda: standing(running) == {FIRST: "up"})
            assert (await running.ask("POST", "/api/generate", ASK)).status == 200
            [target] = running.context.pool
            assert (target.entry.site, target.entry.id) == ("aws-east", f"{FIRST}:{port}")
            dns.by_name[NAME] = [FIRST, SECOND]
            await running.until(lambda: standing(running) == {FIRST: "up", SECOND: "up"})
            dns.by_name[NAME] = [SECOND]  # a part of the whole, as it may be
            heard = len(dns.heard)
            await running.until(lambda: len(dns.heard) > heard + 2)
            assert standing(running) == {FIRST: "up", SECOND: "up"}
            await first.stop()
            await running.until(lambda: standing(running) == {SECOND: "up"})
        await second.stop()

    run(story())


@pytest.mark.parametrize("trouble", ["silent", "failing", "empty"])
def test_a_lost_dns_takes_nobody_away_who_answers(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arriero.gateway.wire.dns.ANSWER_SECONDS", 0.05)

    async def story() -> None:
        first = await server_at(FIRST)
        port = int(first.address.rpartition(":")[2])
        async with names(**{NAME: [FIRST]}) as dns, found_by_name(tmp_path, dns, port) as running:
            await running.until(lambda: standing(running) == {FIRST: "up"})
            dns.is_silent, dns.code, dns.by_name = trouble == "silent", 2 if trouble == "failing" else 0, {}
            heard = len(dns.heard)
            await running.until(lambda: len(dns.heard) > heard + 5)
            assert standing(running) == {FIRST: "up"}
            assert (await running.ask("POST", "/api/generate", ASK)).status == 200
            expected = 0 if trouble == "empty" else 1
            await running.until(lambda: running.log.read_text().count('"targets.unknown"') == expected)
        await first.stop()

    run(story())


def test_it_is_ready_once_a_target_answers_and_stays_so_when_all_are_away(tmp_path: Path) -> None:
    async def story() -> None:
        first = await server_at(FIRST)
        port = int(first.address.rpartition(":")[2])
        async with names(**{NAME: [SECOND]}) as dns, found_by_name(tmp_path, dns, port) as running:
            await running.until(lambda: standing(running) in ({SECOND: "down"}, {SECOND: "suspect"}))
            assert (await running.ask("GET", "/readyz")).status == 503
            dns.by_name[NAME] = [FIRST]
            await running.until(lambda: standing(running) == {FIRST: "up"})
            assert (await running.ask("GET", "/readyz")).status == 200
            await first.stop()
            await running.until(lambda: standing(running) == {FIRST: "down"})
            assert (await running.ask("GET", "/readyz")).status == 200
            assert (await running.ask("POST", "/api/generate", ASK)).status == 503

    run(story())


def test_a_site_without_targets_is_no_reason_to_replace_its_gateways(tmp_path: Path) -> None:
    async def story() -> None:
        async with names() as dns, found_by_name(tmp_path, dns, 1) as running:
            await running.until(lambda: running.context.is_told_of_targets)
            assert (await running.ask("GET", "/readyz")).status == 200

    run(story())
