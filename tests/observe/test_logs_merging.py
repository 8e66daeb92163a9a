"""Many sources of lines become one: each line once, in order, what comes too late marked."""

from __future__ import annotations

import json
import queue
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.clock import ManualClock
from arriero.control.footprint import footprint
from arriero.observe.logs.entry import Entry, Shown, entry_of, gateway_entry
from arriero.observe.logs.following import merged
from arriero.observe.logs.merging import NUMBERS_KEPT, Merger, Seen
from arriero.plan.model import LogLine

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def line(at: float, text: str = "words", seq: int = 0, site: str = "a", boot: str = "b1") -> Entry:
    return Entry(after(at), site, f"{site}-1", text, boot=boot if seq else "", seq=seq)


def test_an_earlier_line_that_comes_in_time_goes_first() -> None:
    merger = Merger(timedelta(seconds=2))
    merger.put(line(5.0, "second"), after(5.0))
    assert list(merger.ready(after(6.9))) == []
    merger.put(line(4.0, "first", site="b"), after(6.9))
    shown = list(merger.ready(after(7.0)))
    assert [(one.entry.text, one.is_late) for one in shown] == [("first", False), ("second", False)]


def test_a_line_that_comes_too_late_is_shown_and_says_so() -> None:
    merger = Merger(timedelta(seconds=2))
    merger.put(line(5.0, "in time"), after(5.0))
    assert [one.is_late for one in merger.ready(after(8.0))] == [False]
    merger.put(line(4.0, "too late", site="b"), after(8.0))
    [shown] = merger.ready(after(8.0))
    assert shown.is_late
    assert str(shown) == "00:00:04.000 b b-1 (late) too late"


def test_a_clock_that_is_ahead_holds_its_lines_no_longer_than_others() -> None:
    merger = Merger(timedelta(seconds=2))
    merger.put(line(3600.0), after(5.0))
    assert len(list(merger.ready(after(7.0)))) == 1
    merger.put(line(6.0, "after it"), after(7.0))
    assert [one.is_late for one in merger.ready(after(9.0))] == [False]


LINES = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 1.9), st.sampled_from("abcd")), max_size=60)


@given(LINES)
def test_lines_that_come_in_time_are_in_order_whole_and_never_late(drawn: list[tuple[float, float, str]]) -> None:
    """(when it was written, how long it was on its way, which site)"""
    merger, shown = Merger(timedelta(seconds=2)), list[Shown]()
    arrivals = sorted((at + way, at, site, number) for number, (at, way, site) in enumerate(drawn))
    for now, at, site, number in arrivals:
        shown += merger.ready(after(now))
        merger.put(line(at, str(number), site=site), after(now))
    shown += merger.ready(after(100))
    assert sorted(int(one.entry.text) for one in shown) == list(range(len(drawn)))
    times = [one.entry.at for one in shown]
    assert times == sorted(times)
    assert not any(one.is_late for one in shown)


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 30)), max_size=40))
def test_whatever_comes_late_is_shown_once_and_marked_exactly_then(drawn: list[tuple[float, float]]) -> None:
    merger, shown = Merger(timedelta(seconds=2)), list[Shown]()
    arrivals = sorted((at + way, at, number) for number, (at, way) in enumerate(drawn))
    for now, at, number in arrivals:
        shown += merger.ready(after(now))
        merger.put(line(at, str(number)), after(now))
    shown += merger.rest()
    assert sorted(int(one.entry.text) for one in shown) == list(range(len(drawn)))
    greatest = START
    for one in shown:
        assert one.is_late == (one.entry.at < greatest)
        greatest = max(greatest, one.entry.at)


NUMBERED = st.lists(st.tuples(st.sampled_from(["x", "y"]), st.integers(1, 30)), max_size=80)


@given(NUMBERED)
def test_a_numbered_line_is_new_once_by_whichever_way_it_comes(drawn: list[tuple[str, int]]) -> None:
    seen = Seen()
    new = [one for one in drawn if seen.is_new(line(0, seq=one[1], boot=one[0]))]
    assert sorted(new) == sorted(set(drawn))
    assert len(new) == len(set(drawn))


