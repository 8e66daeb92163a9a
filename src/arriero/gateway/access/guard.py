"""Who asks, and may they? API keys, roles, models and limits. Pure: handed `now` (seconds since 1970).

In order: `identify` when a request's head and path are known, `admit` when its model is, `finished` once when it is
over, however it ended. Where no keys are set nobody is asked for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from arriero.control.keys import ROLES, Key, Lock, open_nothing
from arriero.gateway.access.allowance import Shortage, Usage, shortage, used
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.request import Request
from arriero.gateway.words.naming import canonical
from arriero.gateway.words.paths import Kind, Rule

# What load balancers and clients ask to see that somebody is there; it tells nothing.
OPEN_PATHS = frozenset(("/", "/healthz", "/readyz"))
METRICS_PATHS = frozenset(("/metrics", "/metrics/targets"))
_KEY_HEADERS = (b"x-api-key", b"api-key")
_SEERS = ("viewer", "admin")
_ROLES = {Kind.RUN: ("user", "admin"), Kind.WRITE: ("admin",)}
_INVALID = "the API key is not valid"
_MISSING = "this server needs an API key: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error's status and sentence; `after_seconds` for Retry-After."""

    status: int
    message: str
    after_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens, in whatever currency the keys' `spend_a_day` is meant."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, record: Record) -> float:
        return (record.tokens_in * self.tokens_in + record.tokens_out * self.tokens_out) / 1e6


class Caller:
    """Whose key a request came with; `is_open` while it counts against the key's concurrency."""

    __slots__ = ("is_open", "key", "models", "name", "usage")

    def __init__(self, key: Key, models: frozenset[str], usage: Usage) -> None:
        self.key, self.models, self.usage, self.name = key, models, usage, key.name
        self.is_open = False


@dataclass(frozen=True, slots=True)
class Credential:
    """What a text opened, while the keys are of this `edition`; `models` by canonical name, empty for all."""

    edition: int
    key: Key
    lock: Lock
    models: frozenset[str]


