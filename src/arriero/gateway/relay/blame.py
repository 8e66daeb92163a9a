"""Whose fault it is when a target gives no answer: what may be asked elsewhere, and what the client is told. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum

from arriero.gateway.routing.quarantine import DEATHS_LIMIT, Hold, Quarantine
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.answers import Answer, error_answer, try_again
from arriero.gateway.wire.headers import FULL_HEADER
from arriero.gateway.wire.request import Request
from arriero.gateway.words.dialects import Dialect

FAILED = frozenset((500, 502, 503, 504))
REFUSED = FAILED | {404}

# What Ollama says with a 500 to a request that is wrong itself: every target would.
_OF_THE_REQUEST = (b"must be of type", b"must be of an array", b"invalid format")
# What it says when the process that runs the model ended under the request.
_OF_THE_RUNNER = (b"unexpected EOF", b"runner process", b"connection reset", b"error was encountered while running")
# Only known paths are asked for: an Ollama that says this is too old for it.
_UNKNOWN_PATH = b"404 page not found"
_RETRY_AFTER_SECONDS = 2


class Blame(Enum):
    REQUEST = "the request is wrong"
    FULL = "its sidecar has no slot free: nothing was begun"
    MISSING = "it has no such model"
    PATH = "it is of a version that does not know this path"
    TARGET = "it failed, or is too busy"
    RUNNER = "what runs the model ended under the request"


def blame(status: int, known: Collection[bytes], body: bytes) -> Blame:
    """For a status in REFUSED; `known` are names of its header lines, `body` is what has come of it."""
    if status == 404:
        return Blame.PATH if body.startswith(_UNKNOWN_PATH) else Blame.MISSING
    if status == 503 and FULL_HEADER in known:
        return Blame.FULL
    if status == 500 and any(words in body for words in _OF_THE_REQUEST):
        return Blame.REQUEST
    if status == 500 and any(words in body for words in _OF_THE_RUNNER):
        return Blame.RUNNER
    return Blame.TARGET


def died(quarantine: Quarantine, request: Request, record: Record, sent_at: float, now: float) -> None:
    """A target ended under this request, which was sent there then."""
    record.deaths += 1
    quarantine.died(request.path, request.body, sent_at, now)


def survived(quarantine: Quarantine, request: Request, now: float) -> None:
    """A target answered it to its end."""
    quarantine.answered(request.path, request.body, now)


def has_killed(quarantine: Quarantine, request: Request, record: Record) -> bool:
    """Whether targets ended under it, here or when its like came before, so that it may reach no other one."""
    if not record.deaths:
        return False
    return record.deaths >= DEATHS_LIMIT or quarantine.is_last_try(request.path, request.body)


def no_answer(dialect: Dialect, result: str, why: str, deaths: int) -> Answer:
    """For a request that no target answered; `result` of the last attempt is unreachable, late, broke or
    status: then it does not know the path.
    """
    if deaths >= DEATHS_LIMIT:
        return error_answer(dialect, 502, "two targets ended while they answered this request: it reaches no third one")
    if result == "late":
        return error_answer(dialect, 504, why)
    if result == "status":
        return error_answer(dialect, 404, why)
    if result == "unreachable":
        return try_again(dialect, f"no target could be reached: {why}", _RETRY_AFTER_SECONDS)
    return error_answer(dialect, 502, f"the server broke off before it answered: {why}")


def quarantined(dialect: Dialect, hold: Hold) -> Answer:
    """For a request that is held back. When it is blamed no 5xx: clients would repeat it by themselves."""
    if not hold.is_blamed:
        message = "many targets ended at once, two of them while they answered this very request; try again soon"
        return try_again(dialect, message, math.ceil(hold.seconds))
    message = f"targets ended each time they answered this very request: it is refused for another {hold.seconds:.0f} s"
    return error_answer(dialect, 422, message)
