"""What the page asks of arriero's verbs, each in a process of its own: whatever they do, the page goes on.

A verb that looks is asked at most once at a time, and what it said is kept for who asks soon after. A verb that acts
tells its events, a JSON object a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError, Problem

LOOK_SECONDS, KEPT_SECONDS = 120.0, 20.0
# Of one line: a plan of hundreds of targets is one.
LINE_BYTES = 32 * 1024 * 1024
PENDING = 2


@dataclass(frozen=True, slots=True)
class Said:
    """What a verb printed last, and when (seconds of the loop's clock)."""

    told: dict[str, Any]
    at: float


class Verbs:
    """`options` go with every verb: the spec's file, the overlay, whether it is a rehearsal."""

    def __init__(self, folder: Path, options: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._folder, self._options = folder, tuple(options)
        self._environment = dict(environment or os.environ)
        self._said: dict[tuple[str, ...], Said] = {}
        self._asking: dict[tuple[str, ...], asyncio.Task[Said]] = {}

    async def look(self, *words: str, anew: bool = False) -> dict[str, Any]:
        """What this verb says with --json. Raises ArrieroError with its own problems."""
        said = self._said.get(words)
        if said and not anew and asyncio.get_running_loop().time() - said.at < KEPT_SECONDS:
            return said.told
        task = self._asking.get(words)
        if task is None:
            task = self._asking[words] = asyncio.create_task(self._ask(words), name=f"arriero {' '.join(words)}")
            task.add_done_callback(lambda _: self._asking.pop(words, None))
        # One who goes away does not take the answer from the others.
        self._said[words] = await asyncio.shield(task)
        return self._said[words].told

    def forget(self) -> None:
        """Something was done: what was said before may not hold any more."""
        self._said.clear()

    async def act(self, *words: str) -> AsyncIterator[dict[str, Any]]:
        """Each line that the verb tells; it goes on if nobody listens any more. Raises ArrieroError if it fails."""
        process = await self._start((*words, "--yes"))
        problems: tuple[Problem, ...] = ()
        try:
            async for told in _objects(process):
                problems = _problems(told) or problems
                yield told
        finally:
            self.forget()
        code = await process.wait()
        if problems or code:
            raise ArrieroError(problems or Problem(f"arriero {words[0]} ended with {code}", "see: arriero history"))

    async def _ask(self, words: tuple[str, ...]) -> Said:
        process = await self._start(words)
        told: dict[str, Any] = {}
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                async for each in _objects(process):
                    told = each
                code = await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            what = f"arriero {words[0]} did not answer within {LOOK_SECONDS:.0f} s"
            raise ArrieroError(Problem(what, "look again; see: arriero doctor")) from None
        if problems := _problems(told):
            raise ArrieroError(problems)
        if not told or (code not in (0, PENDING) and "schema" not in told):
            raise ArrieroError(Problem(f"arriero {words[0]} ended with {code}", "run it in a terminal"))
        return Said(told, asyncio.get_running_loop().time())

    async def _start(self, words: Sequence[str]) -> asyncio.subprocess.Process:
        """In a session of its own: what ends the page ends no deployment."""
        command = [sys.executable, "-m", "arriero", *words, *self._options, "--json"]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, env=self._environment, stdin=nothing, stdout=pipe, stderr=nothing,
            limit=LINE_BYTES, start_new_session=True,
        )  # fmt: skip


async def _objects(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    async for line in process.stdout:
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                yield told


def _problems(told: Mapping[str, Any]) -> tuple[Problem, ...]:
    """The errors that a verb told, as it tells them."""
    errors = told.get("error")
    if not isinstance(errors, list):
        return ()
    return tuple(
        Problem(str(one.get("what", "")), str(one.get("remedy", "")), str(one.get("key") or "")) for one in errors
    )
