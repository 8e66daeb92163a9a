"""What is asked, in work: seconds of a whole target for each second. Pure: handed `now`, POSIX seconds.

Requests weigh by their tokens: a prompt of ten thousand is not one of ten. What a request will be answered with is not
known when it comes; the mean of its model's last answers stands for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

BUCKET_SECONDS = 10.0
KEPT_SECONDS = 3 * 3600.0
# A slot of the day learns a quarter of what its newest day differs by.
NEWEST_DAY = 0.25
SLOT_SECONDS = 900.0
DAY, WEEKDAY_OF_EPOCH = 86400.0, 3
NEWEST_ANSWER = 0.02
# So many windows have to be known before their busiest says anything.
KNOWN_LEAST = 60


class Answers:
    """The mean length of the answers of each model, in tokens."""

    def __init__(self, first: float = 200.0) -> None:
        self._first = first
        self._means: dict[str, float] = {}

    def ended(self, model: str, tokens: int) -> None:
        mean = self._means.get(model)
        self._means[model] = tokens if mean is None else mean + NEWEST_ANSWER * (tokens - mean)

    def expected(self, model: str) -> float:
        return self._means.get(model, self._first)


class Demand:
    """The last hours in steps of ten seconds, and the usual day. Mutable; `asked` comes in order of time."""

    def __init__(self) -> None:
        self._done: deque[float] = deque(maxlen=int(KEPT_SECONDS / BUCKET_SECONDS))
        self._open, self._bucket = 0.0, -1
        self._season = Season()

    def asked(self, now: float, work: float) -> None:
        bucket = int(now / BUCKET_SECONDS)
        if bucket != self._bucket:
            self._close(bucket)
        self._open += work

    def level(self, now: float, seconds: float) -> float:
        """The mean of the last so many seconds; of what is known, if that is less."""
        self._close(int(now / BUCKET_SECONDS))
        count = min(len(self._done), max(1, round(seconds / BUCKET_SECONDS)))
        if not count:
            return 0.0
        newest = (self._done[-place] for place in range(1, count + 1))
        return sum(newest) / count / BUCKET_SECONDS

    def swing(self, now: float, window: float, share: float, around: float) -> float:
        """How many times the mean of the last hours' windows the one is that only `1 - share` of them are above:
        each held against the `around` seconds before it, which is what was known then. At least 1.
        """
        self._close(int(now / BUCKET_SECONDS))
        return swing(self._done, round(window / BUCKET_SECONDS), share, round(around / BUCKET_SECONDS))

    def ceiling(self, now: float, window: float, ahead: float) -> float:
        """The busiest window of the last hours, times what the usual day grows since then, `ahead` seconds more.
        A burst raises the level, and the swing has it in itself: both together are more than ever comes. Infinite while
        little is known.
        """
        self._close(int(now / BUCKET_SECONDS))
        size = max(1, round(window / BUCKET_SECONDS))
        known = list(self._done)
        if len(known) < KNOWN_LEAST * size:
            return float("inf")
        highest = max(sum(known[at : at + size]) for at in range(0, len(known) - size + 1, size))
        return highest / size / BUCKET_SECONDS * max(1.0, self.growth(now, KEPT_SECONDS, ahead))

    def growth(self, now: float, since: float, ahead: float) -> float:
        """How many times the mean of the last `since` seconds is usual from now until `ahead` seconds later."""
        return self._season.growth(now, since, ahead)

    def usual(self, now: float, ahead: float) -> float:
        """The most that the usual day asks for from now until `ahead` seconds later; 0 while that is not known."""
        return self._season.most(now, ahead)

    def learnt(self) -> list[list[float | None]]:
        """The usual day as JSON's values: quarters of an hour in UTC, of weekdays and of weekends."""
        return self._season.learnt()

    def restore(self, days: Sequence[Sequence[float | None]]) -> None:
        """What `learnt` gave. Raises ValueError or TypeError for anything else."""
        self._season.restore(days)

    def _close(self, bucket: int) -> None:
        if self._bucket < 0:
            self._bucket = bucket
        while self._bucket < bucket:
            self._done.append(self._open)
            self._season.saw(self._bucket * BUCKET_SECONDS, self._open / BUCKET_SECONDS)
            self._open = 0.0
            self._bucket += 1


def swing(buckets: Sequence[float], size: int, share: float, before: int) -> float:
    """See `Demand.swing`; `size` buckets make a window, held against the `before` buckets ahead of it."""
    known = list(buckets)
    windows = [sum(known[at : at + size]) for at in range(0, len(known) - size + 1, size)]
    near = max(1, before // size)
    ratios = []
    for place in range(near, len(windows)):
        mean = sum(windows[place - near : place]) / near
        ratios.append(windows[place] / mean if mean else 1.0)
    if len(ratios) < 10:
        return 1.0
    return max(1.0, sorted(ratios)[min(len(ratios) - 1, int(len(ratios) * share))])


class Season:
    """The usual day, in quarters of an hour, of weekdays and of weekends."""

    def __init__(self) -> None:
        slots = int(DAY / SLOT_SECONDS)
        self._usual: list[list[float | None]] = [[None] * slots, [None] * slots]
        self._sum, self._count, self._slot = 0.0, 0, (-1, -1)

    def saw(self, at: float, rate: float) -> None:
        slot = _slot(at)
        if slot != self._slot:
            self._learn()
            self._slot = slot
        self._sum += rate
        self._count += 1

    def at(self, when: float) -> float | None:
        """The usual rate then, in a line between the middles of the quarters; None if not known yet."""
        place = when / SLOT_SECONDS - 0.5
        part = place - int(place)
        first, second = self._value(int(place) * SLOT_SECONDS), self._value((int(place) + 1) * SLOT_SECONDS)
        return None if first is None or second is None else first * (1.0 - part) + second * part

    def growth(self, now: float, since: float, ahead: float) -> float:
        steps = max(1, int(since / SLOT_SECONDS))
        past = [self.at(now - since * (step + 0.5) / steps) for step in range(steps)]
        known = [each for each in past if each is not None]
        coming = [each for each in (self.at(now + ahead * part) for part in (0.0, 0.5, 1.0)) if each is not None]
        if len(known) < len(past) or len(coming) < 3 or sum(known) <= 0.0:
            return 1.0
        return max(coming) / (sum(known) / len(known))

    def most(self, now: float, ahead: float) -> float:
        known = [self.at(now + ahead * part) for part in (0.0, 0.5, 1.0)]
        return max((each for each in known if each is not None), default=0.0)

    def learnt(self) -> list[list[float | None]]:
        return [list(day) for day in self._usual]

    def restore(self, days: Sequence[Sequence[float | None]]) -> None:
        read = [[None if each is None else float(each) for each in day] for day in days]
        if [len(day) for day in read] != [len(day) for day in self._usual]:
            raise ValueError("not a week of quarters of an hour")
        self._usual = read

    def _value(self, at: float) -> float | None:
        """Nothing is known of a kind of day that was never seen: a weekend that is taken for a weekday has a morning's
        rise that never comes.
        """
        day, slot = _slot(at)
        return self._usual[day][slot]

    def _learn(self) -> None:
        if self._count:
            day, slot = self._slot
            mean, usual = self._sum / self._count, self._usual[day][slot]
            self._usual[day][slot] = mean if usual is None else usual + NEWEST_DAY * (mean - usual)
        self._sum, self._count = 0.0, 0


def _slot(at: float) -> tuple[int, int]:
    day = int(at // DAY)
    return int((day + WEEKDAY_OF_EPOCH) % 7 >= 5), int(at % DAY / SLOT_SECONDS)
