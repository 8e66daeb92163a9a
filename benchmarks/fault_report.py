"""What the independent client saw, counted: by outcome, by fault, and how long a fault kept a stream waiting."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bars import Bar, table
from fault_script import Happened
from watcher import Answer


@dataclass
class Tally:
    answers: list[Answer]
    happened: list[Happened]

    def __post_init__(self) -> None:
        self.outcomes = Counter(answer.outcome() for answer in self.answers)
        self.carried_on = sum(answer.was_carried_on() for answer in self.answers)

    def tell(self) -> None:
        columns = ("fault", "servers", "streams there", "complete", "explicit", "silent", "wrong", "p50 s", "p99 s")
        rows: list[tuple[object, ...]] = []
        for event in self.happened:
            hit = self.hit(event)
            seen = Counter(answer.outcome() for answer in hit)
            waits = self.waits(event)
            counts = (seen[word] for word in ("complete", "explicit", "silent", "wrong"))
            names = " ".join(event.fault.servers)
            rows.append((event.fault.kind, names, len(hit), *counts, percentile(waits, 50), percentile(waits, 99)))
        table(columns, rows)
        self._tell_bad()

    def hit(self, event: Happened) -> list[Answer]:
        """The streams that had begun at the servers of the fault and were not over."""
        return [
            answer
            for answer in self.answers
            if answer.target in event.fault.servers
            and answer.first_byte_at is not None
            and answer.first_byte_at <= event.at < answer.ended_at
        ]

    def waits(self, event: Happened) -> list[float]:
        """Seconds from the fault to the next byte, for each stream there that went on; and for what had no byte yet."""
        moments = [answer.next_after(event.at) for answer in self.hit(event) if answer.outcome() == "complete"]
        moments += [
            answer.first_byte_at
            for answer in self.answers
            if answer.asked_at <= event.at and (answer.first_byte_at or 0.0) > event.at
        ]
        return [moment - event.at for moment in moments if moment is not None]

    def begun_at_drained(self) -> int:
        """Requests that went to a server half a second after it was told to drain."""
        return sum(
            answer.target in event.fault.servers and event.at + 0.5 < answer.asked_at < event.undone_at
            for event in self.happened
            if event.fault.kind == "drained"
            for answer in self.answers
        )

    def cut_while_drained(self) -> int:
        return sum(
            answer.outcome() != "complete" or answer.was_carried_on()
            for event in self.happened
            if event.fault.kind == "drained"
            for answer in self.hit(event)
        )

    def _tell_bad(self) -> None:
        for word in ("lost", "silent", "wrong"):
            for answer in [one for one in self.answers if one.outcome() == word][:3]:
                end = bytes(answer.body[-300:])
                print(f"{word}: {answer.status} {answer.question.path} at {answer.target}: {answer.error} {end!r}",
                      file=sys.stderr)  # fmt: skip


def bars_of(tally: Tally) -> list[Bar]:
    seen = tally.outcomes
    kills = [wait for event in tally.happened if event.fault.kind != "frozen" and event.fault.kind != "drained"
             for wait in tally.waits(event)]  # fmt: skip
    frozen = [wait for event in tally.happened if event.fault.kind == "frozen" for wait in tally.waits(event)]
    told = [
        Bar("streams", sum(seen.values())),
        Bar("  complete, word for word", seen["complete"]),
        Bar("  of them carried on at another target", tally.carried_on),
        Bar("  ended with an explicit error", seen["explicit"]),
    ]
    bars = [
        Bar("  ended without a word", seen["silent"], "", 0),
        Bar("  complete, but with another text", seen["wrong"], "", 0),
        Bar("  lost without a byte", seen["lost"], "", 0),
        Bar("  sent to a server that drains", tally.begun_at_drained(), "", 0),
        Bar("  cut at a server that drains", tally.cut_while_drained(), "", 0),
        Bar("failover after a kill, p50", percentile(kills, 50), "s"),
        Bar("failover after a kill, p99", percentile(kills, 99), "s", 1.0),
    ]
    if frozen:
        bars.append(Bar("failover from a frozen server, p99", percentile(frozen, 99), "s"))
    return [*told, *bars]


def percentile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100)[percent - 1]
