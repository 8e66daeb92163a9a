"""How a release on trial gets its share: exact, together with its conversation, and never at a request's cost."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from program import program
from running_gateway import gateway, run
from scripted_server import Heard, Play, ScriptedServer, chunk, stream_head

from arriero.control.messages import TargetEntry, Targets
from arriero.control.trials import STRATA, Moments, Tallies, Tally, Trial
from arriero.gateway.process import snapshot
from arriero.gateway.relay.kept import Kept
from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.routing.target import MET_LIMIT, Inventory, Target

MODEL = {"m": {"name": "m", "digest": "d"}}


def fleet(*rows: tuple[str, str, int], slots: int = 1000) -> Pool:
    """Targets of (id, site, release), all with the model in memory."""
    pool = Pool()
    pool.set_targets(Targets(tuple(TargetEntry(name, site, name, release=n, slots=slots) for name, site, n in rows)))
    for target in pool:
        target.answered(Inventory(MODEL, MODEL))
    return pool


def two_sites(slots: int = 1000) -> Pool:
    return fleet(("old", "east", 6), ("new", "east", 7), ("far", "west", 6), slots=slots)


def send(pool: Pool, mark: int) -> str:
    found = pool.place(Ask("m", mark=mark), 0.0)
    if not isinstance(found, Target):
        return found.name
    found.take("m", 0.0)
    found.give_back("m")
    return found.entry.id


def hold(pool: Pool, *names: str) -> None:
    """Takes all places there."""
    for target in pool:
        if target.entry.id in names:
            target.in_flight = target.slots


@pytest.mark.parametrize("percent", [5, 25, 60])
@pytest.mark.parametrize("marks", [1, 0, 4_000_000_000], ids=["one conversation", "none", "many"])
def test_the_share_is_what_was_asked_for_whatever_the_conversations_are(percent: int, marks: int) -> None:
    pool, chance = two_sites(), random.Random(7)
    pool.set_trial(Trial(7, ("east",), percent))
    got = [send(pool, chance.randrange(marks) if marks > 1 else marks) for _ in range(2000)]
    assert got.count("new") == pytest.approx(20 * percent, abs=6)
    assert {"old", "far"} >= set(got) - {"new"}


def test_a_conversation_stays_with_its_release() -> None:
    pool, chance = two_sites(), random.Random(7)
    pool.set_trial(Trial(7, ("east",), 25))
    marks = [chance.randrange(1, 2**32) for _ in range(400)]
    first, second = ([send(pool, mark) == "new" for mark in marks] for _ in range(2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) > 370


def test_at_nothing_no_request_goes_there_even_if_nobody_else_is_left() -> None:
    pool = two_sites()
    pool.set_trial(Trial(7, ("east",), 0))
    assert {send(pool, mark) for mark in range(1, 300)} == {"old", "far"}
    assert pool.find(None, False, ("old", "far"), 0.0) is Without.CHOICE
    for target in pool:
        if target.entry.id != "new":
            target.broke("gone")
    assert send(pool, 1) == "HEALTH"


def test_at_all_what_is_replaced_gets_only_what_nobody_else_can_take() -> None:
    pool = two_sites(slots=1)
    pool.set_trial(Trial(7, ("east",), 100))
    assert {send(pool, mark) for mark in range(1, 300)} == {"new", "far"}
    hold(pool, "new", "far")
    assert send(pool, 1) == "old"


def test_a_trial_that_is_full_or_gone_costs_no_request() -> None:
    pool = two_sites(slots=1)
    pool.set_trial(Trial(7, ("east",), 50))
    hold(pool, "new")
    assert set(got := [send(pool, mark) for mark in range(1, 300)]) == {"old", "far"}, got
    next(target for target in pool if target.entry.id == "new").broke("gone")
    assert {send(pool, mark) for mark in range(1, 300)} == {"old", "far"}


def test_a_busy_fleet_does_not_pour_its_traffic_on_a_trial_but_a_dead_one_does() -> None:
    pool = two_sites(slots=1)
    pool.set_trial(Trial(7, ("east",), 5))
    hold(pool, "old", "far")
    got = [send(pool, mark) for mark in range(1, 300)]
    assert set(got) == {"new", "PLACE"}
    assert got.count("new") < 60
    for target in pool:
        if target.entry.id != "new":
            target.broke("gone")
    assert {send(pool, mark) for mark in range(1, 50)} == {"new"}


def test_a_retry_after_the_trial_failed_goes_elsewhere() -> None:
    pool = two_sites()
    pool.set_trial(Trial(7, ("east",), 100))
    found = pool.find("m", True, ("new",), 0.0)
    assert isinstance(found, Target)
    assert found.entry.id in ("old", "far")


def test_an_end_puts_all_on_equal_terms() -> None:
    pool = two_sites()
    pool.set_trial(Trial(7, ("east",), 0))
    pool.set_trial(None)
    assert {send(pool, mark) for mark in range(1, 300)} == {"old", "new", "far"}


def test_what_is_explained_says_that_there_is_a_trial_and_counts_for_nothing() -> None:
    pool = two_sites()
    pool.set_trial(Trial(7, ("east",), 5))
    told = [pool.explain(Ask("m"), 0.0) for _ in range(100)]
    assert {routing.chosen for routing in told} <= {"old", "far"}
    assert told[0].outcome.endswith("release 7 is on trial with 5 % of the requests")


def play(text: bytes, status: bytes = b"200 OK") -> Play:
    async def answer(heard: Heard) -> None:
        if status != b"200 OK":
            await heard.send(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status)
            return
        records = [b'{"response":"' + text + b'","done":false}\n'] if text else []
        await heard.send(stream_head())
        # A server that generated nothing leaves the count out.
        count = b',"eval_count":1' if text else b""
        for record in [*records, b'{"response":"","done":true%b,"prompt_eval_count":3}\n' % count]:
            await asyncio.sleep(0.01)
            await heard.send(chunk(record))
        await heard.send(b"0\r\n\r\n")

    return answer


def test_what_each_release_did_is_told_by_all_workers_together(tmp_path: Path) -> None:
    async def story() -> None:
        plays = {"good": play(b"Hello"), "empty": play(b""), "bad": play(b"", b"500 Internal Server Error")}
        servers = {name: await ScriptedServer(plays={"/api/generate": each}).start() for name, each in plays.items()}
        releases = {"good": 6, "empty": 7, "bad": 7}
        entries = [
            TargetEntry(name, "east" if name != "bad" else "west", server.address, release=releases[name], slots=100)
            for name, server in servers.items()
        ]
        async with program(tmp_path, *entries, workers=2) as edge:
            await edge.until(lambda status: all(target.state == "up" for target in status.targets))
            before = await asyncio.to_thread(edge.control.tallies)
            assert before.of == {}
            trial = Trial(7, ("east", "west"), 50)
            await asyncio.to_thread(edge.control.set_trial, trial)
            assert await asyncio.to_thread(edge.control.trial) == trial
            asked = [edge.ask("POST", "/api/generate", {"model": "llama2", "prompt": str(n)}) for n in range(80)]
            replies = await asyncio.gather(*asked)
            assert {reply.status for reply in replies} == {200}, "what failed was answered by another target"
            told = (await asyncio.to_thread(edge.control.tallies)).of
        good, empty, bad = told["east", 6], told["east", 7], told["west", 7]
        assert (good.errors, good.empty, empty.errors) == (0, 0, 0)
        assert empty.answers == empty.empty > 0
        assert bad.attempts == bad.errors > 0
        assert good.attempts + empty.attempts == 80
        assert sum(moments.count for moments in good.first_token) == good.answers
        kept = json.loads((tmp_path / "targets.json").read_text())["trial"]
        assert kept == {"release": 7, "sites": ["east", "west"], "percent": 50.0}
        for server in servers.values():
            await server.stop()

    run(story())


def test_a_gateway_that_starts_anew_goes_on_with_the_trial(tmp_path: Path) -> None:
    async def story() -> None:
        server = await ScriptedServer().start()
        one = TargetEntry("one", "east", server.address, release=7)
        async with gateway(tmp_path, one) as first:
            first.context.pool.set_trial(Trial(7, ("east",), 5))
            snapshot.keep(first.context)
        async with gateway(tmp_path, one) as second:
            assert second.context.pool.trial == Trial(7, ("east",), 5)
        await server.stop()

    run(story())


def test_a_tally_adds_up_and_comes_back_as_it_was() -> None:
    tally = Tally(5, 1, 4, 0, (Moments.of((0.1, 0.2)),) * STRATA, (Moments.of((0.02,)), Moments()))
    tallies = Tallies({("east", 7): tally + tally - tally})
    back = Tallies.from_json(json.loads(json.dumps(tallies.as_json())))
    assert back.of["east", 7].numbers() == pytest.approx(tally.numbers())
    with pytest.raises(ValueError, match="3 numbers in place of"):
        Tally.from_numbers([1, 2, 3])
    with pytest.raises(ValueError, match="is no share"):
        Trial.from_json({"trial": {"release": 7, "sites": ["east"], "percent": 101}})


def test_beginnings_of_conversations_are_told_apart_from_their_later_turns() -> None:
    target = next(iter(two_sites()))
    assert [target.meets(mark) for mark in (5, 5, 0, 0)] == [True, False, True, True]
    for mark in range(10, 10 + MET_LIMIT):
        target.meets(mark)
    assert target.meets(5), "forgotten in favour of newer ones"


@pytest.mark.parametrize(
    ("path", "records", "is_empty"),
    [
        ("/api/generate", b'{"response":"","done":true}\n', True),
        ("/api/generate", b'{"response":"Hi","done":false}\n{"response":"","done":true}\n', False),
        ("/api/generate", b'{"response":"Hi","done":true}\n', False),
        ("/api/chat", b'{"message":{"role":"assistant","content":""},"done":true}\n', True),
        ("/api/chat", b'{"message":{"role":"assistant","content":"","tool_calls":[{}]},"done":true}\n', False),
        ("/api/chat", b'{"message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}\n', False),
        ("/v1/chat/completions", b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n', True),
        ("/v1/responses", b'data: {"type":"response.completed"}\n\n', False),
    ],
)
def test_an_answer_without_a_text_is_told_from_one_that_calls_a_tool(path: str, records: bytes, is_empty: bool) -> None:
    kept = Kept(path, b"\n\n" if path.startswith("/v1") else b"\n")
    kept.pieces.append(records)
    kept.said()
    assert kept.is_empty() is is_empty
