"""Limits of keys that several gateways count together, and what happens while their store is away.

Who runs: a request with a key that has limits waits for the store (`Asking`, one task each, bounded by ASK_SECONDS);
what answers have used is gathered and written by one task. No stream waits for the store. While it is away nobody waits
either: it is tried again each second, by one request, and until then each gateway counts for itself (`allow`), or
requests of keys with limits are refused (`refuse`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING

from arriero.control.settings import GatewaySettings
from arriero.errors import ArrieroError, Problem
from arriero.gateway.access.guard import Caller, Refusal, too_much
from arriero.gateway.config import read_secret
from arriero.gateway.context import Context
from arriero.gateway.telling.record import Record, record_of
from arriero.gateway.wire.answers import denial
from arriero.gateway.wire.connection import ClientConnection, Work
from arriero.gateway.wire.request import Request
from arriero.secret import Secret

if TYPE_CHECKING:
    from arriero.gateway.access.store import Lease, Store

ASK_SECONDS = 0.25
WRITE_SECONDS = 2.0
TRY_AGAIN_SECONDS = 1.0
RENEW_EVERY_SECONDS = 20.0
_AWAY = Refusal(503, "the limits of this key cannot be checked now; try again soon", 2)


def open_shared(context: Context) -> SharedLimits | None:
    """None without `limits_store`; raises ArrieroError for a missing extra, or a password that can't be read."""
    settings = context.settings
    if not settings.limits_store:
        return None
    try:
        from arriero.gateway.access.store import Store
    except ModuleNotFoundError as error:
        problem = Problem(f"needs the package {error.name}", "install arriero[shared]", key="limits_store")
        raise ArrieroError(problem) from error
    return SharedLimits(context, Store(settings.limits_store, _password(settings)))


class SharedLimits:
    """Changed from the event loop's thread only."""

    def __init__(self, context: Context, store: Store) -> None:
        self._context, self._store = context, store
        self._may_pass = context.settings.limits_when_away == "allow"
        self._is_away = False
        self._try_again_at = 0.0
        self._leases: dict[Caller, Lease] = {}
        self._to_release: list[Lease] = []
        self._tokens: Counter[str] = Counter()
        self._spent: dict[str, float] = {}
        self._has_news = asyncio.Event()

    async def take(self, caller: Caller) -> Refusal | None:
        """Counts the caller's request at all gateways, or says why it is refused."""
        from arriero.gateway.access.store import FAILURES, Lease

        context = self._context
        if self._is_away and context.now() < self._try_again_at:
            return self._when_away()
        # One request finds out for all.
        self._try_again_at = context.now() + TRY_AGAIN_SECONDS
        lease = self._leases[caller] = Lease(caller.name)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                short = await self._store.take(caller.key, lease, context.timestamp())
        except (TimeoutError, *FAILURES) as error:
            self._went(error)
            return self._when_away()
        self._came_back()
        return too_much(short) if short else None

    def finished(self, record: Record) -> None:
        """A request is over that the guard has counted; before `Guard.finished`."""
        caller = record.caller
        if caller is None or not caller.is_open:
            return
        self.forget(caller)
        self._tokens[caller.name] += record.tokens_in + record.tokens_out
        self._spent[caller.name] = self._spent.get(caller.name, 0.0) + self._context.guard.price_of(record)
        self._has_news.set()

    def forget(self, caller: Caller) -> None:
        """A request was refused: a place that it took meanwhile is given back."""
        lease = self._leases.pop(caller, None)
        if lease is not None and caller.key.concurrency is not None:
            self._to_release.append(lease)
            self._has_news.set()

    def concerns(self, caller: Caller | None) -> bool:
        """Has this caller's key a limit that is counted in the store?"""
        if caller is None:
            return False
        key = caller.key
        return bool(key.requests_a_minute or key.tokens_a_minute or key.concurrency or key.spend_a_day)

    async def run(self) -> None:
        """Until cancelled; what is left to write then is written if the store is there."""
        renew_at = self._context.now() + RENEW_EVERY_SECONDS
        writing: asyncio.Task[bool] | None = None
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, renew_at - self._context.now())):
                        await self._has_news.wait()
                if self._context.now() >= renew_at:
                    renew_at = self._context.now() + RENEW_EVERY_SECONDS
                    await self._guarded(self._store.renew(tuple(self._leases.values())))
                # Broken off in the middle, nobody could say what the store has counted already.
                writing = asyncio.create_task(self._write(), name="write down what keys used")
                if not await asyncio.shield(writing):
                    await asyncio.sleep(TRY_AGAIN_SECONDS)
        finally:
            if writing is not None:
                await writing
            await self._write()
            await self._store.close()

    async def _write(self) -> bool:
        """False when it has to be done again."""
        self._has_news.clear()
        leases, self._to_release = self._to_release, []
        tokens, self._tokens = self._tokens, Counter()
        spent, self._spent = self._spent, {}
        # Leases end by themselves where giving back fails; what was used is kept until it can be told.
        await self._guarded(self._store.give_back(leases))
        if await self._guarded(self._store.add(tokens, spent, self._context.timestamp())):
            return True
        self._tokens += tokens
        for name, amount in spent.items():
            self._spent[name] = self._spent.get(name, 0.0) + amount
        self._has_news.set()
        return False

    async def _guarded(self, call: Coroutine[None, None, None]) -> bool:
        from arriero.gateway.access.store import FAILURES

        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await call
        except (TimeoutError, *FAILURES) as error:
            self._went(error)
            return False
        return True

    def _when_away(self) -> Refusal | None:
        return None if self._may_pass else _AWAY

    def _went(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            behaviour = "each gateway counts for itself" if self._may_pass else "keys with limits are refused"
            # The kind alone: a message might quote what the store was told.
            self._context.report("limits.away", store=self._store.name, why=type(error).__name__, until_back=behaviour)

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            self._context.report("limits.back", store=self._store.name)


class Asking:
    """A request that waits for the store; the client connection's `Work` until `go_on` says what comes next."""

    def __init__(
        self,
        context: Context,
        shared: SharedLimits,
        client: ClientConnection,
        request: Request,
        go_on: Callable[[], Work | None],
    ) -> None:
        self._context, self._shared = context, shared
        self._client, self._request, self._go_on = client, request, go_on
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ask the limits' store")

    def cancel(self) -> None:
        """The client has gone."""
        self._task.cancel()
        record = record_of(self._request)
        record.outcome = "gone"
        record.seconds = self._context.now() - self._request.came_at
        self._context.finished(record)

    def pause(self) -> None:
        """Nothing is sent while it waits."""

    def resume(self) -> None:
        """Nothing is sent while it waits."""

    async def _run(self) -> None:
        caller = self._request.caller
        refusal = await self._shared.take(caller) if caller else None
        client, request = self._client, self._request
        if refusal is not None and caller is not None:
            self._shared.forget(caller)
            self._context.guard.withdraw(caller)
            client.answer(denial(request.dialect, refusal))
            return
        work = self._go_on()
        if client.current is request and work is not None:
            client.work = work


def _password(settings: GatewaySettings) -> Secret | None:
    file = settings.limits_store_password_file
    return read_secret(Path(file)) if file else None
