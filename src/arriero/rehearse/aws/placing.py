"""Which machine of EC2 a task goes to; pure. Rules: "How Amazon ECS places tasks on container instances" of its guide.

A task's definition says what it reserves: processors and memory as a whole, GPUs by container, and in its placement
constraints the attributes that a machine must have. Only `attribute == value` is understood of their language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_EQUALS = re.compile(r"attribute:(\S+)\s*==\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Need:
    """`cpu` in units of a 1024th of a processor, `memory` in MiB; `attributes` that a machine must have."""

    cpu: int
    memory: int
    gpus: int
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on one machine."""

    machine: str
    cpu: int
    memory: int
    gpus: int
    attributes: Mapping[str, str]

    def misses(self, need: Need) -> str:
        """Why it can't take the task, in ECS's words; empty if it can."""
        if any(self.attributes.get(name) != value for name, value in need.attributes):
            return "is missing an attribute required by your task"
        short = [word for word, has, asked in self._compared(need) if has < asked]
        return f"has insufficient {short[0]} available" if short else ""

    def without(self, need: Need) -> Room:
        return replace(self, cpu=self.cpu - need.cpu, memory=self.memory - need.memory, gpus=self.gpus - need.gpus)

    def _compared(self, need: Need) -> tuple[tuple[str, int, int], ...]:
        return (
            ("GPU resource", self.gpus, need.gpus),
            ("CPU units", self.cpu, need.cpu),
            ("memory", self.memory, need.memory),
        )


def need_of(definition: Any) -> Need:
    """Of a task definition as moto keeps it."""
    containers = definition.container_definitions
    asked = [each for one in containers for each in one.get("resourceRequirements") or () if each["type"] == "GPU"]
    constraints = [each.get("expression", "") for each in definition.placement_constraints or ()]
    return Need(
        int(definition.cpu or sum(one.get("cpu") or 0 for one in containers)),
        int(definition.memory or sum(one.get("memory") or 0 for one in containers)),
        sum(int(each["value"]) for each in asked),
        tuple((found[1], found[2]) for text in constraints if (found := _EQUALS.fullmatch(text.strip()))),
    )


def choose(need: Need, rooms: Sequence[Room]) -> Room | None:
    """The machine on which the least stays free, so that others can be let go."""
    able = [room for room in rooms if not room.misses(need)]
    return min(able, key=lambda room: (room.gpus, room.memory, room.cpu, room.machine), default=None)


def machines_for(needs: Iterable[Need], started: Sequence[Room], empty: Room) -> int:
    """How many machines have to be added to those that are being `started` for all to have room; one that fits on no
    empty machine adds none.
    """
    rooms, added = list(started), 0
    for need in needs:
        room = choose(need, rooms)
        if room is None:
            if empty.misses(need):
                continue
            added += 1
            room = replace(empty, machine=f"new {added}")
            rooms.append(room)
        rooms[rooms.index(room)] = room.without(need)
    return added


def why_not(need: Need, rooms: Sequence[Room]) -> str:
    """Of the machine that comes nearest, as ECS tells it in a service's events."""
    if not rooms:
        return "No Container Instances were found in your capacity provider."
    nearest = max(rooms, key=lambda room: (room.gpus, room.memory))
    return f"The closest matching container-instance {nearest.machine} {nearest.misses(need)}."