def test_numbers_far_below_the_greatest_are_known_and_take_no_room() -> None:
    seen = Seen()
    # Some never come, so that what is known has gaps all along.
    numbers = [number for number in range(1, 8 * NUMBERS_KEPT) if number % 3]
    for number in numbers:
        assert seen.is_new(line(0, seq=number))
    assert not seen.is_new(line(0, seq=1))
    assert not seen.is_new(line(0, seq=numbers[-1]))
    [known] = seen._numbers.values()
    assert NUMBERS_KEPT / 2 <= len(known._known) <= 2 * NUMBERS_KEPT


def test_numbers_that_came_one_after_the_other_take_no_room() -> None:
    seen, order = Seen(), [2, 1, 3, 6, 5, 4]
    assert all(seen.is_new(line(0, seq=number)) for number in order)
    assert not any(seen.is_new(line(0, seq=number)) for number in order)
    [known] = seen._numbers.values()
    assert not known._known


def test_lines_that_are_alike_are_as_many_as_there_are() -> None:
    seen, look = Seen(), [replace(line(1.0), nth=0), replace(line(1.0), nth=1)]
    assert [seen.is_new(one) for one in look] == [True, True]
    assert [seen.is_new(one) for one in (*look, replace(line(1.0), nth=2))] == [False, False, True]
    seen.forget(after(2.0))
    assert not seen._others


def test_our_own_lines_tell_their_time_their_request_and_their_number() -> None:
    told = {"at": "2026-01-01T00:00:03.500+00:00", "event": "sidecar.request", "boot": "b1", "seq": 7, "id": "r-1"}
    text = json.dumps(told)
    found = entry_of(LogLine(after(9.0), "a", "a-1", text))
    assert (found.at, found.request, found.boot, found.seq) == (after(3.5), "r-1", "b1", 7)
    assert json.loads(json.dumps(Shown(found).as_json()))["request"] == "r-1"


@pytest.mark.parametrize(
    "text",
    [
        "words",
        "{",
        '{"at": "never", "event": "x"}',
        '{"at": "2031-01-01T00:00:00+00:00", "event": "x", "boot": "b", "seq": 1}',
        '{"at": "2026-01-01T00:00:00+00:00", "event": ' + "[" * 5000,
    ],
)
def test_other_lines_have_the_time_that_their_store_gives(text: str) -> None:
    found = entry_of(LogLine(after(9.0), "a", "a-1", text))
    assert (found.at, found.text, found.seq) == (after(9.0), text, 0)


def test_a_number_that_is_none_makes_no_line_vanish() -> None:
    text = '{"at": "2026-01-01T00:00:00+00:00", "event": "x", "boot": "b", "seq": "1"}'
    assert entry_of(LogLine(START, "a", "a-1", text)).seq == 0


def test_a_request_is_one_short_line_at_the_gateway_too() -> None:
    told = {"at": "2026-01-01T00:00:03.500+00:00", "event": "request", "id": "r-1", "method": "POST", "site": "a"}
    told |= {"path": "/api/chat", "model": "m", "status": 200, "outcome": "answered", "attempts": 2, "ms": 12.5}
    found = gateway_entry(json.dumps(told))
    assert found is not None
    assert str(Shown(found)) == "00:00:03.500 a gateway r-1 POST /api/chat m 200 answered in 12.5 ms, 2 attempts"
    assert gateway_entry("words") is None


def test_what_is_in_the_queue_at_the_end_comes_out() -> None:
    inbox: queue.Queue[Entry] = queue.Queue()
    for number in (3, 1, 2, 2):
        inbox.put(line(float(number), seq=number))
    shown = list(merged(inbox, ManualClock(START), is_over=lambda: True))
    assert [one.entry.seq for one in shown] == [1, 2, 3]


def test_a_line_of_ollamas_has_its_requests_id_when_the_sidecar_told_it_in_time() -> None:
    merger = Merger(timedelta(seconds=2))
    gin = f'[GIN] 2026/01/01 - 00:00:05 | 200 | 1.2ms | {footprint("r-1")} | POST     "/api/chat"'
    merger.put(line(5.0, gin), after(5.0))
    merger.put(replace(line(5.4, '{"id": "r-1"}', seq=1), request="r-1"), after(6.0))
    merger.put(line(5.5, gin.replace(footprint("r-1"), footprint("r-2"))), after(6.0))
    shown = list(merger.ready(after(9.0)))
    assert [one.entry.request for one in shown] == ["r-1", "r-1", ""]
    assert str(shown[0]) == f"00:00:05.000 a a-1 r-1 {gin}"
    assert str(shown[2]).endswith(f"a-1 {shown[2].entry.text}")
