"""Where a request comes from: ranges of addresses, and the client behind proxies that are trusted. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from arriero.gateway.wire.request import Request

FORWARDED_FOR = b"x-forwarded-for"
_REMEMBERED = 1000


class Sources:
    """Ranges like `10.0.0.0/8` or single addresses; remembers its answers, a bounded number of them."""

    def __init__(self, ranges: Iterable[str]) -> None:
        """Raises ValueError for what is no range."""
        self._networks = [ipaddress.ip_network(text) for text in ranges]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        text = str(address)
        known = self._known.get(text)
        if known is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            known = self._known[text] = self._is_inside(text)
        return known

    def _is_inside(self, text: str) -> bool:
        found = _plain(text)
        return found is not None and any(found in network for network in self._networks)


def client_address(peer: str, request: Request, trusted: Sources) -> str:
    """The nearest address that is not a trusted proxy's."""
    if not trusted:
        return peer
    return nearest(peer, [value.decode("latin-1") for value in request.all_of(FORWARDED_FOR)], trusted)


def nearest(peer: str, forwarded: Iterable[str], trusted: Sources) -> str:
    """The same, of the header's lines: from the right, since a client can write the left part."""
    if peer not in trusted:
        return peer
    for part in reversed(",".join(forwarded).split(",")):
        address = _plain(part.strip())
        if address is None:
            return peer
        peer = str(address)
        if peer not in trusted:
            break
    return peer


def is_loopback(address: str) -> bool:
    found = _plain(address)
    return found is not None and found.is_loopback


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, an IPv4 one in IPv6 clothes undressed; None when it is none. A port is not understood on purpose."""
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
