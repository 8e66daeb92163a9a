"""What values of the section `policy` may look like; raises as `values.py` does."""

from __future__ import annotations

import re
from datetime import date, datetime

from arriero.spec.values import shown

RULE_PATTERN = "^[a-z][a-z0-9-]*$"


def rule(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(RULE_PATTERN, value) or len(value) > 64:
        raise ValueError(f"{shown(value)} is not a rule's id; write it like open-range")
    return value


def last_day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{shown(value)} is not a day; write it like 2027-01-31") from None


def sentence(value: object) -> str:
    """A reason, or the name of a licence: it stands in reports, so it is one line and not empty."""
    if not isinstance(value, str) or not value.strip() or "\n" in value or len(value) > 500:
        raise ValueError("must be one line of text; say it in a few words")
    return value.strip()
