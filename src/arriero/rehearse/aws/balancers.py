"""Application load balancers that really balance: listeners on an address of their own, health checks, draining.

What should be is moto's: load balancers, listeners, target groups and targets. Each turn of the reconciler calls
`settle`, which starts, changes and ends what differs here. Requests are passed on by `forwarding.py` in its loop's
thread. The reconciler reads states and counts; both are single values that the loop alone changes. A target that the
security groups keep from its load balancer is asked nothing, as no packet would come through.

Without rights for ports below 1024 a listener opens its port plus 10000.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.elbv2.models import elbv2_backends

from arriero.clock import Clock
from arriero.rehearse.aws import balancer_rules, firewalls
from arriero.rehearse.certificates import server_context
from arriero.rehearse.forwarding import Head, Limits, Listener, Loop, Said, Way, counted
from arriero.rehearse.meter import Usage
from arriero.rehearse.probing import Ask, Check, Count, State, probe
from arriero.rehearse.processes import Processes

_ACCOUNT = "123456789012"
_LOG = logging.getLogger(__name__)

Target = tuple[str, str]  # a group's ARN, and the address of one that is registered there


@dataclass(frozen=True, slots=True)
class Door:
    """One listener as it should be."""

    balancer: str
    address: str
    port: int
    is_https: bool


class Balancers:
    """All load balancers of the stage's AWS. `pace` is how much faster health checks pass than written."""

    def __init__(self, folder: Path, processes: Processes, clock: Clock, pace: float) -> None:
        self._folder, self._processes, self._clock, self._pace = folder, processes, clock, pace
        self._loop = Loop("load balancers of the emulated AWS")
        self._doors: dict[Door, Listener] = {}
        self._counts: dict[Target, tuple[Check, Count, Any]] = {}
        self._open: dict[Target, int] = {}
        self._blocked: frozenset[Target] = frozenset()
        self._turn = 0

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Lets go of every port first: the stage's next start opens the same ones at once."""
        for listener in self._doors.values():
            self._loop.do(listener.stop())
        self._doors.clear()
        self._loop.stop()

    def address(self, region: str, name: str) -> str:
        """What DescribeLoadBalancers shows as its DNS name: here there is no DNS."""
        return self._processes.address(f"alb.{region}.{name}")

    def release(self, region: str, name: str) -> None:
        self._processes.release(f"alb.{region}.{name}")

    def state(self, group: str, address: str) -> State:
        if (group, address) in self._blocked:
            return "unhealthy"
        found = self._counts.get((group, address))
        return found[1].state if found else "initial"

    def open_requests(self, group: str, address: str) -> int:
        return self._open.get((group, address), 0)

    def usages(self) -> list[Usage]:
        """What is billed of them by the hour."""
        found = []
        for backend in _backends():
            for arn in list(backend.load_balancers):
                tags = backend.tagging_service.get_tag_dict_for_resource(arn)
                found.append(Usage(backend.region_name, tags, {"load_balancer": 1.0}))
        return found

    def settle(self) -> None:
        """Makes listeners and checks what the API says they should be. The world's lock is held."""
        backends = _backends()
        wanted = {door for backend in backends for each in backend.load_balancers.values() for door in _doors(each)}
        for door in set(self._doors) - wanted:
            self._loop.do(self._doors.pop(door).stop())
        for door in wanted - set(self._doors):
            self._open_door(door)
        checks = {target: check for backend in backends for target, check in _checks(backend, self._pace)}
        self._blocked = frozenset(target for backend in backends for target in _blocked(backend))
        checks = {target: check for target, check in checks.items() if target not in self._blocked}
        sources = dict(pair for backend in backends for pair in _sources(backend))
        for target in [each for each, found in self._counts.items() if checks.get(each) != found[0]]:
            self._counts.pop(target)[2].cancel()
        for target, (check, port) in ((each, (check, _port(each))) for each, check in checks.items()):
            if target not in self._counts:
                count = Count(check)
                ask = Ask(source=sources.get(target[0], ""))
                asking = self._loop.begin(probe(target[1], port, check, count, ask))
                self._counts[target] = check, count, asking

    def guard(self) -> None:
        """Has each let in whom its security groups do. The world's lock is held."""
        for backend in _backends():
            for balancer in list(backend.load_balancers.values()):
                rules = tuple(firewalls.rules_of_balancer(backend.region_name, balancer))
                self._processes.guard_door(balancer.dns_name, rules)

    def _open_door(self, door: Door) -> None:
        def decide(head: Head) -> Said | Way:
            return self._decide(door, head)

        def limits() -> Limits:
            balancer = _balancer(door.balancer)
            return Limits(float(balancer.attrs["idle_timeout.timeout_seconds"])) if balancer else Limits(60)

        listener, tls = Listener(decide, limits, self._clock), self._tls(door) if door.is_https else None
        try:
            self._loop.do(listener.start(door.address, door.port, tls))
        except OSError as error:
            _LOG.error("the load balancer %s can't listen on %s:%s: %s", door.balancer, door.address, door.port, error)
        self._doors[door] = listener

    def _tls(self, door: Door) -> ssl.SSLContext:
        """Whatever certificate the ARN names: the stage makes one for the address, signed by an authority beside it."""
        folder = self._folder / "balancers" / door.address
        folder.mkdir(parents=True, exist_ok=True)
        return server_context(folder, (door.address,))[0]

    def _decide(self, door: Door, head: Head) -> Said | Way:
        listener = _listener(door)
        if listener is None or not listener.default_actions:
            return Said(503)
        action = balancer_rules.action_for(listener, head)
        if action.type == "redirect":
            return _redirected(action.data["RedirectConfig"], head, door)
        if action.type == "fixed-response":
            return balancer_rules.fixed(action)
        return self._to_a_target(_group_of(action), head, door)

    def _to_a_target(self, arn: str, head: Head, door: Door) -> Said | Way:
        """The healthy one with the fewest open requests; with none healthy, all are tried: AWS "fails open"."""
        group = next((each.target_groups[arn] for each in _backends() if arn in each.target_groups), None)
        addresses = list(group.targets) if group else []
        healthy = [each for each in addresses if self.state(arn, each) == "healthy"]
        if not addresses or group is None:
            return Said(503)
        self._turn += 1  # equals take turns
        rotated = _rotated(healthy or addresses, self._turn)
        chosen = min(rotated, key=lambda each: self.open_requests(arn, each))
        if (arn, chosen) in self._blocked:
            return Said(504)  # no packet comes back
        forwarded = ", ".join(filter(None, (head.get("x-forwarded-for"), head.peer)))
        added = {
            "X-Forwarded-For": forwarded,
            "X-Forwarded-Proto": "https" if door.is_https else "http",
            "X-Forwarded-Port": str(door.port),
        }
        port = int(group.targets[chosen]["Port"])
        return Way(chosen, port, added, counted(self._open, (arn, chosen)), source=door.address)


