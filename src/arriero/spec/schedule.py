"""When a site is off by the clock: `22:00-06:00 Europe/Berlin on weekdays, weekends`. Pure.

Times are those of the wall clock there. On a day of the list the hours named are off, those before midnight and those
after it both on that day; a day without hours is off as a whole. A switch that a clock change leaves out happens at
that change, one that it brings twice happens the first time: nothing switches twice in a night.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays", "sundays")
_GROUPS = {"weekdays": range(5), "weekends": range(5, 7)}
EXAMPLE = "22:00-06:00 Europe/Berlin on weekdays, weekends"
_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)(?: ([A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*))?(?: on (.+))?")
_LONGEST = timedelta(days=9)
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Off on these days (0: Monday) from `start` to `end`, over midnight if `end` is not later; all day if equal."""

    days: frozenset[int]
    start: time
    end: time

    def parts(self) -> tuple[tuple[time, time | None], ...]:
        """Of each of its days, in order; None: its end."""
        midnight = time()
        if self.start == self.end:
            return ((midnight, None),)
        if self.start < self.end:
            return ((self.start, self.end),)
        late = ((self.start, None),)
        return late if self.end == midnight else ((midnight, self.end), *late)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Off hours in one time zone; `text` is what the user wrote."""

    hours: tuple[Hours, ...]
    zone: ZoneInfo
    text: str


@dataclass(frozen=True, slots=True)
class Override:
    """Until then the site is awake, or off, whatever the schedule says."""

    is_off: bool
    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the site should be off, why, and when that changes next (None: not within nine days)."""

    is_off: bool
    reason: str
    until: datetime | None


def parse_value(value: object) -> Schedule:
    """As `parse`, of what stands in a spec."""
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, str):
        raise ValueError(f"is no text; write it like {EXAMPLE}")
    return parse(value)


def parse(text: str) -> Schedule:
    """Raises ValueError: `what; remedy`. A time zone said once holds for what follows."""
    found: list[Hours] = []
    zone: ZoneInfo | None = None
    for part in (piece.strip() for piece in text.split(",")):
        match = _HOURS.fullmatch(part)
        if match:
            zone = _zone(match[3]) if match[3] else zone
            days = _days(match[4]) if match[4] else frozenset(range(7))
            found.append(Hours(days, _time(match[1]), _time(match[2])))
        else:
            names, _, place = part.partition(" ")
            if place and not place.startswith("and "):
                zone, part = _zone(place), names
            found.append(Hours(_days(part), time(), time()))
    if zone is None:
        raise ValueError(f"names no time zone; write it like {EXAMPLE}")
    return Schedule(tuple(found), zone, text)


def standing(now: datetime, schedule: Schedule, overrides: Sequence[Override] = ()) -> Standing:
    """`now` is aware. The newest override that still holds counts more than the schedule."""
    for override in reversed(overrides):
        if now < override.until:
            return Standing(override.is_off, override.why, override.until)
    for start, end in _off_times(schedule, now):
        if start <= now < end:
            return Standing(True, f"off by schedule: {schedule.text}", end)
        if now < start:
            return Standing(False, f"awake by schedule: {schedule.text}", start)
    return Standing(False, f"awake by schedule: {schedule.text}", None)


def switches(schedule: Schedule, start: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
    """Each switch from `start` on, before `end`, in UTC, and whether it switches off."""
    at = start
    while (found := standing(at, schedule)).until is not None and found.until < end:
        at = found.until
        yield at, not found.is_off


def weekly(schedule: Schedule) -> tuple[tuple[int, time, bool], ...]:
    """The switches of any week by the wall clock there: weekday (0: Monday), time, and whether it switches off.

    None where it is off all the week.
    """
    pieces = sorted(
        (day * _DAY + _minute(start), day * _DAY + (_DAY if end is None else _minute(end)))
        for hours in schedule.hours
        for day in hours.days
        for start, end in hours.parts()
    )
    merged: list[tuple[int, int]] = []
    for start, end in pieces:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    if len(merged) > 1 and merged[0][0] == 0 and merged[-1][1] == 7 * _DAY:  # a night from Sunday to Monday
        merged = [*merged[1:-1], (merged[-1][0], merged[0][1])]
    if merged == [(0, 7 * _DAY)]:
        return ()
    found = [(at % (7 * _DAY), is_off) for piece in merged for at, is_off in zip(piece, (True, False), strict=True)]
    return tuple((at // _DAY, time(at % _DAY // 60, at % 60), is_off) for at, is_off in sorted(found))


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _off_times(schedule: Schedule, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From the day before `now` on, in order, those that touch made one."""
    today = now.astimezone(schedule.zone).date()
    pieces = sorted(
        (_instant(day, start, schedule.zone), _instant(day, end, schedule.zone))
        for day in (today + timedelta(days=step) for step in range(-1, _LONGEST.days))
        for hours in schedule.hours
        if day.weekday() in hours.days
        for start, end in hours.parts()
    )
    merged: list[tuple[datetime, datetime]] = []
    for start, end in pieces:
        if start >= end:
            continue  # a clock change took all of it
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    # What ends only where we look no farther has no known end.
    horizon = _instant(today + _LONGEST - timedelta(days=1), None, schedule.zone)
    yield from ((start, datetime.max.replace(tzinfo=UTC) if end >= horizon else end) for start, end in merged)


def _instant(day: date, at: time | None, zone: ZoneInfo) -> datetime:
    """That time of the wall clock in UTC; None: the day's end."""
    wall = datetime.combine(day + timedelta(days=1), time()) if at is None else datetime.combine(day, at)
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # The clock jumps over it: the change lies between what the wall's time means before it, and after it.
    early, late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    offset = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        early, late = (middle, late) if middle.astimezone(zone).utcoffset() == offset else (early, middle)
    return late


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"has no time zone {name}; write it like Europe/Berlin") from None


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for word in text.split(" and "):
        if word in _GROUPS:
            found |= set(_GROUPS[word])
        elif word in DAYS:
            found.add(DAYS.index(word))
        else:
            known = ", ".join((*_GROUPS, *DAYS))
            raise ValueError(f"has {word!r}, which is neither hours nor days; days are {known}, hours like {EXAMPLE}")
    return frozenset(found)


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"has no time {text}; write it like 22:00") from None
