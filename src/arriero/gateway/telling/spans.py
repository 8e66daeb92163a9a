"""OpenTelemetry spans, one a request, sent over OTLP/HTTP. The only file that imports opentelemetry (extra `otel`).

Who runs: the SDK's own thread sends in batches and drops what its queue can't hold, so a slow collector stops nothing.
The variables OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_* and so on hold, as the SDK documents them.
"""

from __future__ import annotations

from arriero.errors import ArrieroError, Problem
from arriero.gateway.telling.record import Record
from arriero.gateway.telling.trace import SAMPLED

try:
    from opentelemetry import trace as api
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import IdGenerator, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as error:
    problem = Problem(f"spans need OpenTelemetry ({error})", "pip install 'arriero[otel]'", "otlp_endpoint")
    raise ArrieroError(problem) from None

_NANO = 1_000_000_000


class Spans:
    """`endpoint` is a collector's base address, e.g. `http://127.0.0.1:4318`."""

    def __init__(self, endpoint: str, service: str) -> None:
        self._ids = _OurIds()
        resource = Resource.create({"service.name": f"arriero-{service}"})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("arriero.gateway")

    def tell(self, record: Record, ended_at: float) -> None:
        """`ended_at` in seconds since 1970. A trace that its caller does not sample gets no span."""
        trace = record.trace
        if trace is None or not trace.flags & SAMPLED:
            return
        self._ids.next = int(trace.id, 16), int(trace.span, 16)
        start = int((ended_at - record.seconds) * _NANO)
        span = self._tracer.start_span(
            f"{record.method} {record.path}",
            _parent(record),
            api.SpanKind.SERVER,
            _attributes(record),
            start_time=start,
        )
        if record.outcome != "answered":
            span.set_status(api.StatusCode.ERROR if record.outcome in ("failed", "cut") else api.StatusCode.UNSET)
        if record.first_byte_seconds is not None:
            span.add_event("first byte", timestamp=start + int(record.first_byte_seconds * _NANO))
        span.end(int(ended_at * _NANO))

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


class _OurIds(IdGenerator):  # type: ignore[misc]
    """The ids that the target was told already."""

    next: tuple[int, int] = (0, 0)

    def generate_trace_id(self) -> int:
        return self.next[0]

    def generate_span_id(self) -> int:
        return self.next[1]


def _parent(record: Record) -> api.Context | None:
    trace = record.trace
    if trace is None or not trace.parent:
        return api.set_span_in_context(api.INVALID_SPAN)
    parent = api.SpanContext(int(trace.id, 16), int(trace.parent, 16), True, api.TraceFlags(trace.flags))
    return api.set_span_in_context(api.NonRecordingSpan(parent))


def _attributes(record: Record) -> dict[str, str | int | float]:
    """Names as in OpenTelemetry's semantic conventions where it has them; never a word of the request."""
    return {
        "http.request.method": record.method,
        "http.route": record.path,
        "http.response.status_code": record.status,
        "gen_ai.request.model": record.model,
        "gen_ai.usage.input_tokens": record.tokens_in,
        "gen_ai.usage.output_tokens": record.tokens_out,
        "arriero.request_id": record.id,
        "arriero.outcome": record.outcome,
        "arriero.site": record.site,
        "arriero.target": record.target,
        "arriero.key": record.key,
        "arriero.attempts": record.attempts,
        "arriero.migrations": record.migrations,
        "arriero.queue_ms": record.queue_seconds * 1000,
    }
