"""Each target of a stage in a network namespace of its own, which lets in what the stored rules of its cloud let in.

For proofs, by `ARRIERO_STAGE_NAMESPACES=1`: it takes root, and a namespace in which the stage is alone, for it routes
loopback addresses there (`route_localnet`, table `local`). Without it targets have addresses of loopback, which all
that runs on the machine can reach.

    a client at 198.51.100.10 ─┐                            ┌─ namespace of a target, 127.N.1.1: nftables, policy drop
    a gateway at 203.0.113.1  ─┴─ the stage's namespace ────┴─ namespace of an edge, 127.N.1.2
                                  load balancers and ingresses, each with rules of its own

What a cloud does itself inside of a container, as health checks, comes from 127.N.0.1 and is let in. Programs of this
machine come from `MACHINE`. What leaves is held back where it arrives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import Problem, Refused

SETTING = "ARRIERO_STAGE_NAMESPACES"
# Of ranges that are nobody's: for documentation (RFC 5737), and of the link (RFC 3927).
MACHINE, _NEXT_HOP = "203.0.113.1", "169.254.1.1"
# What no public route leads to, and a VPN or a peering may (RFC 1918, RFC 6598).
JOINED = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
EVERY_PORT = (0, 65535)
_PLACE, _DEFAULT_ROUTE = Path("/run/netns"), "00000000"
_ROUTED = (
    'cd /proc/sys/net/ipv4 && for each in all default; do echo 0 > "conf/$each/rp_filter"'
    ' && echo 1 > "conf/$each/route_localnet"; done && echo 1 > ip_forward'
)
_PROGRAMS = {"ip": "iproute2", "nft": "nftables", "nsenter": "util-linux"}


@dataclass(frozen=True, slots=True)
class Rule:
    """TCP from a range, as `a.b.c.d/n`, to ports. Of several that fit the first counts; what none names is dropped."""

    source: str
    ports: tuple[int, int] = EVERY_PORT
    lets: bool = True

    def __str__(self) -> str:
        first, last = self.ports
        return f"ip saddr {self.source} tcp dport {first}-{last} {'accept' if self.lets else 'drop'}"


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Raises Refused where it can't be, with all that is in the way."""
    told = environment.get(SETTING, "0")
    if told == "0":
        return False
    if problems := list(_obstacles(told, environment)):
        raise Refused(problems)
    return True


def _obstacles(told: str, environment: Mapping[str, str]) -> Iterable[Problem]:
    key = f"{SETTING}={told}"
    if told != "1":
        yield Problem("neither 1 nor 0", "say 1 for namespaces", key, "environment")
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=environment.get("PATH", os.defpath)) is None:
            yield Problem(f"there is no program {program}", f"install {package}", key, "environment")
    if os.geteuid() != 0:
        yield Problem("only root can make network namespaces", "be root, or leave it out", key, "environment")
    elif any(line.split()[1] == _DEFAULT_ROUTE for line in Path("/proc/self/net/route").read_text().splitlines()):
        remedy = "start it in one of its own: ip netns add stage; ip -n stage link set lo up; ip netns exec stage …"
        yield Problem("the stage would route loopback addresses in a namespace that leads out", remedy, key)


