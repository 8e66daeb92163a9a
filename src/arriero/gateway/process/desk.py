"""The control port of a gateway with several workers: an order goes to all of them, and their answers become one."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any

from arriero.control import load
from arriero.control.load import GatewayLoad
from arriero.gateway.process.admin import presented_token
from arriero.gateway.process.line import LineError
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.answers import Answer, error_answer, json_answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request
from arriero.gateway.words.dialects import NATIVE
from arriero.secret import Secret

if TYPE_CHECKING:
    from arriero.gateway.process.crew import Crew


class Desk:
    """The Handler of the parent's control listener."""

    def __init__(self, crew: Crew, token: Secret) -> None:
        self._crew = crew
        self._authorization = f"Bearer {token.reveal()}".encode()
        self.limits = crew.settings.limits
        self.connections: set[ClientConnection] = set()
        self.now = crew.clock.monotonic

    def handle(self, client: ClientConnection, request: Request) -> _Order | None:
        if not hmac.compare_digest(self._authorization, presented_token(request)):
            client.answer(error_answer(NATIVE, 401, "the token is missing or wrong"))
            return None
        own = self._crew.orders.get((request.method, request.path))
        if own is not None:
            client.answer(json_answer(own(), NATIVE))
            return None
        return _Order(self._crew, client, request)

    def objection(self, _: Request) -> None:
        """Who may connect here may send."""

    def headers_for(self, _: Request) -> bytes:
        return b""

    def answered(self, request: Request, status: int, _: int, __: Record | None) -> None:
        """The workers log what they were told."""


class _Order:
    """One order on its way to the workers; the client connection's `Work`."""

    def __init__(self, crew: Crew, client: ClientConnection, request: Request) -> None:
        self._crew, self._request = crew, request
        self._client: ClientConnection | None = client
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"order {request.path}")

    def cancel(self) -> None:
        """Who gave it has gone; the workers carry it out all the same, so that they stay of one mind."""
        self._client = None

    def pause(self) -> None:
        """An answer is small."""

    def resume(self) -> None:
        """An answer is small."""

    async def _run(self) -> None:
        answer = await self._answer()
        if self._client is not None:
            self._client.answer(answer)

    async def _answer(self) -> Answer:
        request = self._request
        try:
            answers = await self._crew.ask_all(request.method, request.path, request.body)
        except LineError as error:
            return error_answer(NATIVE, 503, str(error))
        refused = [(status, body) for status, body in answers if status != 200]
        if refused:
            status, body = refused[0]
            return error_answer(NATIVE, status, str(body.get("error", "")))
        return json_answer(self._one([body for _, body in answers]), NATIVE)

    def _one(self, bodies: list[Any]) -> Any:
        if self._request.path == "/load":
            return load.together(map(GatewayLoad.from_json, bodies)).as_json()
        return self._crew.together(bodies) if self._request.path == "/status" else bodies[0]
