"""Who may change what models there are, and where: only at targets whose site says so, and only with an admin's key."""

from __future__ import annotations

from arriero.gateway.access.entrance import Entrance
from arriero.gateway.context import Context
from arriero.gateway.relay.changing import PUSH, Changing
from arriero.gateway.relay.uploading import Uploading
from arriero.gateway.routing.target import Target
from arriero.gateway.wire.answers import Answer, error_answer, try_again
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request
from arriero.gateway.words.dialects import NATIVE
from arriero.gateway.words.naming import canonical

FIXED = "the models of this service are fixed when it is deployed; change `models` in its spec and deploy"
NO_KEYS = "changing models needs an API key with the role admin; make one with: arriero keys add NAME --role admin"
RETRY_AFTER_SECONDS = 5


class Writing:
    def __init__(self, context: Context, entrance: Entrance) -> None:
        self._context, self._entrance = context, entrance

    def out_of_place(self) -> Answer | None:
        """Before anybody's key is looked at: what can't be done here by anyone."""
        return None if self._writable() else error_answer(NATIVE, 403, FIXED)

    def start(self, client: ClientConnection, request: Request) -> Changing | None:
        """For a request whose key, if there are any, has been looked at: begins it, or answers why not."""
        context, name = self._context, request.model()
        if not context.guard.has_keys:
            client.answer(error_answer(NATIVE, 403, NO_KEYS))
            return None
        model = canonical(name) if name else ""
        targets = self._writable()
        if request.path == PUSH:
            # What all of them hold is the same; it is sent out once.
            targets = [target for target in targets if target.has(model) and target.can_take][:1]
            if not targets:
                client.answer(error_answer(NATIVE, 404, f"model '{name or ''}' not found"))
                return None
        for target in targets:
            if not target.can_take:
                what = f"no model is changed: target {target.entry.id} is {target.state}, and it has to be done at all"
                client.answer(try_again(NATIVE, f"{what} targets; try again soon", RETRY_AFTER_SECONDS))
                return None
        refusal = self._entrance.over_limit(request, model or None)
        if refusal is not None:
            client.answer(refusal)
            return None
        request.id = request.id or context.new_id()
        way = Uploading if request.is_begun else Changing
        return way(context, client, request, model, targets)

    def _writable(self) -> list[Target]:
        """Those that stay: what is being drained goes soon."""
        return [target for target in self._context.pool if target.entry.is_writable and target.weight]
