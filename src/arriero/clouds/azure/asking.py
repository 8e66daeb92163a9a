"""Asking Azure for one more target, once: what a throttled request says is told to the controller, which asks again."""

from __future__ import annotations

from collections.abc import Callable

from arriero.clouds.scaling import Throttled
from arriero.errors import Problem
from arriero.plan.model import SiteRef

_WAIT_SECONDS = 60.0


def ask(ref: SiteRef, call: Callable[[], None]) -> None:
    """Raises Throttled where Azure takes no more creations for a while, and as azure-core does for all else."""
    from azure.core.exceptions import HttpResponseError

    try:
        call()
    except HttpResponseError as error:
        if error.status_code != 429:
            raise
        told = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
        wait = float(told) if told.isdecimal() else _WAIT_SECONDS
        what = f"Azure takes no more creations in {ref.region} for {wait:.0f} s (429)"
        raise Throttled(ref.site, Problem(what), wait) from error
