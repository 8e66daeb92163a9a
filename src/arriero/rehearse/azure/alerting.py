"""Has the emulated Azure Monitor do what its rules say: measures container groups, and calls webhooks.

One thread looks several times a minute (of the stage's own length) at the groups that rules watch, and judges at its
end, by what was planted if anything was; then workspaces are asked what rules are about (`log_alerting.py`). Webhooks
are called in threads of their own, five times at most. Nothing is measured where no rule is, and nothing is sent to
anywhere but this machine.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from urllib.parse import urlsplit

from arriero.rehearse.azure import alert_messages, alert_rules, alert_status, group_rules
from arriero.rehearse.azure.alert_messages import Change, Told
from arriero.rehearse.azure.alert_rules import Condition, Rule
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.log_alerting import LogAlerting
from arriero.rehearse.azure.log_store import LogStore
from arriero.rehearse.azure.world import World
from arriero.rehearse.gauge import Gauge, Measurable, Measured
from arriero.rehearse.processes import Server

RULES = "microsoft.insights/metricalerts"
_GLANCES = 4  # a minute
_ATTEMPTS, _ATTEMPT_SECONDS, _PAUSE_SECONDS = 5, 10.0, 1.0
# Azure tries again where it is answered so, or not at all.
_AGAIN = (408, 429, 503, 504)
_GIGABYTE = 10**9
_LOG = logging.getLogger(__name__)

ServersOf = Callable[[str, str], Iterator[tuple[str, Server]]]


class Alerting:
    """`servers_of` gives the running servers of a region's group."""

    def __init__(self, world: World, servers_of: ServersOf, logs: LogStore) -> None:
        self._world, self._servers_of = world, servers_of
        self._logs = LogAlerting(world, logs, self._tell)
        self._gauge = Gauge()
        self._conditions: dict[str, Condition] = {}
        self._minute_seconds = world.latency.minute_seconds
        self._began = world.clock.monotonic()
        self._closed = 0
        self._senders = ThreadPoolExecutor(4, thread_name_prefix="azure webhook")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="azure monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()
        self._gauge.close()
        self._senders.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """One glance at what rules watch; at a minute's end, one judgement of each rule."""
        with self._world.state.lock:
            rules = list(self._rules())
            watched = [one for scope in {rule.scope for _, rule in rules} if (one := self._measurable(scope))]
        for name, found in (self._gauge.measure(watched) if watched else {}).items():
            self._world.minutes.add(name, found)
        minute = int((self._world.clock.monotonic() - self._began) / self._minute_seconds)
        if minute > self._closed:
            self._closed = minute
            means = self._world.minutes.close(self._world.today)
            self._conditions = {key: self._conditions.get(key, Condition()) for key, _ in rules}
            for key, rule in rules:
                self._judge(key, rule, alert_status.planted_now(self._world, rule) or means.get(rule.scope))
            self._logs.minute(minute)

    def _run(self) -> None:
        while not self._ending.wait(self._minute_seconds / _GLANCES):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a glance must not end the thread
                _LOG.error("a glance of the emulated Azure Monitor failed", exc_info=error)

    def _rules(self) -> Iterator[tuple[str, Rule]]:
        for key, found in self._world.state.resources.items():
            if type_of(key) == RULES and (rule := Rule.of(found)):
                yield key, rule

    def _measurable(self, scope: str) -> Measurable | None:
        group = self._world.find(scope)
        if group is None or "containers" not in group["properties"]:
            return None
        asked = [group_rules.requests(each) for each in group["properties"]["containers"]]
        servers = tuple(server for _, server in self._servers_of(group["location"], group["name"]))
        vcpus, memory = (sum(float(each[name]) for each in asked) for name in ("cpu", "memoryInGB"))
        return Measurable(scope, servers, vcpus, memory * _GIGABYTE) if servers else None

    def _judge(self, key: str, rule: Rule, found: Measured | None) -> None:
        percent = (found.cpu if rule.metric == "CpuUsage" else found.memory) if found else None
        value = alert_status.value_of(self._world, rule, percent)
        change = self._conditions[key].minute(rule, value)
        if not change or value is None:
            return
        self._tell(alert_rules.told(rule, value), change)

    def _tell(self, told: Told, change: Change) -> None:
        at = f"{self._world.today:%Y-%m-%dT%H:%M:%S}Z"
        words = json.dumps(alert_messages.message(told, change, at, str(uuid.uuid4()))).encode()
        for url in self._webhooks(told):
            self._senders.submit(self._send, url, words, told.name, change)

    def _webhooks(self, told: Told) -> Iterator[str]:
        for action in told.actions:
            found = self._world.find(action)
            if found is not None and found["properties"].get("enabled"):
                for each in found["properties"].get("webhookReceivers") or ():
                    yield str(each["serviceUri"])

    def _send(self, url: str, body: bytes, rule: str, change: Change) -> None:
        """The address holds the key: it is in no line of the log."""
        parts = urlsplit(url)
        if not _is_here(parts.hostname or ""):
            _LOG.warning("%s %s: the stage sends nothing off this machine", rule, change)
            return
        for _ in range(_ATTEMPTS):
            status = _posted(parts.hostname or "", parts.port or 80, f"{parts.path}?{parts.query}", body)
            if status and status not in _AGAIN:
                break
            time.sleep(_PAUSE_SECONDS)
        _LOG.info("%s %s: the webhook answered %s", rule, change, status or "nothing")


def _posted(host: str, port: int, target: str, body: bytes) -> int:
    """The status; 0 where nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=_ATTEMPT_SECONDS)
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json; charset=utf-8"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
