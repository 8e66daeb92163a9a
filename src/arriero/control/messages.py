"""What the deploying half says to a gateway, and what it hears: frozen values with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

TargetStanding = Literal["new", "up", "suspect", "down", "draining"]


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One Ollama server the gateway may use, answering `slots` requests at a time.

    `address` is `host:port`, or `https://host:port` for one that is spoken to over TLS.
    `weight` 0 stops new requests there (draining). Where targets of the same role differ in `cost` (in any unit), the
    dearer ones get what the cheaper ones can't serve soon. `room` is how many models fit in memory at once (0: learnt).
    `is_writable`: its models may be changed by who has an admin key.
    """

    id: str
    site: str
    address: str
    role: Literal["active", "standby"] = "active"
    release: int | None = None
    weight: int = 100
    slots: int = 4
    cost: float = 0.0
    room: int = 0
    is_writable: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """The whole list of targets, replacing the former one; what is left out is drained and forgotten.

    `wakes` are models for which targets are started when a request waits, though none runs now.
    """

    entries: tuple[TargetEntry, ...]
    wakes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "targets": [asdict(entry) for entry in self.entries], "wakes": list(self.wakes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Targets:
        entries = tuple(TargetEntry(**entry) for entry in data["targets"])
        return cls(entries, tuple(str(model) for model in data.get("wakes", ())))


@dataclass(frozen=True, slots=True)
class Weights:
    """Shares of the traffic by target id, over what the list of targets says, until the target leaves; 0 drains it."""

    by_target: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "weights": dict(self.by_target)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Weights:
        return cls({str(target): int(weight) for target, weight in data["weights"].items()})


@dataclass(frozen=True, slots=True)
class Drain:
    """These targets get no new request; what runs there goes on to its end."""

    targets: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "drain": list(self.targets)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Drain:
        return cls(tuple(str(target) for target in data["drain"]))


@dataclass(frozen=True, slots=True)
class Question:
    """Where would a request that runs `model` go now? `prompt` begins its conversation, which may have a home."""

    model: str
    prompt: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Question:
        return cls(str(data["model"]), str(data.get("prompt", "")))


@dataclass(frozen=True, slots=True)
class Reason:
    """One target: what the request would find there, the seconds to its first token, and what counts against it.

    `penalty` is in seconds, too; both are 0 where the target can't serve it at all, and `finds` says why. `can_now`: it
    would not have to wait.
    """

    target: str
    site: str
    finds: str
    seconds: float
    penalty: float
    can_now: bool


@dataclass(frozen=True, slots=True)
class Routing:
    """`chosen` is a target's id, or empty when the request would wait or be refused; `outcome` says it in words."""

    model: str
    chosen: str
    outcome: str
    targets: tuple[Reason, ...]

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Routing:
        reasons = tuple(Reason(**reason) for reason in data["targets"])
        return cls(data["model"], data["chosen"], data["outcome"], reasons)


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target as the gateway sees it: its models on disk, those in memory, and the requests open there."""

    id: str
    site: str
    address: str
    state: TargetStanding
    role: str
    release: int | None
    weight: int
    in_flight: int
    models: tuple[str, ...] = ()
    resident: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TargetStatus:
        lists = {key: tuple(data[key]) for key in ("models", "resident")}
        return cls(**{**data, **lists})


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The gateway's own view: is it draining, how many requests are open, and every target it knows."""

    service: str
    draining: bool
    in_flight: int
    targets: tuple[TargetStatus, ...] = field(default=())
    pid: int = 0
    workers: int = 1

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GatewayStatus:
        targets = tuple(TargetStatus.from_json(target) for target in data["targets"])
        return cls(
            data["service"], data["draining"], data["in_flight"], targets, data.get("pid", 0), data.get("workers", 1)
        )
