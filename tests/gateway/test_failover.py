"""What is tried again elsewhere, what is not, and what a cut stream does to other requests: on scripted servers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from running_gateway import FAST, Running, entry, gateway, request, run
from scripted_server import Heard, Play, ScriptedServer, chunk, json_response, response, says, stream_head

from arriero.gateway.routing.retry import FLOOR

ASK = {"model": "llama2", "messages": [{"role": "user", "content": "hello"}]}
CHAT = "/api/chat"
FIRST = b'{"message":{"role":"assistant","content":"one"},"done":false}\n'
NEXT = b'{"message":{"role":"assistant","content":" two"},"done":false}\n'
LAST = b'{"message":{"role":"assistant","content":""},"done":true,"prompt_eval_count":11,"eval_count":1}\n'
REST = stream_head() + chunk(NEXT) + chunk(LAST) + b"0\r\n\r\n"
DEATH = b'{"error":"an error was encountered while running the model: unexpected EOF"}\n'

Story = Callable[[Running], Awaitable[None]]


async def cuts(heard: Heard) -> None:
    await heard.send(stream_head() + chunk(FIRST))
    await asyncio.sleep(0.02)
    heard.break_off()


async def dies(heard: Heard) -> None:
    heard.break_off()


def tell(tmp_path: Path, story: Story, *plays: Play, **servers: object) -> list[ScriptedServer]:
    """Runs it on a gateway before one server a play, the first active and the others standby."""
    started = [ScriptedServer(plays={CHAT: play}, **servers) for play in plays]  # type: ignore[arg-type]

    async def whole() -> None:
        for server in started:
            await server.start()
        roles = ("active", *["standby"] * len(started))
        entries = [entry(server, f"t{n}", role=roles[n]) for n, server in enumerate(started)]
        limits = dataclasses.replace(FAST, first_byte_seconds=0.3)
        async with gateway(tmp_path, *entries, limits=limits) as running:
            if len(started) > 1:
                await running.until(lambda: "digest-of-llama2:latest" in running.context.readings)
            await story(running)
            assert {target.in_flight for target in running.context.pool} == {0}
            assert not running.context.open
        for server in started:
            await server.stop()

    run(whole())
    return started


def test_a_cut_stream_goes_on_in_one_reply(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK)
        assert reply.body.startswith(FIRST + NEXT)
        assert reply.body.endswith(
            b'"done":true,"prompt_eval_count":10,"eval_count":2,"total_duration":%s}\n'
            % reply.body.rpartition(b'"total_duration":')[2].removesuffix(b"}\n")
        )
        assert b'"arriero":{"migrated":1,"carried_tokens":1}' in reply.body

    servers = tell(tmp_path, story, cuts, says(REST))
    assert b'{"role":"assistant","content":"one"}' in servers[1].heard[0].body


@pytest.mark.parametrize("read", [chunk(FIRST) + chunk(DEATH), chunk(FIRST + DEATH[:9]) + chunk(DEATH[9:])])
@pytest.mark.parametrize("end", [b"", b"0\r\n\r\n"])
def test_a_runner_that_died_is_not_told_when_another_goes_on(tmp_path: Path, read: bytes, end: bytes) -> None:
    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK)
        assert reply.body.startswith(FIRST + NEXT)
        assert b"error" not in reply.body

    tell(tmp_path, story, says(stream_head() + read + end), says(REST))


@pytest.mark.parametrize(
    ("headers", "digests", "why"),
    [("X-Arriero-Migrate: never\r\n", ("llama2:latest",), b"the request says so"), ("", (), b"no target")],
)
def test_a_stream_that_may_not_go_on_ends_with_an_error(
    tmp_path: Path, headers: str, digests: tuple[str, ...], why: bytes
) -> None:
    async def story(running: Running) -> None:
        if not digests:
            running.context.tell(running.context.pool.set_weights({"t1": 0}))
        reply = await running.ask("POST", CHAT, ASK, headers)
        assert reply.body.startswith(FIRST + b'{"error":')
        assert why in reply.body

    servers = tell(tmp_path, story, cuts, says(REST))
    assert servers[1].heard == []


def test_what_ended_with_its_site_is_asked_at_another_one_were_it_a_standby(tmp_path: Path) -> None:
    """Both targets of a site end within milliseconds: the second would be the second that ends under the request."""
    servers = [ScriptedServer(plays={CHAT: play}) for play in (dies, dies, says(REST))]

    async def whole() -> None:
        for server in servers:
            await server.start()
        places = (("a1", "a", "active"), ("a2", "a", "active"), ("b1", "b", "standby"))
        entries = [
            entry(server, name, site=site, role=role)
            for server, (name, site, role) in zip(servers, places, strict=True)
        ]
        async with gateway(tmp_path, *entries, limits=FAST) as running:
            await running.until(lambda: all(target.can_take for target in running.context.pool))
            reply = await running.ask("POST", CHAT, ASK)
            assert reply.status == 200
            assert reply.body.startswith(NEXT)
        for server in servers:
            await server.stop()

    run(whole())
    assert sorted(len(server.heard) for server in servers[:2]) == [0, 1]
    assert len(servers[2].heard) == 1


def test_a_stream_goes_on_once(tmp_path: Path) -> None:
    async def cuts_again(heard: Heard) -> None:
        await heard.send(stream_head() + chunk(NEXT) + b'5\r\n{"don')
        heard.break_off()

    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK)
        assert reply.body.startswith(FIRST + NEXT + b'{"error":')

    servers = tell(tmp_path, story, cuts, cuts_again, says(REST))
    assert servers[2].heard == []


def test_the_rest_may_be_refused_once_and_asked_for_elsewhere(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        assert (await running.ask("POST", CHAT, ASK)).body.startswith(FIRST + NEXT)

    busy = says(json_response({"error": "server busy"}, "503 No"))
    tell(tmp_path, story, cuts, busy, says(REST))


def test_a_full_sidecar_is_asked_again_for_the_rest(tmp_path: Path) -> None:
    full = b"HTTP/1.1 503 No\r\nX-Arriero-Full: 1\r\nContent-Length: 0\r\n\r\n"
    asked = []

    async def play(heard: Heard) -> None:
        asked.append(heard)
        await heard.send(full if len(asked) < 4 else REST)

    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK)
        assert reply.body.startswith(FIRST + NEXT)
        assert running.records()[-1:] == [] or running.records()[-1]["attempts"] == 1

    tell(tmp_path, story, cuts, play)
    assert len(asked) == 4


@pytest.mark.parametrize("when", ["asked for the rest", "the rest comes"])
def test_a_client_that_leaves_ends_the_rest_within_100_ms(tmp_path: Path, when: str) -> None:
    seconds: list[float] = []

    async def story(running: Running) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def goes_on(heard: Heard) -> None:
            if when == "the rest comes":
                await heard.send(stream_head() + chunk(NEXT))
            asked.set()
            await heard.client_left()
            left.set()

        servers[1].plays[CHAT] = goes_on
        client = await running.connect()
        await client.send(request("POST", CHAT, ASK))
        await asyncio.wait_for(asked.wait(), 5)
        started = time.monotonic()
        client.writer.transport.abort()
        await asyncio.wait_for(left.wait(), 5)
        seconds.append(time.monotonic() - started)
        await running.until(lambda: not running.context.open)

    servers: list[ScriptedServer] = [ScriptedServer(plays={CHAT: cuts}), ScriptedServer(plays={CHAT: cuts})]

    async def whole() -> None:
        for server in servers:
            await server.start()
        entries = [entry(servers[0], "a"), entry(servers[1], "b", role="standby")]
        async with gateway(tmp_path, *entries) as running:
            await running.until(lambda: "digest-of-llama2:latest" in running.context.readings)
            await story(running)
            assert {target.in_flight for target in running.context.pool} == {0}
        for server in servers:
            await server.stop()

    run(whole())
    assert seconds[0] < 0.1


def says_what_kills(word: bytes) -> Play:
    """Dies under a body with this word in it, and answers every other one."""

    async def play(heard: Heard) -> None:
        await (dies(heard) if word in heard.body else heard.send(json_response({"done": True})))

    return play


def all_up(running: Running) -> Callable[[], bool]:
    return lambda: all(target.state == "up" for target in running.context.pool)


def test_a_prompt_that_kills_its_runner_reaches_two_targets(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, {**ASK, "keep_alive": "9m"})
        assert (reply.status, reply.json()) == (
            502, {"error": "two targets ended while they answered this request: it reaches no third one"},
        )  # fmt: skip
        await running.until(all_up(running))
        reply = await running.ask("POST", CHAT, {**ASK, "keep_alive": "9m"})
        assert reply.status == 422
        assert reply.body.startswith(b'{"error":"targets ended each time they answered this very request: ')
        assert (await running.ask("POST", CHAT, ASK)).status == 200

    servers = tell(tmp_path, story, *[says_what_kills(b"9m")] * 4)
    asked = [heard.body for server in servers for heard in server.heard]
    assert sum(b"9m" in body for body in asked) == 2


def test_a_prompt_that_kills_the_only_target_twice_is_held_back(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        # Where the connection had been kept the first one asks twice.
        while (await running.ask("POST", CHAT, ASK)).status != 422:
            await running.until(all_up(running))

    (server,) = tell(tmp_path, story, dies)
    assert len(server.heard) == 2


def test_nobody_is_blamed_when_a_whole_site_ends(tmp_path: Path) -> None:
    asks = [{**ASK, "keep_alive": f"{number}m"} for number in range(6)]

    async def story(running: Running) -> None:
        replies = await asyncio.gather(*(running.ask("POST", CHAT, each) for each in asks))
        assert {reply.status for reply in replies} == {502}
        is_over.set()
        await running.until(all_up(running))
        replies = await asyncio.gather(*(running.ask("POST", CHAT, each) for each in asks))
        assert {(reply.status, reply.header("Retry-After")) for reply in replies} == {(503, "1")}
        clock = running.context.now
        running.context.now = lambda: clock() + 1.0
        replies = await asyncio.gather(*(running.ask("POST", CHAT, each) for each in asks))
        assert {reply.status for reply in replies} == {200}

    is_over = asyncio.Event()

    async def play(heard: Heard) -> None:
        await asyncio.sleep(0.02)
        await (heard.send(json_response({"done": True})) if is_over.is_set() else dies(heard))

    tell(tmp_path, story, *[play] * 3)


def test_a_stream_that_two_targets_died_under_is_not_carried_on(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        assert b"the second that ended under this request" in (await running.ask("POST", CHAT, ASK)).body

    servers = tell(tmp_path, story, dies, cuts, says(REST))
    assert servers[2].heard == []


def test_what_every_target_would_say_is_asked_once(tmp_path: Path) -> None:
    wrong = json_response({"error": 'option "num_predict" must be of type integer'}, "500 Internal Server Error")

    async def story(running: Running) -> None:
        assert (await running.ask("POST", CHAT, ASK)).status == 500
        assert all(target.cooling_until == 0.0 for target in running.context.pool)

    servers = tell(tmp_path, story, says(wrong), says(wrong))
    assert [len(server.heard) for server in servers] == [1, 0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"type": "error", "error": {"type": "not_found_error", "message": "MESSAGE"}}),
        ("/v1/responses", {"error": {"message": "MESSAGE", "type": "not_found_error", "param": None, "code": None}}),
        ("/api/embed", {"error": "MESSAGE"}),
    ],
)
def test_a_path_that_no_target_is_new_enough_for_is_told_in_its_dialect(
    tmp_path: Path, path: str, body: object
) -> None:
    too_old = says(response(b"404 page not found", "text/plain", "404 Not Found"))

    async def story() -> None:
        servers = [await ScriptedServer(plays={path: play}).start() for play in (too_old, says(json_response({})))]
        async with gateway(tmp_path, *(entry(server, f"t{n}") for n, server in enumerate(servers))) as running:
            assert (await running.ask("POST", path, ASK)).status == 200
            servers[1].plays[path] = too_old
            reply = await running.ask("POST", path, ASK)
            message = f"no target's Ollama knows {path}: it needs a newer version"
            assert (reply.status, reply.json()) == (404, json.loads(json.dumps(body).replace("MESSAGE", message)))
        for server in servers:
            await server.stop()

    run(story())


def test_a_busy_target_draws_no_traffic_until_it_answers_again(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        replies = [await running.ask("POST", CHAT, ASK) for _ in range(10)]
        assert {reply.status for reply in replies} == {200}

    busy = says(json_response({"error": "server busy"}, "503 No"))
    servers = tell(tmp_path, story, busy, says(json_response({"done": True})))
    assert [len(server.heard) for server in servers] == [1, 10]


def test_retries_end_where_the_budget_does(tmp_path: Path) -> None:
    async def story(running: Running) -> None:
        for _ in range(int(FLOOR) * 2):
            await running.ask("POST", CHAT, ASK)

    fails = says(json_response({"error": "no"}, "503 No"))
    servers = tell(tmp_path, story, fails, fails)
    asked = sum(len(server.heard) for server in servers)
    assert int(FLOOR) * 2 < asked <= int(FLOOR) * 2 + FLOOR + 5


def test_a_slow_first_byte_is_looked_for_elsewhere(tmp_path: Path) -> None:
    async def sleeps(heard: Heard) -> None:
        await heard.client_left()

    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK)
        assert (reply.status, reply.header("x-arriero-attempts")) == (200, "2")

    tell(tmp_path, story, sleeps, says(json_response({"done": True})))


def test_figures_come_from_the_last_record(tmp_path: Path) -> None:
    body = {"done": True, "load_duration": 5_000_000, "prompt_eval_count": 7, "eval_count": 3}

    async def story(running: Running) -> None:
        await running.ask("POST", CHAT, ASK)
        await running.until(lambda: bool(running.records()))
        told = running.records()[0]
        assert (told["tokens_in"], told["tokens_out"], told["load_ms"]) == (7, 3, 5.0)

    tell(tmp_path, story, says(json_response(body)))


@pytest.mark.parametrize(("site", "status", "served"), [("site-t1", 200, b"site-t1"), ("nowhere", 503, b"")])
def test_a_site_can_be_tried_out(tmp_path: Path, site: str, status: int, served: bytes) -> None:
    async def whole_answer(heard: Heard) -> None:
        await heard.send(stream_head() + chunk(FIRST) + chunk(LAST) + b"0\r\n\r\n")

    async def story(running: Running) -> None:
        reply = await running.ask("POST", CHAT, ASK, f"X-Arriero-Site: {site}\r\n")
        assert reply.status == status
        assert (b"X-Arriero-Site: " + served in reply.head) == (status == 200)

    tell(tmp_path, story, whole_answer, whole_answer)
