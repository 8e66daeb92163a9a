"""Takes known secrets out of text, should a foreign program ever repeat one."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIALS?$|PRIVATE|_KEY$", re.IGNORECASE)
_IS_A_PLACE = re.compile(r"_(FILE|PATH|DIR|URL|LIST)$", re.IGNORECASE)
_SHORTEST = 6


class Scrubber:
    """Knows the secret values of an environment; short ones (under 6 characters) would maul ordinary words."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = {v for k, v in environment.items() if _SECRET_NAME.search(k) and not _IS_A_PLACE.search(k)}
        self._values = sorted((v for v in named if len(v) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "•••")
        return text
