"""What is counted of a drill, and what does not pass."""

from __future__ import annotations

import json
from array import array

import pytest

from arriero.drill import report
from arriero.drill.load import Answer, Kind
from arriero.drill.scenario import Scenario
from arriero.drill.verdict import Moment, Observed, Verdict, judge, recovery_seconds

STRUCK = 100.0
REGION = Scenario("region-loss", "us-east-1 of aws is gone", (), ("aws-east",), 5.0)
DONE = '{"response":"a","done":false}\n{"response":"b","done":true}\n'
MOVED = '{"response":"a","done":false}\n{"response":"b","done":true,"arriero":{"migrated":1,"carried_tokens":1}}\n'
ERROR = '{"response":"a","done":false}\n{"error":"its server ended"}\n'
CUT = '{"response":"a","done":false}\n'


def answer(text: str, asked: float = 99.0, ended: float = 101.0, kind: Kind = "stream", status: int = 200) -> Answer:
    made = Answer(kind, b"{}", asked, status, asked + 0.1 if text else None, ended, bool(text) and text != CUT)
    made.text += text.encode()
    made.pieces = array("d", [asked + 0.1, ended])
    return made


def probe(asked: float, ended: float, status: int = 200) -> Answer:
    return answer('{"response":"a","done":true}', asked, ended, "probe", status)


def judged(*answers: Answer, **other: object) -> Verdict:
    facts: dict[str, object] = {
        "struck": STRUCK, "recovered": 125.0, "timeline": (Moment(0.0, "fault"),),
        "before": {"a": "1"}, "after": {"a": "1", "b": "2"}, "retried": 3,
    }  # fmt: skip
    return judge(REGION, 7, answers, Observed(**{**facts, **other}))  # type: ignore[arg-type]


def test_a_drill_in_which_all_came_through_passes() -> None:
    verdict = judged(answer(DONE), answer(MOVED), answer(ERROR), probe(101.0, 101.5))
    assert verdict.is_passed
    assert (verdict.complete, verdict.migrated, verdict.explicit, verdict.retried) == (3, 1, 1, 3)
    assert (verdict.rto_seconds, verdict.recovered_after_seconds, verdict.rpo_lost_records) == (0.5, 25.0, 0)


@pytest.mark.parametrize(
    ("answers", "other", "problem"),
    [
        ([answer("", status=503)], {}, "1 request was lost that had no byte"),
        ([answer(CUT), answer(CUT)], {}, "2 streams ended without a word"),
        ([probe(101.0, 107.5)], {}, "RTO 6.5 s, promised 5 s"),
        ([], {"after": {"a": "other"}}, "1 record of the ledger was lost"),
        ([], {"recovered": None}, "it did not recover by itself"),
        ([], {"acts": ("arriero up (aws-east: service)",)}, "a person had to: arriero up (aws-east: service)"),
        ([answer(MOVED)], {"rewritten": 1}, "1 stream was carried on with another text"),
    ],
)
def test_each_broken_promise_fails_it(answers: list[Answer], other: dict[str, object], problem: str) -> None:
    assert judged(*answers, **other).problems == (problem,)


def test_the_longest_wait_counts_failed_requests_until_the_next_that_was_answered() -> None:
    well = [probe(98.0, 98.2), probe(99.9, 100.4)]
    assert recovery_seconds(well, STRUCK) == pytest.approx(0.4)
    failed = [probe(101.0, 101.1, 503), probe(102.0, 102.1, 503), probe(103.0, 103.3)]
    assert recovery_seconds([*well, *failed], STRUCK) == pytest.approx(2.3)
    assert recovery_seconds([*well, probe(101.0, 191.0, 0)], STRUCK) == pytest.approx(90.0)
    assert recovery_seconds([answer(DONE)], STRUCK) == 0.0


def test_the_report_tells_everything_and_lets_no_markup_through() -> None:
    verdict = judged(probe(101.0, 109.0), timeline=(Moment(-1.5, "calm"), Moment(0.25, "<b>killed</b> task 1")))
    page = report.html("llm", [verdict], [("slow-storage", "no model is in storage")])
    assert "<b>killed" not in page
    assert "&lt;b&gt;killed&lt;/b&gt; task 1" in page
    for words in ("RTO 8.0 s, promised 5 s", "+0.25 s", "no model is in storage", "us-east-1 of aws is gone"):
        assert words in page
    told = json.loads(json.dumps(report.as_json([verdict])))
    assert (told["passed"], told["drills"][0]["rto_seconds"], told["drills"][0]["seed"]) == (False, 8.0, 7)
    assert report.lines([verdict])[0].startswith(
        "region-loss        seed 7    FAILED  RTO  8.00 s of 5, RPO 0 of 1 records"
    )
