"""Off hours: exact switch times over a year with both clock changes, overrides, and what is wrong in the text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from arriero.spec.schedule import Override, parse, standing, switches, weekly

NIGHTLY = "22:00-06:00 Europe/Berlin on weekdays, weekends"
BERLIN = ZoneInfo("Europe/Berlin")


def year_of(text: str, year: int) -> list[tuple[datetime, bool]]:
    schedule = parse(text)
    start = datetime(year, 1, 1, tzinfo=schedule.zone).astimezone(UTC)
    return list(switches(schedule, start, datetime(year + 1, 1, 1, tzinfo=schedule.zone).astimezone(UTC)))


@pytest.mark.parametrize("year", [2025, 2026, 2027, 2028])
def test_a_year_switches_at_six_and_at_ten_of_every_weekday_by_the_wall_clock(year: int) -> None:
    found = [(at.astimezone(BERLIN), is_off) for at, is_off in year_of(NIGHTLY, year)]
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=step) for step in range(366)]
    weekdays = [day.date() for day in days if day.weekday() < 5 and day.year == year]
    assert [at.date() for at, is_off in found if is_off] == weekdays
    assert [at.date() for at, is_off in found if not is_off] == weekdays
    assert {at.strftime("%H:%M:%S") for at, is_off in found if is_off} == {"22:00:00"}
    assert {at.strftime("%H:%M:%S") for at, is_off in found if not is_off} == {"06:00:00"}


def test_the_nights_of_the_clock_changes_are_an_hour_shorter_and_longer() -> None:
    schedule = parse("22:00-06:00 Europe/Berlin")
    spring = list(switches(schedule, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)))
    autumn = list(switches(schedule, datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)))
    assert spring == [(datetime(2026, 3, 28, 21, tzinfo=UTC), True), (datetime(2026, 3, 29, 4, tzinfo=UTC), False)]
    assert autumn == [(datetime(2026, 10, 24, 20, tzinfo=UTC), True), (datetime(2026, 10, 25, 5, tzinfo=UTC), False)]


@pytest.mark.parametrize(
    ("text", "year"),
    [(NIGHTLY, 2026), ("01:00-02:30 America/New_York", 2026),
     ("09:00-17:00 Australia/Lord_Howe on saturdays and sundays", 2027)],
)  # fmt: skip
def test_every_half_hour_agrees_with_the_wall_clock(text: str, year: int) -> None:
    schedule = parse(text)
    at = datetime(year, 1, 1, tzinfo=UTC)
    wrong = []
    found = standing(at, schedule)
    while at.year == year:
        if found.until is not None and at >= found.until:
            found = standing(at, schedule)
        wall = at.astimezone(schedule.zone)
        is_twice = wall.replace(fold=0).utcoffset() != wall.replace(fold=1).utcoffset()
        if not is_twice and found.is_off != by_the_wall(schedule, wall):
            wrong.append(wall)
        at += timedelta(minutes=30)
    assert wrong == []


def by_the_wall(schedule: object, wall: datetime) -> bool:
    for hours in schedule.hours:  # type: ignore[attr-defined]
        time = wall.time()
        within = hours.start <= time < hours.end if hours.start < hours.end else time >= hours.start or time < hours.end
        if wall.weekday() in hours.days and (within or hours.start == hours.end):
            return True
    return False


def test_a_switch_in_the_hour_that_is_left_out_happens_at_the_change() -> None:
    found = year_of("00:30-02:30 Europe/Berlin", 2026)
    assert (datetime(2026, 3, 29, 1, tzinfo=UTC), False) in found


def test_a_switch_in_the_hour_that_comes_twice_happens_once() -> None:
    found = [
        at for at, is_off in year_of("02:30-04:00 Europe/Berlin", 2026) if is_off and at.month == 10 and at.day == 25
    ]
    assert found == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_an_evening_s_override_counts_more_and_ends() -> None:
    schedule, evening = parse(NIGHTLY), datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
    woken = Override(False, evening + timedelta(hours=2), "woken for 2h")
    assert standing(evening, schedule).is_off
    assert standing(evening, schedule, [woken]) == standing(evening, schedule, [woken, Override(True, evening, "old")])
    assert not standing(evening, schedule, [woken]).is_off
    assert standing(evening + timedelta(hours=2), schedule, [woken]).is_off


def test_what_is_always_off_has_no_end() -> None:
    assert standing(datetime(2026, 5, 5, tzinfo=UTC), parse("weekdays UTC, weekends")).until == datetime.max.replace(
        tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("22:00-06:00", "names no time zone; write it like"),
        ("22:00-06:00 Europe/Berln", "has no time zone Europe/Berln; write it like Europe/Berlin"),
        ("25:00-06:00 Europe/Berlin", "has no time 25:00; write it like 22:00"),
        ("22-6 Europe/Berlin", "has '22-6', which is neither hours nor days"),
        ("22:00-06:00 Europe/Berlin on holidays", "has 'holidays', which is neither hours nor days"),
        ("", "has '', which is neither hours nor days"),
    ],
)
def test_what_is_wrong_is_told_with_its_remedy(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "switches"),
    [
        ("22:00-06:00 Europe/Berlin", "0600 on all, 2200 off all"),
        # As `parts` has it: a night belongs to its day on both sides of midnight.
        (
            "22:00-06:00 Europe/Berlin on weekdays, weekends",
            "0 2200 off, 1 0600 on, 1 2200 off, 2 0600 on, 2 2200 off, 3 0600 on, 3 2200 off, 4 0600 on, 4 2200 off, "
            "0 0600 on",
        ),
        ("weekends Europe/Berlin", "0 0000 on, 5 0000 off"),
        ("sundays UTC, 00:00-06:00 on mondays", "0 0600 on, 6 0000 off"),
        ("09:00-17:00 UTC on mondays", "0 0900 off, 0 1700 on"),
        ("weekdays UTC, weekends", ""),
    ],
)
def test_a_week_has_the_switches_that_the_wall_clock_shows(text: str, switches: str) -> None:
    expected = set()
    for each in filter(None, switches.split(", ")):
        first, second, third = each.split()
        days = range(7) if third == "all" else [int(first)]
        at, word = (first, second) if third == "all" else (second, third)
        expected |= {(day, at, word) for day in days}
    found = weekly(parse(text))
    assert {(day, f"{at:%H%M}", "off" if is_off else "on") for day, at, is_off in found} == expected
