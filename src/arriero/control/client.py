"""Saying it to a running gateway: one short connection an order, no state of its own."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from arriero.clock import Clock
from arriero.control.load import GatewayLoad
from arriero.control.messages import Drain, GatewayStatus, Question, Routing, Targets, Weights
from arriero.control.shipping import Shipped
from arriero.control.trials import Tallies, Trial
from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret


class GatewayError(ArrieroError):
    """The gateway did not answer, or refused the order; the problem names its address and what to do."""


class Gateway:
    """One gateway's control port, e.g. `Gateway("http://127.0.0.1:11435", token)`.

    Every method raises GatewayError when the gateway cannot be reached within `timeout_seconds` or says no.
    """

    def __init__(self, url: str, token: Secret, timeout_seconds: float = 5.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise GatewayError(Problem(f"{url!r} is not a control address", "give it as http://127.0.0.1:PORT"))
        self._host, self._port, self._token = parts.hostname, parts.port, token
        self._timeout_seconds = timeout_seconds

    def status(self) -> GatewayStatus:
        return GatewayStatus.from_json(self._ask("GET", "/status"))

    def load(self) -> GatewayLoad:
        """The work that was and is asked of it."""
        return GatewayLoad.from_json(self._ask("GET", "/load"))

    def targets(self) -> Targets:
        """The list as it was last set, without the weights that were put over it."""
        return Targets.from_json(self._ask("GET", "/targets"))

    def set_targets(self, targets: Targets) -> None:
        self._ask("PUT", "/targets", targets.as_json())

    def set_weights(self, weights: Weights) -> None:
        self._ask("PUT", "/weights", weights.as_json())

    def trial(self) -> Trial | None:
        return Trial.from_json(self._ask("GET", "/trial"))

    def set_trial(self, trial: Trial | None) -> None:
        """Deals requests so at once; None ends the trial. Kept over a restart of the gateway."""
        self._ask("PUT", "/trial", trial.as_json() if trial else {"schema": 1, "trial": None})

    def figures(self) -> str:
        """What it tells at /metrics, in Prometheus's text form."""
        return str(self._ask("GET", "/figures")["text"])

    def tallies(self) -> Tallies:
        """What each release did at each site in all trials so far: two of these tell what happened between them."""
        return Tallies.from_json(self._ask("GET", "/releases"))

    def set_shipped(self, shipped: Shipped) -> None:
        """What it tells at /metrics of the log lines that were sent away."""
        self._ask("PUT", "/shipped", shipped.as_json())

    def drain(self, *targets: str) -> None:
        """No new request goes to these targets; returns at once. `wait_until_empty` waits for the open ones."""
        self._ask("POST", "/drain", Drain(targets).as_json())

    def explain(self, question: Question) -> Routing:
        """Where such a request would go now, and why; nothing is asked of any target."""
        return Routing.from_json(self._ask("GET", "/explain", question.as_json()))

    def restart(self) -> int:
        """Has a new process take over, which reads its settings anew; returns the id of the one that ends, at once.

        `status().pid` changes when the new one serves.
        """
        return int(self._ask("POST", "/restart")["pid"])

    def wait_until_empty(self, targets: tuple[str, ...], clock: Clock, within_seconds: float) -> bool:
        """True when no request is open on these targets any more; False when that took longer than allowed."""
        deadline = clock.monotonic() + within_seconds
        while any(target.in_flight for target in self.status().targets if target.id in targets):
            if clock.monotonic() >= deadline:
                return False
            clock.sleep(0.1)
        return True

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        headers = {"Authorization": f"Bearer {self._token.reveal()}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._error(f"did not answer: {error}", "is it running? see `arriero status`") from error
        finally:
            connection.close()
        return self._understood(response.status, text)

    def _understood(self, status: int, text: bytes) -> Any:
        try:
            answer = json.loads(text or b"{}")
        except ValueError as error:
            raise self._error(f"answered {status} with no JSON", "is another program on this port?") from error
        if status == 401:
            raise self._error("refused the token", "give the token of the file named in its settings")
        if status >= 400:
            raise self._error(f"said no ({status}): {answer.get('error', '')}", "see the gateway's log")
        return answer

    def _error(self, what: str, remedy: str) -> GatewayError:
        return GatewayError(Problem(f"the gateway {what}", remedy, key=f"{self._host}:{self._port}"))
