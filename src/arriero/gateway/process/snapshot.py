"""What outlives a process: the list of targets, weights put over it, what was learnt, what keys have used, what is in
quarantine. Kept in one file (`targets_file`), or handed on in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arriero.control.messages import Targets
from arriero.control.trials import Trial
from arriero.gateway.context import Context

EVERY_SECONDS = 10.0


def taken(context: Context) -> dict[str, Any]:
    """The state of this process as JSON's values."""
    pool, now = context.pool, context.now()
    return {
        **pool.entries().as_json(),
        "weights": pool.weights(),
        "trial": asdict(pool.trial) if pool.trial else None,
        "learnt": pool.speeds.as_json(),
        "quarantine": context.quarantine.as_json(now),
        "usage": {name: list(usage.numbers()) for name, usage in context.guard.usages().items()},
    }


def restore(context: Context, state: Mapping[str, Any]) -> Targets:
    """Takes over what was learnt; returns the list of targets. Raises ValueError for what `taken` does not give."""
    try:
        targets = Targets.from_json(state)
        context.pool.set_trial(Trial.from_json({"trial": state.get("trial")}))
        context.pool.speeds.restore(state.get("learnt", {}), context.now())
        context.quarantine.restore(state.get("quarantine", {}), context.now())
        for name, numbers in state.get("usage", {}).items():
            usage = context.guard.usages().get(name)
            if usage is not None and not any(usage.numbers()[1:]):
                usage.restore([float(number) for number in numbers])
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not a gateway's state ({error!r})") from None
    return targets


def weights_of(state: Mapping[str, Any], targets: Targets) -> dict[str, int]:
    known = {entry.id for entry in targets.entries}
    return {str(name): int(weight) for name, weight in dict(state.get("weights", {})).items() if name in known}


def read(file: str, report: Callable[..., None]) -> dict[str, Any]:
    """What the file says; empty when there is none, or none that can be read: that is told, and the file kept aside."""
    path = Path(file)
    try:
        state = json.loads(path.read_bytes()) if file else {}
        if not isinstance(state, dict):
            raise ValueError("not a JSON object")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        refused(file, error, report)
        return {}
    return state


def refused(file: str, error: Exception, report: Callable[..., None]) -> None:
    """A damaged file stops no gateway: the deploying half tells the targets again."""
    report("state.ignored", file=file, why=str(error), remedy="the list of targets has to be set again")


def write(file: str, state: Mapping[str, Any]) -> None:
    """Written beside and renamed, so that a reader sees the old state or the new one; raises OSError."""
    if file:
        new = Path(f"{file}.new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(file)


def keep(context: Context) -> None:
    """Writes the state of this process now; a full disk is told, and stops nothing."""
    keep_state(context.settings.targets_file, taken(context), context.report)


def keep_state(file: str, state: Mapping[str, Any], report: Callable[..., None]) -> None:
    try:
        write(file, state)
    except OSError as error:
        report("state.unwritten", file=file, why=str(error))


async def keep_on(context: Context) -> None:
    """Every ten seconds, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        if not context.is_draining:
            keep(context)
