"""Questions that go on for ever end when they are cancelled, whenever that comes."""

from __future__ import annotations

import asyncio

import pytest

from arriero.rehearse import probing
from arriero.rehearse.probing import Check, Count


def test_a_cancellation_that_comes_with_the_answer_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> tuple[bool, int]:
        check, asked = Check("/", 30, 5, 2, 2), []

        async def answered(*_: object) -> int:
            asked.append(1)
            if len(asked) == 1:
                task.cancel()
            return 200

        monkeypatch.setattr(probing, "_status", answered)
        task = asyncio.create_task(probing.probe("127.0.0.1", 1, check, Count(check)))
        await asyncio.wait([task], timeout=2)
        return task.cancelled(), len(asked)

    assert asyncio.run(story()) == (True, 1)
