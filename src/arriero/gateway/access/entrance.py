"""Whether a request may come in, as answers: names and origins, the Front Door, API keys and their limits."""

from __future__ import annotations

from arriero.gateway.access.guard import METRICS_PATHS, OPEN_PATHS, Refusal
from arriero.gateway.access.origins import Origins
from arriero.gateway.access.sources import Sources, client_address, is_loopback
from arriero.gateway.context import Context
from arriero.gateway.wire.answers import Answer, denial, error_answer
from arriero.gateway.wire.request import Request
from arriero.gateway.words.paths import Rule

FRONT_DOOR_HEADER = b"x-azure-fdid"
_PROBED = OPEN_PATHS - {"/"} | METRICS_PATHS


class Entrance:
    def __init__(self, context: Context, origins: Origins) -> None:
        settings = context.settings
        self._context, self._origins = context, origins
        self._front_door_id = settings.front_door_id.lower().encode("latin-1", "replace")
        self._trusted = Sources(settings.trusted_proxies)
        self._metrics_sources = Sources(settings.metrics_sources)

    def wrong_way(self, request: Request) -> Answer | None:
        """403 with an empty body for foreign names and pages, as Ollama has it; an error for who evades Front Door."""
        if not self._origins.is_our_host(request.host or ""):
            return _forbidden(request)
        origin = request.origin
        if origin and self._origins.is_foreign(origin, request.host) and not self._origins.may_ask(origin):
            return _forbidden(request)
        if self._front_door_id and request.path not in _PROBED and not self._came_through_front_door(request):
            return error_answer(request.dialect, 403, "this server answers through its Front Door only")
        return None

    def without_key(self, request: Request, rule: Rule) -> Answer | None:
        """Sets the request's caller; an error when it needs a key and has none that will do."""
        guard = self._context.guard
        if not guard.has_keys:
            return None
        refusal = guard.identify(request, rule, self._context.timestamp())
        return denial(request.dialect, refusal) if refusal else None

    def objection(self, request: Request, rule: Rule) -> tuple[int, str] | None:
        """The same before the body has come, as status and sentence: nobody fills the memory without a key."""
        guard = self._context.guard
        refusal = guard.identify(request, rule, self._context.timestamp()) if guard.has_keys else None
        return (refusal.status, refusal.message) if refusal else None

    def without_sight(self, peer: str, request: Request) -> Answer | None:
        """For METRICS_PATHS: a key that may, an address that may, or (where no keys are set) this machine."""
        if request.caller is not None:
            return None
        address = client_address(peer, request, self._trusted)
        if address in self._metrics_sources:
            return None
        if self._context.guard.has_keys:
            message = "the figures need an API key with the role viewer or admin"
            return denial(request.dialect, Refusal(401, message))
        if is_loopback(address):
            return None
        return error_answer(request.dialect, 403, "the figures are told on this machine only")

    def over_limit(self, request: Request, model: str | None) -> Answer | None:
        """Counts a request with a key among its caller's; an error when the key may not do this, or not now."""
        if request.caller is None:
            return None
        refusal = self._context.guard.admit(request.caller, model, self._context.timestamp())
        return denial(request.dialect, refusal) if refusal else None

    def _came_through_front_door(self, request: Request) -> bool:
        said = [value.strip().lower() for value in request.all_of(FRONT_DOOR_HEADER)]
        return said == [self._front_door_id]


def _forbidden(request: Request) -> Answer:
    """With the path's methods where the request's is none of them (a preflight), as Ollama has it."""
    rule = request.rule
    is_wrong = rule is not None and request.method not in rule.methods
    allow = f"Allow: {', '.join(rule.methods)}\r\n".encode() if rule and is_wrong else b""
    return Answer(403, b"", b"", allow)