class Guard:
    """The keys of one gateway and what they have used. Changed from the event loop's thread only."""

    def __init__(self) -> None:
        self.has_keys = False
        self._edition = 0
        self._prices = Prices()
        self._locks: dict[str, Credential] = {}
        self._usages: dict[str, Usage] = {}
        self._keys: dict[str, Key] = {}

    def set_prices(self, prices: Prices) -> None:
        self._prices = prices

    def set_keys(self, keys: Iterable[Key]) -> None:
        """From now on a key is needed, even when none is left; what a name has used stays with the name."""
        former, self._usages, self._locks, self._keys = self._usages, {}, {}, {}
        self.has_keys = True
        self._edition += 1
        for key in keys:
            self._usages[key.name] = former.get(key.name) or Usage()
            self._keys[key.name] = key
            models = frozenset(map(canonical, key.models))
            self._locks |= {lock.id: Credential(self._edition, key, lock, models) for lock in key.locks}

    def identify(self, request: Request, rule: Rule, now: float) -> Refusal | None:
        """Sets the request's caller, or says why it is refused. /metrics without a key is left to the router."""
        if not self.has_keys or request.path in OPEN_PATHS:
            return None
        former = request.former
        # The same head has the same key, so its secret need not be compared again.
        credential = former.credential if former is not None else None
        if credential is None or credential.edition != self._edition:
            text = presented(request)
            if text is None:
                return None if request.path in METRICS_PATHS else Refusal(401, _MISSING)
            credential = self._credential(text)
            if credential is None:
                return Refusal(401, _INVALID)
            if former is not None:
                former.credential = credential
        key, until = credential.key, credential.lock.until
        if until and until.timestamp() <= now:
            return Refusal(401, _INVALID)
        if key.expires and key.expires.timestamp() <= now:
            return Refusal(401, "the API key has expired")
        request.caller, role = Caller(key, credential.models, self._usages[key.name]), key.role
        if role not in (_SEERS if request.path in METRICS_PATHS else _ROLES.get(rule.kind, ROLES)):
            return Refusal(403, f"a key with the role {role} may not do this")
        return None

    def admit(self, caller: Caller, model: str | None, now: float) -> Refusal | None:
        """Takes a request of this caller, about the model of this canonical name, into its counts."""
        refusal = (self._not_for(caller, model) if caller.models else None) or self._too_much(caller, now)
        usage = caller.usage
        if refusal:
            usage.refused_total += 1
            return refusal
        caller.is_open = True
        usage.open += 1
        usage.requests_total += 1
        usage.requests.add(1, now)
        return None

    def withdraw(self, caller: Caller) -> None:
        """It was admitted here, and refused by who counts for all gateways: it never was."""
        caller.is_open, usage = False, caller.usage
        usage.open -= 1
        usage.requests_total -= 1
        usage.refused_total += 1
        usage.requests.take_back(1)

    def finished(self, record: Record, now: float) -> None:
        """The request is over; its tokens are counted now. A second call for the same request does nothing."""
        caller = record.caller
        if caller is None or not caller.is_open:
            return
        caller.is_open, usage = False, caller.usage
        usage.open -= 1
        usage.tokens_in_total += record.tokens_in
        usage.tokens_out_total += record.tokens_out
        if record.tokens_in or record.tokens_out:
            usage.tokens.add(record.tokens_in + record.tokens_out, now)
            price = self._prices.of(record)
            if price:
                usage.spend(price, now)

    def tell_all(self) -> None:
        """Nobody else has to know what keys have used: see `together.SharedGuard`."""

    def price_of(self, record: Record) -> float:
        return self._prices.of(record)

    def usages(self) -> Mapping[str, Usage]:
        """What each name has used; for the figures, and to be kept over a restart."""
        return self._usages

    def used(self, now: float) -> Iterator[tuple[str, str, float]]:
        """Key, limit and the used part of it, for every limit of every key."""
        self._look(now)
        for name, key in self._keys.items():
            yield from ((name, limit, ratio) for limit, ratio in used(key, self._usages[name], now))

    def _look(self, now: float) -> None:
        """Nobody else counts: see `together.SharedGuard`."""

    def restore_spending(self, by_name: Mapping[str, float], day: int) -> None:
        """Takes over what a former process counted on that day (days since 1970)."""
        for name, amount in by_name.items():
            if name in self._usages:
                self._usages[name].day, self._usages[name].spent = day, amount

    def _credential(self, text: str) -> Credential | None:
        # `ak_` and the public id; whatever else it may be, only the hash of the whole text opens a lock.
        found = self._locks.get(text[3:15])
        if found is None:
            open_nothing(text)
            return None
        return found if found.lock.opens(text) else None

    def _not_for(self, caller: Caller, model: str | None) -> Refusal | None:
        if model in caller.models:
            return None
        if model is None:
            # Refused, not passed on: the target might read a model's name where we could not.
            return Refusal(403, "this key may use certain models only, and the request names none")
        return Refusal(403, f"this key may not use the model '{model}'")

    def _too_much(self, caller: Caller, now: float) -> Refusal | None:
        short = shortage(caller.key, caller.usage, now)
        return too_much(short) if short else None


def too_much(short: Shortage) -> Refusal:
    message = f"this key may {short.what} at most; try again in {short.after_seconds} s"
    return Refusal(429, message, short.after_seconds)


def presented(request: Request) -> str | None:
    """The key that a request carries: as bearer token, in `x-api-key` (Anthropic) or in `api-key` (Azure OpenAI)."""
    known = request.known
    scheme, _, token = known.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip().decode("latin-1")
    # Of two, the one that came first.
    value = next((known[name].strip() for name in known if name in _KEY_HEADERS), b"")
    return value.decode("latin-1") if value else None
