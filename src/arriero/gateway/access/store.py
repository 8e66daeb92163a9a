"""The store that several gateways count in: Valkey or Redis, through the library `limits` (the extra `shared`).

Requests are a sliding minute of `limits`; tokens and spend are its counters; what is open is a set of leases that a
gateway renews while it lives, so that one that was killed holds nothing for longer than LEASE_SECONDS.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.exceptions import ValkeyError

from arriero.control.keys import Key
from arriero.gateway.access.allowance import (
    DAY,
    MINUTE,
    Minute,
    Shortage,
    too_many_open,
    too_many_requests,
    too_many_tokens,
    too_much_spent,
)
from arriero.secret import Secret

LEASE_SECONDS = 60
CONNECTIONS = 32
MICRO = 1_000_000
FAILURES = (ValkeyError, OSError)
_PREFIX = "arriero"
# The store's own clock decides, so that gateways need not agree on the time.
_TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[3])
redis.call('EXPIRE', KEYS[1], 2 * ARGV[2])
return 1
"""
_RENEW = """
local now = tonumber(redis.call('TIME')[1])
for n = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[1]), ARGV[n]) end
redis.call('EXPIRE', KEYS[1], 2 * ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """One open request of a key."""

    name: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))


class Store:
    """Every call may raise one of FAILURES, or take long: the caller bounds the wait."""

    def __init__(self, address: str, password: Secret | None = None) -> None:
        """`address`: `valkey://host:port/0`; `valkeys`, `redis` and `rediss` are understood too."""
        parts = urlsplit(address)
        uri = parts._replace(scheme="valkeys" if parts.scheme in ("valkeys", "rediss") else "valkey").geturl()
        options = {"password": password.reveal()} if password else {}
        # Bounded and waiting: a slow store must not cost a connection for every request.
        pool = BlockingConnectionPool.from_url(uri, max_connections=CONNECTIONS, timeout=None, **options)
        self.name = f"{parts.hostname}:{parts.port or 6379}"
        self._client = Valkey(connection_pool=pool)
        self._counters = RedisStorage(f"async+{uri}", key_prefix=_PREFIX, connection_pool=pool)  # type: ignore[arg-type]
        self._minutes = SlidingWindowCounterRateLimiter(self._counters)
        self._take, self._renew = self._client.register_script(_TAKE), self._client.register_script(_RENEW)

    async def take(self, key: Key, lease: Lease, now: float) -> Shortage | None:
        """Counts one more request of the key everywhere, or says what it lacks. `now`: seconds since 1970."""
        found = await asyncio.gather(
            self._room(key, lease), self._tokens(key, now), self._spend(key, now), self._request(key, now)
        )
        return next((short for short in found if short), None)

    async def add(self, tokens: Mapping[str, int], spent: Mapping[str, float], now: float) -> None:
        """Counts what answers have used, by the keys' names."""
        minute, day = int(now // MINUTE), int(now // DAY)
        counts = [
            self._counters.incr(_tokens(name, minute), int(3 * MINUTE), count)
            for name, count in tokens.items()
            if count
        ]
        amounts = {name: round(amount * MICRO) for name, amount in spent.items()}
        counts += [
            self._counters.incr(_spend(name, day), int(2 * DAY), amount) for name, amount in amounts.items() if amount
        ]
        await asyncio.gather(*counts)

    async def give_back(self, leases: Iterable[Lease]) -> None:
        await asyncio.gather(*(self._client.zrem(_open(lease.name), lease.id) for lease in leases))

    async def renew(self, leases: Iterable[Lease]) -> None:
        by_name: dict[str, list[str]] = {}
        for lease in leases:
            by_name.setdefault(lease.name, []).append(lease.id)
        await asyncio.gather(
            *(self._renew([_open(name)], [LEASE_SECONDS, *ids], self._client) for name, ids in by_name.items())
        )

    async def close(self) -> None:
        await self._client.aclose(close_connection_pool=True)

    async def _room(self, key: Key, lease: Lease) -> Shortage | None:
        if key.concurrency is None:
            return None
        has_room = await self._take([_open(key.name)], [key.concurrency, LEASE_SECONDS, lease.id])
        return None if has_room else too_many_open(key)

    async def _tokens(self, key: Key, now: float) -> Shortage | None:
        if key.tokens_a_minute is None:
            return None
        index = int(now // MINUTE)
        names = [_tokens(key.name, minute) for minute in (index, index - 1)]
        count, former = await asyncio.gather(*map(self._counters.get, names))
        return too_many_tokens(key, Minute(index, count, former), now)

    async def _spend(self, key: Key, now: float) -> Shortage | None:
        if key.spend_a_day is None:
            return None
        spent = await self._counters.get(_spend(key.name, int(now // DAY)))
        return too_much_spent(key, spent / MICRO, now)

    async def _request(self, key: Key, now: float) -> Shortage | None:
        if key.requests_a_minute is None:
            return None
        minute = RateLimitItemPerMinute(key.requests_a_minute)
        if await self._minutes.hit(minute, "requests", key.name):
            return None
        stats = await self._minutes.get_window_stats(minute, "requests", key.name)
        return too_many_requests(key, min(max(stats.reset_time - now, 1.0), MINUTE))


def _open(name: str) -> str:
    return f"{_PREFIX}:open:{name}"


def _tokens(name: str, minute: int) -> str:
    return f"tokens/{name}/{minute}"


def _spend(name: str, day: int) -> str:
    return f"spend/{name}/{day}"
