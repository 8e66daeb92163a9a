"""What becomes of a request at the sidecar: told here, refused because all slots are taken, or passed to Ollama."""

from __future__ import annotations

import asyncio
import itertools

from arriero.clock import Clock
from arriero.control.settings import Limits
from arriero.gateway.access.origins import Origins
from arriero.gateway.sidecar.figures import CONTENT_TYPE, Figures
from arriero.gateway.sidecar.lines import FOLLOW_PATH, LINES_PATH, Lines
from arriero.gateway.sidecar.passage import Passage, changes_models, needs_slot
from arriero.gateway.sidecar.settings import SidecarSettings
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.sidecar.telling import Telling
from arriero.gateway.sidecar.upload import FilePassage
from arriero.gateway.telling.record import MODEL_LENGTH_LIMIT, Record
from arriero.gateway.wire.answers import Answer, error_answer
from arriero.gateway.wire.connection import ClientConnection, Work
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.upstream import Upstreams
from arriero.gateway.words.dialects import NATIVE
from arriero.gateway.words.naming import canonical
from arriero.gateway.words.told import STATE_PATH

_STREAMS = (STATE_PATH, FOLLOW_PATH)
_OWN_PATHS = ("/healthz", "/readyz", "/metrics", LINES_PATH, *_STREAMS)
PATH_LENGTH_LIMIT = 128
FULL = b"X-Arriero-Full: 1\r\nRetry-After: 1\r\n"


class Door:
    """The Handler of the sidecar's listener, and what its requests share. `look_now`: something may have changed;
    `taken`: a slot was taken.
    """

    def __init__(self, settings: SidecarSettings, clock: Clock, upstreams: Upstreams, lines: Lines) -> None:
        self.settings, self.upstreams = settings, upstreams
        self.home = upstreams.home(settings.ollama)
        self.tally = Tally(settings.slots)
        self.telling = Telling(self.tally)
        self.figures = Figures(clock)
        self.lines = lines
        self.limits = Limits()
        self.connections: set[ClientConnection] = set()
        self.open: set[Passage] = set()
        self.look_now, self.taken = asyncio.Event(), asyncio.Event()
        self.is_asked_for_disk = False
        self.now = clock.monotonic
        self._origins = Origins((), settings.hosts)
        self._id_count = itertools.count(1)

    def handle(self, client: ClientConnection, request: Request) -> Work | None:
        request.id = _id_of(request) or f"sidecar-{next(self._id_count):x}"
        answer = self._refusal(request) or self._own(client, request)
        if answer is not None:
            client.answer(answer)
            return None
        if request.path == STATE_PATH and request.method == "GET":
            return self.telling.start(client, request)
        if request.path == FOLLOW_PATH:
            return self.lines.start(client, request)
        if not needs_slot(request):
            self.is_asked_for_disk = self.is_asked_for_disk or changes_models(request)
            way = FilePassage if request.is_begun else Passage
            return way(self, client, request)
        return self._to_a_slot(client, request)

    def objection(self, _: Request) -> None:
        """A sidecar has no keys."""

    def headers_for(self, request: Request) -> bytes:
        return b"X-Request-Id: %b\r\n" % request.id.encode("latin-1") if request.id else b""

    def answered(self, request: Request, status: int, _: int, __: Record | None) -> None:
        outcome = "answered" if status < 400 else "refused"
        self.figures.count(request.path, status, outcome, None, b"")
        if status >= 400:
            self.tell_of(request, None, status, outcome, self.now())

    # The passages' calls

    def began(self, model: str | None, status: int) -> None:
        """The first byte of an answer came: a model that was on its way is in memory now."""
        if model and status == 200 and self.tally.is_loading(model):
            self.look()

    def ended(self, model: str | None) -> None:
        self.tally.give_back(model)
        self.telling.changed()

    def tell_of(self, request: Request, model: str | None, status: int, outcome: str, since: float) -> None:
        """A line about a request that is over; never a word of it."""
        self.lines.tell(
            "request",
            id=request.id,
            method=request.method,
            path=request.path[:PATH_LENGTH_LIMIT],
            model=(model or "")[:MODEL_LENGTH_LIMIT],
            status=status,
            outcome=outcome,
            ms=round((self.now() - since) * 1000, 1),
        )

    def look(self) -> None:
        self.look_now.set()

    # Its own steps

    def _to_a_slot(self, client: ClientConnection, request: Request) -> Work | None:
        name = request.model()
        model = canonical(name) if name else None
        if not self.tally.take(model):
            self.figures.refused += 1
            why = "it drains" if self.tally.is_draining else f"all {self.settings.slots} slots are in use"
            client.answer(error_answer(request.dialect, 503, f"this server takes no request now: {why}", FULL))
            return None
        if model and self.tally.is_loading(model):
            self.figures.saw_loading(self.tally, self.now())
            self.look()
        self.telling.changed()
        self.taken.set()
        return Passage(self, client, request, model, has_slot=True)

    def _refusal(self, request: Request) -> Answer | None:
        """403 with an empty body, as Ollama has it; its own check sees our address only."""
        if not self._origins.is_our_host(request.host or ""):
            return Answer(403, b"", b"")
        origin = request.origin
        is_foreign = bool(origin) and self._origins.is_foreign(origin, request.host)
        return Answer(403, b"", b"") if is_foreign and not self._origins.may_ask(origin) else None

    def _own(self, client: ClientConnection, request: Request) -> Answer | None:
        path = request.path
        if path not in _OWN_PATHS:
            return None
        if request.method not in ("GET", "HEAD") or (path in _STREAMS and request.method != "GET"):
            return Answer(405, b"405 method not allowed", b"text/plain", b"Allow: GET\r\n")
        if path == "/healthz":
            return Answer(200, b"ok\n")
        if path == "/readyz":
            why = self.why_not_ready()
            return Answer(503, why.encode() + b"\n") if why else Answer(200, b"ok\n")
        return None if path == STATE_PATH else self._for_some(client, path)

    def why_not_ready(self) -> str:
        """Empty when it is ready."""
        tally = self.tally
        if tally.is_draining:
            return "draining"
        if not tally.answers:
            return f"Ollama does not answer: {tally.why}"
        missing = [model for model in self.settings.models if model not in tally.on_disk]
        return f"not on disk yet: {', '.join(missing)}" if missing else ""

    def _for_some(self, client: ClientConnection, path: str) -> Answer | None:
        """Figures and lines."""
        if not self.settings.may_read_figures(client.peer):
            return error_answer(NATIVE, 403, "this is told to the ranges of ARRIERO_METRICS_SOURCES only")
        if path == "/metrics":
            return Answer(200, self.figures.text(self.tally, len(self.telling)), CONTENT_TYPE)
        return self.lines.answer() if path == LINES_PATH else None


def _id_of(request: Request) -> str:
    """The edge's id; a header can hold no line end, so it is passed on as it is."""
    text = request.known.get(b"x-request-id", b"").decode("latin-1")
    return text if len(text) <= 128 and text.isascii() and text.isprintable() else ""
