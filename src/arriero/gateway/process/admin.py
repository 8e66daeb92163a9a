"""The control port: takes orders from the deploying half, in `control.messages`, with the bearer token only."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable
from typing import Any

from arriero.control.messages import Drain, GatewayStatus, Question, Targets, Weights
from arriero.control.shipping import Shipped
from arriero.control.trials import Trial
from arriero.gateway.context import Context
from arriero.gateway.process import snapshot
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.telling import families as f
from arriero.gateway.telling import load, tallies
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.address import split_target
from arriero.gateway.wire.answers import Answer, error_answer, json_answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request
from arriero.gateway.words.dialects import NATIVE
from arriero.gateway.words.naming import canonical
from arriero.gateway.words.opening import mark_of
from arriero.secret import Secret

Orders = dict[tuple[str, str], Callable[[Any], Any]]


class Admin:
    """The Handler of the control listener; `more` are orders beside those about targets.

    `figures` tells what /metrics does.
    """

    def __init__(
        self, context: Context, token: Secret, more: Orders | None = None, figures: Callable[[], bytes] | None = None
    ) -> None:
        self._context = context
        self._authorization = f"Bearer {token.reveal()}".encode()
        self._orders: Orders = {
            **(more or {}),
            ("GET", "/state"): lambda _: snapshot.taken(context),
            ("GET", "/status"): lambda _: self._status(),
            ("GET", "/figures"): lambda _: {"schema": 1, "text": figures().decode() if figures else ""},
            ("GET", "/load"): lambda _: load.told(context).as_json(),
            ("GET", "/explain"): lambda body: self._explain(Question.from_json(body)),
            ("GET", "/targets"): lambda _: context.pool.entries().as_json(),
            ("PUT", "/targets"): self._set_targets,
            ("GET", "/trial"): lambda _: self._trial(),
            ("PUT", "/trial"): lambda body: self._set_trial(Trial.from_json(body)),
            ("GET", "/releases"): lambda _: self._releases(),
            ("PUT", "/shipped"): lambda body: self._set_shipped(Shipped.from_json(body)),
            ("PUT", "/weights"): lambda body: self._set_weights(Weights.from_json(body)),
            ("POST", "/drain"): lambda body: self._set_weights(
                Weights(dict.fromkeys(Drain.from_json(body).targets, 0))
            ),
        }
        self.limits = context.settings.limits
        self.connections: set[ClientConnection] = set()
        self.now = context.now

    def handle(self, client: ClientConnection, request: Request) -> None:
        client.answer(self._answer(request))

    def objection(self, _: Request) -> None:
        """Who may connect here may send."""

    def headers_for(self, _: Request) -> bytes:
        return b""

    def answered(self, request: Request, status: int, _: int, __: Record | None) -> None:
        # A line about lines that were sent would be sent, and told of, and so on.
        if (request.method != "GET" and request.path != "/shipped") or status >= 400:
            at = self._context.clock.now().isoformat(timespec="milliseconds")
            self._context.log.tell("order", at, method=request.method, path=request.path, status=status)

    def _answer(self, request: Request) -> Answer:
        if not hmac.compare_digest(self._authorization, presented_token(request)):
            return error_answer(NATIVE, 401, "the token is missing or wrong")
        order = self._orders.get((request.method, request.path))
        if order is None:
            return error_answer(NATIVE, 404, "there is no such order")
        try:
            return json_answer(order(json.loads(request.body or b"{}")), NATIVE)
        except KeyError as error:
            return error_answer(NATIVE, 400, f"unknown or missing: {error}")
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            return error_answer(NATIVE, 400, f"not understood: {error}")

    def _status(self) -> dict[str, Any]:
        context = self._context
        status = GatewayStatus(
            context.settings.service, context.is_draining, len(context.open), context.pool.status(), os.getpid()
        )
        return status.as_json()

    def _explain(self, question: Question) -> dict[str, Any]:
        context, model = self._context, canonical(question.model)
        mark = mark_of({"prompt": question.prompt})
        ask = context.queue.admission.ask(model, "", mark) if context.queue else Ask(model, mark=mark)
        return context.pool.explain(ask, context.now()).as_json()

    def _set_targets(self, body: Any) -> dict[str, Any]:
        targets = Targets.from_json(body)
        for entry in targets.entries:
            split_target(entry.address)
            if entry.slots < 1 or entry.weight < 0:
                raise ValueError(f"{entry.id}: slots start at 1, weights at 0")
        apply_targets(self._context, targets)
        snapshot.keep(self._context)
        return {}

    def _trial(self) -> dict[str, Any]:
        trial = self._context.pool.trial
        return trial.as_json() if trial else {"schema": 1, "trial": None}

    def _set_trial(self, trial: Trial | None) -> dict[str, Any]:
        self._context.pool.set_trial(trial)
        snapshot.keep(self._context)
        return {}

    def _releases(self) -> dict[str, Any]:
        context = self._context
        return tallies.told((context.metrics.figures, *context.beside)).as_json()

    def _set_shipped(self, shipped: Shipped) -> dict[str, Any]:
        metrics = self._context.metrics
        metrics.set(f.SHIPPED, [((), shipped.sent)])
        metrics.set(f.SHIP_LOST, [(("full",), shipped.dropped), (("refused",), shipped.refused)])
        metrics.set(f.SHIP_FAILURES, [((), shipped.failures)])
        metrics.set(f.SHIP_WAITING, [((), shipped.waiting)])
        return {}

    def _set_weights(self, weights: Weights) -> dict[str, Any]:
        if any(weight < 0 for weight in weights.by_target.values()):
            raise ValueError("weights start at 0")
        self._context.tell(self._context.pool.set_weights(weights.by_target))
        snapshot.keep(self._context)
        return {}


def apply_targets(context: Context, targets: Targets) -> None:
    """Makes this the list of targets, and has new ones probed at once."""
    context.tell(context.pool.set_targets(targets))
    context.upstreams.keep_only({target.entry.address for target in context.pool})
    context.look_now.set()


def presented_token(request: Request) -> bytes:
    """What stands in the Authorization header; empty without one."""
    return request.known.get(b"authorization", b"")
