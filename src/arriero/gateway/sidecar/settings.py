"""The sidecar's settings, from its environment alone, so that a container needs no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeVar

from arriero.errors import ArrieroError, Problem
from arriero.gateway.wire.address import split_address
from arriero.gateway.words.naming import canonical

Network = IPv4Network | IPv6Network
Value = TypeVar("Value")

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_PORT = "an address with its port, like 127.0.0.1:11434"


@dataclass(frozen=True)
class SidecarSettings:
    """`models` have to be on disk before it is ready; `preload` are those that it keeps in memory, as many as fit.
    `first` are loaded before it takes any request.
    `metrics_sources` may read the figures besides this machine. `hosts` are the names of a load balancer before it.
    `stream_seconds` is how long a stream may keep its ECS task from being scaled in; `ecs_agent` is where that is asked
    for, empty elsewhere. It ends when the process `follow` does (0: none).
    """

    listen: str = "127.0.0.1:11434"
    ollama: str = "127.0.0.1:11435"
    slots: int = 1
    service: str = ""
    site: str = ""
    models: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    metrics_sources: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()
    drain_seconds: float = 30.0
    stream_seconds: float = 3600.0
    ecs_agent: str = ""
    follow: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> SidecarSettings:
        """Raises ArrieroError with every variable that can't be used."""
        problems: list[Problem] = []

        def value(key: str, read: Callable[[str], Value], default: Value, wanted: str) -> Value:
            text = environment.get(key, "").strip()
            try:
                return read(text) if text else default
            except ValueError:
                problems.append(Problem(f"{text!r} is not {wanted}", "correct it, or unset it", key, "environment"))
                return default

        settings = cls(
            listen=value("ARRIERO_LISTEN", _address, cls.listen, _PORT),
            ollama=value("ARRIERO_OLLAMA_ADDRESS", _address, cls.ollama, _PORT),
            slots=value("ARRIERO_SLOTS", _count, cls.slots, "a whole number above 0"),
            service=environment.get("ARRIERO_SERVICE", ""),
            site=environment.get("ARRIERO_SITE", ""),
            models=value("ARRIERO_MODELS", _models, (), "a list of models"),
            preload=value("ARRIERO_PRELOAD", _models, (), "a list of models"),
            first=value("ARRIERO_LOAD_FIRST", _models, (), "a list of models"),
            metrics_sources=value("ARRIERO_METRICS_SOURCES", _networks, (), "a list of ranges like 10.0.0.0/16"),
            hosts=tuple(_words(environment.get("ARRIERO_HOSTS", ""))),
            drain_seconds=value("ARRIERO_DRAIN_SECONDS", _seconds, cls.drain_seconds, "a number above 0"),
            stream_seconds=value("ARRIERO_STREAM_SECONDS", _seconds, cls.stream_seconds, "a number above 0"),
            ecs_agent=value("ECS_AGENT_URI", _plain_url, "", "an address that begins with http://"),
            follow=value("ARRIERO_FOLLOW", _count, 0, "a process number"),
        )
        if not problems and settings.listen == settings.ollama:
            what = f"{settings.listen} is where Ollama listens"
            problems.append(Problem(what, "give another port", "ARRIERO_LISTEN", "environment"))
        if problems:
            raise ArrieroError(problems)
        return settings

    def may_read_figures(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in (*_LOOPBACK, *self.metrics_sources))


def _address(text: str) -> str:
    split_address(text)
    return text


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError
    return number


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _models(text: str) -> tuple[str, ...]:
    return tuple(canonical(word) for word in _words(text))


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(word) for word in _words(text))


def _plain_url(text: str) -> str:
    if not text.startswith("http://"):
        raise ValueError
    return text.rstrip("/")
