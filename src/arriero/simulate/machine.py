"""One Ollama server in simulated time: what it holds in memory, and how fast its streams get on.

A stream reads its prompt, then writes its answer. Alone each has its own pace; together they share the machine: a
prompt takes all of it, an answer the part that its pace is of the whole. All streams slow down alike (processor
sharing), so one virtual clock a machine is enough: a stream's two marks on it are known when it starts.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

from arriero.gateway.routing.memory import Found
from arriero.gateway.routing.target import Target

BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """What one target can do. `prompt_load`: the share of the machine that reading a prompt takes, when alone.

    `total_tokens_per_second` 0: streams don't slow each other down.
    """

    first_token_seconds: float
    prompt_tokens_per_second: float
    tokens_per_second: float
    total_tokens_per_second: float
    prompt_load: float = 1.0

    @property
    def answer_load(self) -> float:
        """The share of the machine that one answer takes, when alone."""
        return self.tokens_per_second / self.total_tokens_per_second if self.total_tokens_per_second else 0.0

    def read_seconds(self, tokens: float) -> float:
        """Of a prompt, alone."""
        return self.first_token_seconds + (
            tokens / self.prompt_tokens_per_second if self.prompt_tokens_per_second else 0.0
        )

    def work(self, prompt: float, answer: float) -> float:
        """Seconds of a whole machine."""
        return self.read_seconds(prompt) * self.prompt_load + answer / self.tokens_per_second * self.answer_load


class Job:
    """A request; the admission's `Waiter` while it waits. `tokens` are still to be written, `received` bytes came."""

    __slots__ = (
        "came_at",
        "deaths",
        "ends_at_mark",
        "first_at",
        "found",
        "key",
        "load_seconds",
        "mark",
        "model",
        "prompt",
        "queued",
        "received",
        "sent_at",
        "since",
        "tokens",
        "tried",
    )  # fmt: skip

    def __init__(self, at: float, model: str, prompt: int, tokens: int) -> None:
        self.came_at = self.since = at
        self.model, self.prompt, self.tokens = model, prompt, tokens
        self.received = prompt * BYTES_A_TOKEN
        self.key, self.mark = "", 0
        self.tried: Collection[str] = ()
        self.first_at = -1.0
        self.queued = self.sent_at = self.ends_at_mark = self.load_seconds = 0.0
        self.deaths = 0
        self.found: Found = ""


class Machine:
    """Mutable; whoever changes it asks for `next_at` and comes back then, unless `version` has moved on.

    `busy_seconds` counts when anything runs, which is what a cloud's CPU metric shows of a CPU at inference.
    """

    __slots__ = (
        "_answers",
        "_at",
        "_clock",
        "_marks",
        "_pace",
        "_prompts",
        "_share",
        "_speed",
        "busy_seconds",
        "is_spot",
        "leaving_since",
        "loading",
        "number",
        "pending",
        "ready_at",
        "resident",
        "room",
        "site",
        "started_at",
        "stops_at",
        "target",
        "version",
        "zone",
    )  # fmt: skip

    def __init__(self, number: int, zone: int, is_spot: bool, pace: Pace, room: int, now: float) -> None:
        self.number, self.zone, self.is_spot, self.room = number, zone, is_spot, room
        self.started_at = now
        self.site = ""
        self.ready_at = self.leaving_since = self.stops_at = -1.0
        self.target: Target | None = None
        self.resident: dict[str, float] = {}
        self.loading = ""
        self.pending: list[Job] = []
        self.version = 0
        self.busy_seconds = 0.0
        self._pace, self._share = pace, pace.answer_load
        self._marks: list[tuple[float, int, bool, Job]] = []
        self._clock, self._at, self._speed = 0.0, now, 1.0
        self._prompts = self._answers = 0

    def begin(self, job: Job, now: float) -> None:
        """It starts to read the prompt."""
        self._move(now)
        mark = self._clock + self._pace.read_seconds(job.prompt)
        self._prompts += 1
        self._push(mark, True, job)
        self._changed()

    def step(self, now: float) -> tuple[Job, bool] | None:
        """What is due: a job and whether that was its first token, else its end; None if nothing is yet."""
        self._move(now)
        if not self._marks or self._marks[0][0] > self._clock + 1e-9:
            return None
        mark, _, is_first, job = heapq.heappop(self._marks)
        if is_first:
            self._prompts -= 1
            self._answers += 1
            # Its first token is written now.
            job.ends_at_mark = mark + (job.tokens - 1) / self._pace.tokens_per_second
            self._push(job.ends_at_mark, False, job)
        else:
            self._answers -= 1
        self._changed()
        return job, is_first

    def next_at(self) -> float | None:
        return self._at + max(0.0, self._marks[0][0] - self._clock) / self._speed if self._marks else None

    def kill(self, now: float) -> list[tuple[Job, bool]]:
        """All that run end here, each with whether its answer had begun; what was not written yet stays in `tokens`."""
        self._move(now)
        cut = [(job, False) for job in self.pending]
        for _, _, is_first, job in self._marks:
            if not is_first:
                left = (job.ends_at_mark - self._clock) * self._pace.tokens_per_second
                written = max(0, job.tokens - ceil(left - 1e-6))
                job.prompt, job.tokens = job.prompt + written, job.tokens - written
            cut.append((job, not is_first))
        self._marks, self.pending = [], []
        self._prompts = self._answers = 0
        self._changed()
        return cut

    def busy_until(self, now: float) -> float:
        """`busy_seconds`, as of now."""
        self._move(now)
        return self.busy_seconds

    @property
    def open(self) -> int:
        return len(self._marks) + len(self.pending)

    def _push(self, mark: float, is_first: bool, job: Job) -> None:
        self.version += 1
        heapq.heappush(self._marks, (mark, self.version, is_first, job))

    def _move(self, now: float) -> None:
        passed = now - self._at
        if self._marks:
            self._clock += passed * self._speed
            self.busy_seconds += passed
        self._at = now

    def _changed(self) -> None:
        self.version += 1
        load = self._prompts * self._pace.prompt_load + self._answers * self._share
        self._speed = 1.0 / load if load > 1.0 else 1.0
