"""What values of the section `image` and of models may look like; raises as `values.py` does."""

from __future__ import annotations

import re
from datetime import date, datetime

from arriero.spec.values import IMAGE_PATTERN, image, shown

REPOSITORY_PATTERN = IMAGE_PATTERN.partition("(:[A-Za-z0-9_]")[0] + "$"
PINNED_PATTERN = IMAGE_PATTERN.replace("(@sha256:[0-9a-f]{64})?$", "@sha256:[0-9a-f]{64}$")
FINDING_PATTERN = "^[A-Za-z][A-Za-z0-9_.:-]*$"
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"


def pinned(value: object) -> str:
    """An image with its digest, so that each build begins with the same bytes."""
    text = image(value)
    if "@" not in text:
        raise ValueError(f"{text} is not pinned; write its digest behind it: {text}@sha256:…")
    return text


def repository(value: object) -> str:
    text = image(value)
    if not re.fullmatch(REPOSITORY_PATTERN, text):
        raise ValueError(f"{text} has a tag or digest; leave it to `name`, it is the same everywhere")
    return text


def finding(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(FINDING_PATTERN, value) or len(value) > 64:
        raise ValueError(f"{shown(value)} is not a finding's id; write it like CVE-2024-1234")
    return value


def digest(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(DIGEST_PATTERN, value):
        raise ValueError(f"{shown(value)} is not a digest; write it like sha256: and 64 digits of 0-9a-f")
    return value


def day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"{shown(value)} is not a day; write it like 2026-12-31") from None
