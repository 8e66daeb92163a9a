"""A service at a glance, out of what its gateway says and counts: what `arriero top` shows. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.observe.figures import Samples, quantile, rate

# Tokens a second are those of a few seconds; first tokens come more rarely.
RATE_SECONDS, FIRST_TOKEN_SECONDS = 5.0, 60.0
FIRST_TOKEN, FIRST_TOKEN_BY_SITE = "arriero_time_to_first_token_seconds", "arriero_site_time_to_first_token_seconds"
COST = "arriero_cost_dollars_per_hour"


@dataclass(frozen=True, slots=True)
class Row:
    """A site or a model. First tokens in seconds, None where none came in the last minute; cost in US dollars."""

    name: str
    up: int = 0
    targets: int = 0
    release: int | None = None
    running: int = 0
    waiting: int = 0
    tokens_a_second: float = 0.0
    first_token_p50: float | None = None
    first_token_p95: float | None = None
    cost_an_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Glance:
    """`whole` is the service itself, as a row."""

    service: str
    is_draining: bool
    whole: Row
    sites: tuple[Row, ...]
    models: tuple[Row, ...]
    targets: tuple[TargetStatus, ...]


@dataclass
class History:
    """What was counted in the last minute, a look a second."""

    _looks: deque[Samples] = field(default_factory=lambda: deque(maxlen=600))

    def add(self, samples: Samples) -> None:
        """Begins anew where the gateway did: its counters are lower than they were."""
        if self._looks and samples.sum("arriero_requests_total") < self._looks[-1].sum("arriero_requests_total"):
            self._looks.clear()
        self._looks.append(samples)
        while len(self._looks) > 1 and self._looks[1].at <= samples.at - FIRST_TOKEN_SECONDS:
            self._looks.popleft()

    @property
    def now(self) -> Samples:
        return self._looks[-1]

    def before(self, seconds: float) -> Samples:
        """The newest look that is so old, or the oldest there is."""
        old = [look for look in self._looks if look.at <= self.now.at - seconds]
        return old[-1] if old else self._looks[0]


def glance(status: GatewayStatus, history: History) -> Glance:
    """`history` holds one look at least."""
    now = history.now
    names = dict.fromkeys((*(target.site for target in status.targets), *now.values(COST, "site")))
    sites = tuple(_site(name, status.targets, history) for name in sorted(names))
    models = tuple(_model(name, status.targets, history) for name in _models(status.targets, now))
    return Glance(status.service, status.draining, _whole(status, sites, history), sites, models, status.targets)


def _whole(status: GatewayStatus, sites: Sequence[Row], history: History) -> Row:
    now, recent, minute = history.now, history.before(RATE_SECONDS), history.before(FIRST_TOKEN_SECONDS)
    return Row(
        status.service,
        up=sum(site.up for site in sites),
        targets=len(status.targets),
        running=sum(target.in_flight for target in status.targets),
        waiting=int(now.sum("ollama_requests_queued")),
        tokens_a_second=rate(recent, now, "ollama_eval_total"),
        first_token_p50=quantile(minute, now, FIRST_TOKEN, 0.5),
        first_token_p95=quantile(minute, now, FIRST_TOKEN, 0.95),
        cost_an_hour=now.sum(COST),
    )


def _site(name: str, targets: Sequence[TargetStatus], history: History) -> Row:
    now, minute = history.now, history.before(FIRST_TOKEN_SECONDS)
    here = [target for target in targets if target.site == name]
    return Row(
        name,
        up=sum(target.state in ("up", "suspect") for target in here),
        targets=len(here),
        release=max((target.release for target in here if target.release is not None), default=None),
        running=sum(target.in_flight for target in here),
        first_token_p50=quantile(minute, now, FIRST_TOKEN_BY_SITE, 0.5, site=name),
        first_token_p95=quantile(minute, now, FIRST_TOKEN_BY_SITE, 0.95, site=name),
        cost_an_hour=now.sum(COST, site=name),
    )


def _model(name: str, targets: Sequence[TargetStatus], history: History) -> Row:
    now, recent, minute = history.now, history.before(RATE_SECONDS), history.before(FIRST_TOKEN_SECONDS)
    return Row(
        name,
        up=sum(name in target.resident for target in targets),
        targets=sum(name in target.models for target in targets),
        waiting=int(now.sum("ollama_requests_queued", model=name)),
        tokens_a_second=rate(recent, now, "ollama_eval_total", model=name),
        first_token_p50=quantile(minute, now, FIRST_TOKEN, 0.5, model=name),
        first_token_p95=quantile(minute, now, FIRST_TOKEN, 0.95, model=name),
    )


def _models(targets: Sequence[TargetStatus], now: Samples) -> tuple[str, ...]:
    """Those that were asked for or lie in some memory; the others of a full disk would hide them."""
    asked = now.values("arriero_model_requests_total", "model")
    return tuple(sorted({*asked, *(model for target in targets for model in target.resident)}))
