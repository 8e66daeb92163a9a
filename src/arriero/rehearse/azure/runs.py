"""What happens to the containers of a group: pure records, told of starts and ends by the reconciler.

States and their words are those of Microsoft's page "Azure Container Instances states"; the wording of events follows
its page on logs and events. Restarts back off as Kubernetes does (the probes' page says "exponential back off"): at
once after a first crash, then 10, 20, 40 … 300 seconds, forgotten after ten minutes of running.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS, HEALED_SECONDS = 10.0, 300.0, 600.0

Phase = Literal["pending", "initializing", "running", "stopping", "stopped", "succeeded", "failed", "evicted"]
"""stopping: the servers end, and `after_stop` says what follows; evicted: away until the region has room again."""


def stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class ContainerRun:
    """One container of a group. Moments are seconds since the epoch; `retry_at` is when it is to be started (again)."""

    name: str
    restarts: int = 0
    current: dict[str, Any] = field(default_factory=lambda: {"state": "Waiting", "detailStatus": ""})
    previous: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    started_at: float | None = None
    retry_at: float | None = 0.0
    back_off_seconds: float = 0.0
    log: str = ""
    log_start: int = 0
    log_seen: list[tuple[int, float]] = field(default_factory=list)

    def saw(self, size: int, written: float) -> None:
        """The log has so many bytes, the last of them written then."""
        if not self.log_seen or size > self.log_seen[-1][0]:
            self.log_seen.append((size, written))

    def moment_of(self, offset: int) -> float:
        """When the log's bytes up to this one had been written, as far as anybody looked."""
        return next(written for size, written in self.log_seen if size >= offset)

    def started(self, image: str, now: float) -> None:
        if not self.events:
            self.tell("Pulling", f'pulling image "{image}"', now)
            self.tell("Pulled", f'Successfully pulled image "{image}"', now)
        self.tell("Created", "Created container", now)
        self.tell("Started", "Started container", now)
        if self.current["state"] == "Terminated":
            self.previous = self.current
        self.restarts += self.previous is not None
        self.started_at, self.retry_at = now, None
        self.current = {"state": "Running", "startTime": stamp(now), "detailStatus": ""}

    def ended(self, code: int, restart_policy: str, now: float) -> None:
        """`code` as a process gives it: a negative one is the signal, which Azure shows as 128 plus its number."""
        shown = 128 - code if code < 0 else code
        began = self.started_at if self.started_at is not None else now
        ended = {
            "state": "Terminated",
            "startTime": stamp(began),
            "exitCode": shown,
            "finishTime": stamp(now),
            "detailStatus": "Completed" if shown == 0 else "Error",
        }
        self.current = ended
        if restart_policy == "Always" or (restart_policy == "OnFailure" and shown != 0):
            self._back_off(ended, now - began, now)

    def stopped(self, now: float) -> None:
        """Ended on demand: no restart, no back-off."""
        self.ended(0, "Never", now)

    def afresh(self) -> None:
        """To be started as if never before, by an update or a start of the group."""
        self.restarts, self.previous, self.started_at, self.back_off_seconds = 0, None, None, 0.0
        self.current, self.retry_at = {"state": "Waiting", "detailStatus": ""}, 0.0

    def tell(self, name: str, message: str, now: float, kind: str = "Normal") -> None:
        """Adds an event; the same one again raises its count."""
        for event in self.events:
            if (event["name"], event["message"]) == (name, message):
                event["count"] += 1
                event["lastTimestamp"] = stamp(now)
                return
        moments = {"firstTimestamp": stamp(now), "lastTimestamp": stamp(now)}
        self.events.append({"count": 1, **moments, "name": name, "message": message, "type": kind})

    def view(self) -> dict[str, Any]:
        """The container's instanceView."""
        shown: dict[str, Any] = {"restartCount": self.restarts, "currentState": self.current, "events": self.events}
        if self.previous:
            shown["previousState"] = self.previous
        return shown

    @property
    def is_over(self) -> bool:
        return self.current["state"] == "Terminated" and self.retry_at is None

    def _back_off(self, ended: dict[str, Any], ran_seconds: float, now: float) -> None:
        is_first = self.previous is None or ran_seconds >= HEALED_SECONDS
        self.back_off_seconds = (
            0.0 if is_first else min(max(self.back_off_seconds * 2, FIRST_BACK_OFF_SECONDS), LONGEST_BACK_OFF_SECONDS)
        )
        self.retry_at = now + self.back_off_seconds
        if self.back_off_seconds:
            self.previous = ended
            self.current = {"state": "Waiting", "detailStatus": "CrashLoopBackOff: Back-off restarting failed"}
            self.tell("BackOff", "Back-off restarting failed container", now, "Warning")


@dataclass
class GroupRun:
    """The containers of a group; `target` is what its servers and their address are kept under."""

    target: str
    ready_at: float = 0.0
    phase: Phase = "pending"
    after_stop: Phase = "stopped"
    init: list[ContainerRun] = field(default_factory=list)
    containers: list[ContainerRun] = field(default_factory=list)

    @classmethod
    def of(cls, saved: dict[str, Any]) -> GroupRun:
        """From a snapshot: what ran then is to be started anew, for its process ended with the stage."""
        run = cls(
            **{**saved, **{part: [ContainerRun(**one) for one in saved[part]] for part in ("init", "containers")}}
        )
        if run.phase == "stopping":
            run.phase = run.after_stop
        for container in (*run.init, *run.containers):
            if container.current["state"] == "Running" and run.phase in ("initializing", "running"):
                container.current, container.retry_at = {"state": "Waiting", "detailStatus": ""}, 0.0
        return run

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def state(self) -> str:
        """The group's instanceView.state."""
        names = {"succeeded": "Succeeded", "failed": "Failed", "stopped": "Stopped", "running": "Running"}
        return names.get(self.phase, "Running" if self.phase == "stopping" else "Pending")

    def find(self, container: str) -> ContainerRun | None:
        return next((one for one in (*self.containers, *self.init) if one.name == container), None)

    def settle(self) -> None:
        """When all containers are over for good, so is the group; a machine without any runs on."""
        if self.phase == "running" and self.containers and all(one.is_over for one in self.containers):
            failed = any(one.current["exitCode"] != 0 for one in self.containers)
            self.phase = "failed" if failed else "succeeded"
