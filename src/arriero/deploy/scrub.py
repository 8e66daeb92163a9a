"""Takes known secrets out of text, should a foreign program ever repeat one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS?$|PRIVATE|_KEY$", re.IGNORECASE)
_IS_A_PLACE = re.compile(r"_(FILE|PATH|DIR|URL|LIST)$", re.IGNORECASE)
_SHORTEST = 6


class Scrubber:
    """Knows the secret values of an environment, as they are and as JSON and addresses have them; short ones (under 6
    characters) would maul ordinary words.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = {v for k, v in environment.items() if _SECRET_NAME.search(k) and not _IS_A_PLACE.search(k)}
        written = {form for value in named if len(value) >= _SHORTEST for form in _forms(value)}
        self._values = sorted(written, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "•••")
        return text


def _forms(value: str) -> tuple[str, ...]:
    in_json = [json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]
    return (value, *in_json, quote(value), quote(value, safe=""))
