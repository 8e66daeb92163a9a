"""What a head's API key was found to be holds for the same head again only while it would be found so anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from keyed import CREATED, made

from arriero.control.keys import Key
from arriero.gateway.access.guard import Guard, Refusal
from arriero.gateway.wire.repeats import former_of
from arriero.gateway.wire.request import Request
from arriero.gateway.words.paths import rule_of

TEXT, KEY = made("one")
_, OTHER = made("two")
RULE = rule_of("/api/chat")
LENGTH, BODY = b"2", b"{}"
READ = b"POST /api/chat HTTP/1.1\r\nauthorization: Bearer %b\r\ncontent-length: 2\r\n\r\n{}" % TEXT.encode()
THEN = CREATED.timestamp()


def request() -> Request:
    """One that was parsed."""
    first = Request(0.0)
    first.method, first.length, first.body = "POST", LENGTH, BODY
    first.known = {b"authorization": b"Bearer " + TEXT.encode()}
    first.is_for("/api/chat")
    return first


def answers(keys: Iterable[Key], changed: Iterable[Key] | None, seconds: float) -> tuple[list[str], list[str]]:
    """What a guard says of one head again and again, and what it says of the same one each time anew; after three of
    them so many seconds pass, and the keys are `changed` (None: they stay).
    """
    guard, parsed = Guard(), request()
    former = former_of(parsed, READ, 1_000)
    assert former is not None
    assert RULE is not None
    told: tuple[list[str], list[str]] = ([], [])
    guard.set_keys(keys)
    for place in range(6):
        if place == 3 and changed is not None:
            guard.set_keys(changed)
        repeated = former.again(READ, 0.0)
        assert repeated is not None
        assert repeated.former is former
        for asked, said in zip((repeated, request()), told, strict=True):
            refusal = guard.identify(asked, RULE, THEN + (seconds if place >= 3 else 0.0))
            said.append(refusal.message if isinstance(refusal, Refusal) else f"{asked.caller and asked.caller.key}")
    return told


def test_a_key_that_changes_is_seen_at_once_on_a_connection_that_goes_on() -> None:
    later = CREATED + timedelta(minutes=5)
    lock = KEY.locks[0]
    for keys, changed, seconds in (
        ([KEY, OTHER], None, 0.0),
        ([KEY], [OTHER], 0.0),
        ([KEY], [], 0.0),
        ([OTHER], [KEY, OTHER], 0.0),
        ([KEY], [replace(KEY, role="viewer")], 0.0),
        ([KEY], [replace(KEY, models=("llama2",))], 0.0),
        ([KEY], [replace(KEY, name="renamed")], 0.0),
        ([replace(KEY, expires=later)], None, 299.0),
        ([replace(KEY, expires=later)], None, 300.0),
        ([replace(KEY, locks=(*OTHER.locks, replace(lock, until=later)))], None, 299.0),
        ([replace(KEY, locks=(*OTHER.locks, replace(lock, until=later)))], None, 300.0),
        ([KEY], [replace(KEY, locks=OTHER.locks)], 0.0),
    ):
        again, anew = answers(keys, changed, seconds)
        assert again == anew, (keys, changed, seconds)
