"""What a drill comes to: figures of what clients saw, and whether they are as was promised. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from arriero.drill.load import Answer
from arriero.drill.scenario import Scenario
from arriero.events import Json

WORDS = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, so many seconds after the fault began (before it: less than 0)."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen besides the clients: `struck` and `recovered` are moments of the monotonic clock (None: never).

    `before` and `after` are the ledger's records that both stores had, with their content's hash. `acts`: what a person
    had to do. `rewritten`: migrated streams that say something else than the same question says now.
    """

    struck: float
    recovered: float | None
    timeline: tuple[Moment, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]
    retried: int
    acts: tuple[str, ...] = ()
    rewritten: int = 0
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """One drill. Times in seconds; `rto_seconds` is the longest that a small request had to wait from the fault on.
    `words` is what clients were told instead of a whole answer. `problems` is what is not as promised; none: passed.
    """

    scenario: str
    what: str
    seed: int
    sites: tuple[str, ...]
    requests: int
    complete: int
    lost: int
    retried: int
    migrated: int
    explicit: int
    silent: int
    rewritten: int
    longest_pause_seconds: float
    rto_seconds: float
    rto_promised_seconds: float
    rpo_lost_records: int
    rpo_records: int
    recovered_after_seconds: float | None
    acts: tuple[str, ...]
    words: tuple[str, ...]
    timeline: tuple[Moment, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def is_passed(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Json]:
        return {"schema": 1, "passed": self.is_passed, **asdict(self)}


def judge(scenario: Scenario, seed: int, answers: Sequence[Answer], seen: Observed) -> Verdict:
    outcomes = [answer.outcome for answer in answers]
    lost_records = sorted(key for key, content in seen.before.items() if seen.after.get(key) != content)
    rto = recovery_seconds(answers, seen.struck)
    problems = [
        *_count(outcomes.count("lost"), "request was lost that had no byte", "requests were lost that had no byte"),
        *_count(outcomes.count("silent"), "stream ended without a word", "streams ended without a word"),
        *_count(seen.rewritten, "stream was carried on with another text", "streams were carried on with another text"),
        *([] if rto <= scenario.rto_seconds else [f"RTO {rto:.1f} s, promised {scenario.rto_seconds:g} s"]),
        *_count(len(lost_records), "record of the ledger was lost", "records of the ledger were lost"),
        *([] if seen.recovered is not None else ["it did not recover by itself"]),
        *(f"a person had to: {act}" for act in seen.acts),
        *(f"left behind: {thing}" for thing in seen.left),
    ]
    return Verdict(
        scenario=scenario.name,
        what=scenario.what,
        seed=seed,
        sites=scenario.sites,
        requests=len(answers),
        complete=outcomes.count("complete"),
        lost=outcomes.count("lost"),
        retried=seen.retried,
        migrated=sum(answer.is_migrated for answer in answers),
        explicit=outcomes.count("explicit"),
        silent=outcomes.count("silent"),
        rewritten=seen.rewritten,
        longest_pause_seconds=round(max((a.pause(seen.struck) for a in answers if a.kind != "probe"), default=0.0), 3),
        rto_seconds=round(rto, 3),
        rto_promised_seconds=scenario.rto_seconds,
        rpo_lost_records=len(lost_records),
        rpo_records=len(seen.before),
        recovered_after_seconds=None if seen.recovered is None else round(seen.recovered - seen.struck, 1),
        acts=seen.acts,
        words=tuple(sorted({answer.said for answer in answers if answer.outcome != "complete"}))[:WORDS],
        timeline=seen.timeline,
        problems=tuple(problems),
    )


def recovery_seconds(answers: Sequence[Answer], struck: float) -> float:
    """The longest that a probe had to wait, of those that were open at the fault or came after it.

    One that failed has waited until the next one that was asked later was answered; the last of all until its own end.
    """
    probes = sorted((a for a in answers if a.kind == "probe" and a.ended >= struck), key=lambda a: a.asked)
    longest, next_good = 0.0, None
    for probe in reversed(probes):
        if probe.outcome == "complete":
            next_good = probe.ended
        until = next_good if next_good is not None else probe.ended
        longest = max(longest, until - max(probe.asked, struck))
    return longest


def _count(number: int, one: str, many: str) -> list[str]:
    return [] if not number else [f"{number} {one if number == 1 else many}"]
