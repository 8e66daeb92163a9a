"""When a scheduled action of Application Auto Scaling is due: `cron(0 22 ? * MON,TUE *)` in its time zone. Pure.

Minutes, hours and days of the week only, as names or `*` and `?`: what `arriero` writes. Others are never due, and
said so by `understands`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_CRON = re.compile(r"cron\((\d{1,2}) (\d{1,2}) [?*] \* ([A-Z,]+|[?*]) \*\)")
_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_LONGEST = timedelta(days=1)


def understands(schedule: str) -> bool:
    return _CRON.fullmatch(schedule) is not None


def last_due(schedule: str, zone: str, since: datetime, until: datetime) -> datetime | None:
    """The last minute after `since`, up to `until`, that it is due in; both are aware. It looks back a day at most."""
    match = _CRON.fullmatch(schedule)
    if match is None:
        return None
    minute, hour, days = int(match[1]), int(match[2]), match[3]
    at = until.replace(second=0, microsecond=0)
    while at > max(since, until - _LONGEST):
        local = at.astimezone(ZoneInfo(zone))
        is_day = days in ("?", "*") or _DAYS[local.weekday()] in days.split(",")
        if is_day and (local.hour, local.minute) == (hour, minute):
            return at
        at -= timedelta(minutes=1)
    return None
