"""What is said of a service out of its gateway's figures, in numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.gateway.telling import exposition
from arriero.gateway.telling.metrics import Metrics
from arriero.gateway.telling.record import Record
from arriero.observe.figures import Samples, quantile, rate, read
from arriero.observe.glance import History, glance


def counted(metrics: Metrics, at: float, *first_tokens: float, tokens: int = 10, site: str = "a") -> Samples:
    """What a gateway tells after answers whose first tokens came after so many seconds."""
    for first in first_tokens:
        record = Record("1", "POST", "/api/chat")
        record.model, record.status, record.site, record.is_stream = "m:latest", 200, site, True
        record.tokens_out, record.first_byte_seconds, record.seconds = tokens, first, first + 1
        metrics.count(record)
    return read(exposition.text(metrics.figures, ()).decode(), at)


def target(name: str, site: str, state: str = "up", **values: object) -> TargetStatus:
    return TargetStatus(name, site, "10.0.0.1:1", state, "active", 3, 100, 2, **values)  # type: ignore[arg-type]


def test_rates_and_first_tokens_are_those_of_the_last_time() -> None:
    metrics, history = Metrics(), History()
    history.add(counted(metrics, 0.0, *[30.0] * 50))
    for second in range(1, 11):
        history.add(counted(metrics, float(second), 0.2, tokens=20))
    status = GatewayStatus("llm", False, 2, (target("a-1", "a", models=("m:latest",), resident=("m:latest",)),))
    found = glance(status, history)
    assert found.whole.tokens_a_second == pytest.approx(20)
    assert found.whole.first_token_p95 == pytest.approx(0.25, abs=0.05)
    [site], [model] = found.sites, found.models
    assert (site.name, site.up, site.targets, site.release, site.running) == ("a", 1, 1, 3, 2)
    assert site.first_token_p50 == pytest.approx(0.175, abs=0.01)
    assert (model.name, model.up, model.targets) == ("m:latest", 1, 1)
    assert model.tokens_a_second == pytest.approx(20)


def test_nothing_that_came_is_no_time_at_all() -> None:
    history = History()
    history.add(counted(Metrics(), 0.0))
    found = glance(GatewayStatus("llm", True, 0, (target("a-1", "a", "down"), target("b-1", "b"))), history)
    assert found.whole.first_token_p95 is None
    assert found.whole.tokens_a_second == 0
    assert [(site.name, site.up, site.targets) for site in found.sites] == [("a", 0, 1), ("b", 1, 1)]
    assert (found.is_draining, found.models) == (True, ())


def test_a_gateway_that_began_anew_is_counted_from_then_on() -> None:
    history = History()
    history.add(counted(Metrics(), 0.0, *[1.0] * 100))
    fresh = Metrics()
    history.add(counted(fresh, 1.0, 0.1))
    history.add(counted(fresh, 2.0, 0.1))
    assert history.before(60.0).at == 1.0
    assert glance(GatewayStatus("llm", False, 0), history).whole.tokens_a_second == pytest.approx(10)


def test_a_minute_is_kept_and_no_more() -> None:
    metrics, history = Metrics(), History()
    for second in range(200):
        history.add(counted(metrics, float(second)))
    assert history.before(60.0).at == 139.0
    assert history.before(5.0).at == 194.0
    assert len(history._looks) == 61


@given(st.lists(st.floats(0.001, 800), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(firsts: list[float], part: float) -> None:
    from arriero.gateway.telling.families import SECONDS

    metrics = Metrics()
    before, now = counted(metrics, 0.0), counted(metrics, 1.0, *firsts)
    found = quantile(before, now, "arriero_time_to_first_token_seconds", part)
    true = sorted(firsts)[max(0, -(-int(part * 100) * len(firsts) // 100) - 1)]
    low = max((bound for bound in SECONDS if bound < true), default=0.0)
    high = min(bound for bound in SECONDS if bound >= true)
    assert found is not None
    assert low <= found <= high + 1e-9


def test_text_that_is_none_of_it_is_left_out() -> None:
    found = read('x 1\n# HELP x\nx{a="q\\"\\\\\\n"} 2\ny{ 3\nz nan.\n', 0.0)
    assert found.sum("x") == 3
    assert found.values("x", "a") == ('q"\\\n',)
    assert set(found.by_name) == {"x"}
    assert rate(found, found, "x") == 0