class Namespaces:
    """Those of a stage, which has 127.`block`.0.0/16. Thread-safe. Raises OSError where a command fails."""

    def __init__(self, folder: Path, block: int) -> None:
        self._mark = f"arr{zlib.crc32(str(folder.resolve()).encode()):08x}"
        self._block, self._stage = f"127.{block}.0.0/16", f"127.{block}.0.1"
        self._leg, self._table = f"arr{block}", f"arriero{block}"
        self._lock = threading.RLock()
        self._made: dict[str, str] = {}
        self._told: dict[str, tuple[Rule, ...]] = {}
        self._doors: dict[str, tuple[Rule, ...]] = {}
        self._sweep()
        _run(["sh", "-c", _ROUTED])
        _run(["ip", "-batch", "-"], "\n".join(f"address replace {one}/32 dev lo" for one in (MACHINE, _NEXT_HOP)))
        self._filter_doors()

    def entered(self, address: str) -> list[str]:
        """What a command is to begin with to run in the namespace that has the address; it is made at need."""
        with self._lock:
            if address not in self._made:
                self._made[address] = self._make(address)
            return ["nsenter", f"--net={_PLACE / self._made[address]}"]

    def guard(self, address: str, rules: Sequence[Rule]) -> None:
        """From now on these count for who comes to the target that has the address."""
        with self._lock:
            if address in self._made and self._told.get(address) != tuple(rules):
                self._filter(address, rules)

    def guard_door(self, address: str, rules: Sequence[Rule]) -> None:
        """As `guard`, for a load balancer or an ingress that the stage itself has there."""
        with self._lock:
            if self._doors.get(address) != tuple(rules):
                self._doors[address] = tuple(rules)
                self._filter_doors()

    def remove(self, address: str) -> None:
        """Forgets the address; the way to it goes with its namespace."""
        with self._lock:
            self._told.pop(address, None)
            if name := self._made.pop(address, None):
                _run(["ip", "netns", "del", name])
            if self._doors.pop(address, None) is not None:
                self._filter_doors()

    def close(self) -> None:
        with self._lock:
            self._sweep()
            self._made.clear()
            _run(["nft", "-f", "-"], f"table inet {self._table} {{}}\ndelete table inet {self._table}\n")

    def _sweep(self) -> None:
        """Those of before, too: a stage that was killed left them."""
        for found in _PLACE.glob(f"{self._mark}-*"):
            _run(["ip", "netns", "del", found.name])

    def _make(self, address: str) -> str:
        number = "-".join(address.split(".")[2:])
        name, leg = f"{self._mark}-{number}", f"{self._leg}-{number}"
        _run(["ip", "netns", "add", name])
        _run(["nsenter", f"--net={_PLACE / name}", "sh", "-c", _ROUTED])
        outside = (
            f"link add {leg} type veth peer name home netns {name}",
            f"link set {leg} up",
            f"route replace {address} dev {leg} table local src {MACHINE}",
        )
        # Of loopback only 127.0.0.1 is its own: the other addresses of the stage are elsewhere.
        inside = (
            "link set lo up",
            "route del local 127.0.0.0/8 dev lo table local",
            f"address add {address}/32 dev home",
            "link set home up",
            f"route add {_NEXT_HOP} dev home src {address}",
            f"route add default via {_NEXT_HOP} dev home src {address}",
        )
        _run(["ip", "-batch", "-"], "\n".join(outside))
        _run(["ip", "-n", name, "-batch", "-"], "\n".join(inside))
        self._made[address] = name
        self._filter(address, ())
        return name

    def _filter(self, address: str, rules: Sequence[Rule]) -> None:
        lines = (f"ip saddr {self._stage} accept", *map(str, rules))
        _run(
            ["nsenter", f"--net={_PLACE / self._made[address]}", "nft", "-f", "-"],
            f"flush ruleset\n{_table('site', 'drop', lines)}",
        )
        self._told[address] = tuple(rules)

    def _filter_doors(self) -> None:
        """Targets find the emulated clouds at the stage's first address; from outside nothing but doors is there."""
        lines = [f"ip daddr {door} {rule}" for door, rules in self._doors.items() for rule in rules]
        lines += [f"ip daddr {door} drop" for door in self._doors]
        lines.append(f"ip saddr != 127.0.0.0/8 ip daddr {self._block} drop")
        agent = f"ip saddr 127.0.0.0/8 ip daddr {self._stage} dnat to 127.0.0.1"
        to_agent = f"chain agent {{\ntype nat hook prerouting priority -100;\n{agent}\n}}"
        whole = _table(self._table, "accept", lines, to_agent)
        _run(["nft", "-f", "-"], f"table inet {self._table} {{}}\ndelete table inet {self._table}\n{whole}")


def _table(name: str, policy: str, lines: Iterable[str], besides: str = "") -> str:
    chain = "\n".join(("ct state established,related accept", "iif lo accept", *lines))
    hook = f"type filter hook input priority 0; policy {policy};"
    return f"table inet {name} {{\nchain input {{\n{hook}\n{chain}\n}}\n{besides}\n}}\n"


def _run(command: Sequence[str], text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
