"""Has the emulated Azure Monitor ask workspaces what log search alerts are about. Called by its thread, each minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from arriero.rehearse.azure import log_rules
from arriero.rehearse.azure.alert_messages import Change, Told
from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.log_rules import LogConditions, LogRule
from arriero.rehearse.azure.log_store import LogStore
from arriero.rehearse.azure.world import World

RULES = "microsoft.insights/scheduledqueryrules"
_LOG = logging.getLogger(__name__)


class LogAlerting:
    """`tell` hands on what changed."""

    def __init__(self, world: World, logs: LogStore, tell: Callable[[Told, Change], None]) -> None:
        self._world, self._logs, self._tell = world, logs, tell
        self._conditions: dict[str, LogConditions] = {}

    def minute(self, number: int) -> None:
        """So many have passed since the stage began; rules that are due are judged."""
        with self._world.state.lock:
            found = {key: LogRule.of(one) for key, one in self._world.state.resources.items() if type_of(key) == RULES}
        self._conditions = {key: self._conditions.get(key, LogConditions(number)) for key in found}
        for key, rule in found.items():
            if rule is not None and self._conditions[key].is_due(rule, number):
                self._judge(rule, self._conditions[key], number)

    def _judge(self, rule: LogRule, conditions: LogConditions, number: int) -> None:
        since = self._world.today - timedelta(seconds=rule.window_minutes * self._world.latency.minute_seconds)
        with self._world.state.lock:
            rows = [row for row in self._logs.lines(rule.scope) if row.at > since]
        try:
            changes = conditions.look(rule, number, rows)
        except ArmError as error:
            _LOG.warning("%s is not played: %s", rule.name, error.message)
            return
        for group, count, change in changes:
            self._tell(log_rules.told(rule, group, count), change)