def _blocked(backend: Any) -> Iterable[Target]:
    """Targets that security groups keep from a load balancer whose listeners lead to them."""
    for balancer in backend.load_balancers.values():
        source = firewalls.balancer_place(backend.region_name, balancer)
        for arn in _groups_behind(balancer):
            group = backend.target_groups.get(arn)
            for address, told in list(group.targets.items()) if group else ():
                place = firewalls.address_place(backend.region_name, address)
                if place and not firewalls.lets_through(backend.region_name, source, place, int(told["Port"])):
                    yield arn, address


def _groups_behind(balancer: Any) -> set[str]:
    actions = [action for each in balancer.listeners.values() for action in balancer_rules.actions(each)]
    return {_group_of(action) for action in actions if action.type == "forward"}


def _sources(backend: Any) -> Iterable[tuple[str, str]]:
    """By a group's ARN the address of a load balancer that leads to it, from which its targets are asked."""
    for balancer in backend.load_balancers.values():
        yield from ((arn, balancer.dns_name) for arn in _groups_behind(balancer))


def _backends() -> list[Any]:
    """Of all regions in use. A list of its own: a region may come while the loop's thread looks."""
    return list(elbv2_backends[_ACCOUNT].values())


def _balancer(arn: str) -> Any:
    return next((each.load_balancers[arn] for each in _backends() if arn in each.load_balancers), None)


def _doors(balancer: Any) -> Iterable[Door]:
    for listener in balancer.listeners.values():
        yield Door(balancer.arn, balancer.dns_name, int(listener.port), listener.protocol == "HTTPS")


def _listener(door: Door) -> Any:
    balancer = _balancer(door.balancer)
    listeners = balancer.listeners.values() if balancer else ()
    return next((each for each in list(listeners) if int(each.port) == door.port), None)


def _group_of(action: Any) -> str:
    groups = (action.data.get("ForwardConfig") or {}).get("TargetGroups") or [action.data]
    return str(groups[0]["TargetGroupArn"])


def _checks(backend: Any, pace: float) -> Iterable[tuple[Target, Check]]:
    for arn, group in backend.target_groups.items():
        check = Check(
            path=group.health_check_path or "/",
            interval=float(group.health_check_interval_seconds),
            timeout=float(group.health_check_timeout_seconds),
            healthy=int(group.healthy_threshold_count),
            unhealthy=int(group.unhealthy_threshold_count),
            codes=frozenset(_codes((group.matcher or {}).get("HttpCode", "200"))),
            pace=pace,
        )
        for address in group.targets:
            yield (arn, address), check


def _port(target: Target) -> int:
    arn, address = target
    groups = (backend.target_groups.get(arn) for backend in _backends())
    return next(int(group.targets[address]["Port"]) for group in groups if group)


def _codes(text: str) -> Iterable[int]:
    """`200`, `200,204`, `200-299`."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _redirected(there: Mapping[str, str], head: Head, door: Door) -> Said:
    path, _, query = head.target.partition("?")
    words = {
        "#{host}": head.get("host").partition(":")[0],
        "#{path}": path.lstrip("/"),
        "#{query}": query,
        "#{port}": str(door.port),
        "#{protocol}": "https" if door.is_https else "http",
    }
    parts = [there.get("Protocol", "#{protocol}").lower(), there.get("Host", "#{host}"), there.get("Port", "#{port}")]
    parts += [there.get("Path", "/#{path}"), there.get("Query", "#{query}")]
    for word, value in words.items():
        parts = [part.replace(word, value) for part in parts]
    protocol, host, port, path, query = parts
    location = f"{protocol}://{host}:{port}{path}" + (f"?{query}" if query else "")
    return Said(int(there["StatusCode"].removeprefix("HTTP_")), headers={"Location": location})


def _rotated(addresses: list[str], turn: int) -> list[str]:
    first = turn % len(addresses)
    return addresses[first:] + addresses[:first]
