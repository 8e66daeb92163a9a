"""Lines as OTLP over HTTP has them, in Protobuf. Imports opentelemetry (extra `otel`).

Service, site, target and source are a resource's, under the names of OpenTelemetry's conventions where there are such.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.observe.shipping.line import Line

try:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
    )
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
except ImportError as error:
    problem = Problem(f"OTLP needs OpenTelemetry ({error})", "pip install 'arriero[otel]'", "logs.ship.to")
    raise ArrieroError(problem) from None

PATH, CONTENT_TYPE = "/v1/logs", "application/x-protobuf"
# https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
_SEVERITIES = {"debug": 5, "info": 9, "warn": 13, "error": 17, "unknown": 0}
_NAMES = {
    "service": "service.name", "target": "service.instance.id", "site": "arriero.site", "source": "arriero.source",
}  # fmt: skip
_TRACE_DIGITS = 32


def body(lines: Sequence[Line]) -> bytes:
    """A resource for each site, target and source; within each the lines in the order given."""
    resources: dict[tuple[tuple[str, str], ...], Any] = {}
    request = ExportLogsServiceRequest()
    for line in lines:
        key = tuple((name, line.labels[name]) for name in _NAMES)
        if key not in resources:
            scope = ScopeLogs(scope={"name": "arriero"})
            resources[key] = ResourceLogs(resource={"attributes": _pairs(dict(key))}), scope
        resources[key][1].log_records.append(_record(line))
    for resource, scope in resources.values():
        resource.scope_logs.append(scope)
        request.resource_logs.append(resource)
    return bytes(request.SerializeToString())


def refused(answer: bytes) -> int:
    """How many of the lines it refused, by a good answer."""
    with contextlib.suppress(DecodeError):
        return int(ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records)
    return 0


def _record(line: Line) -> Any:
    level = line.labels["level"]
    beside = {f"arriero.{name}": value for name, value in line.beside.items() if name != "trace"}
    record = LogRecord(
        time_unix_nano=line.nanoseconds,
        severity_number=_SEVERITIES[level],
        severity_text="" if level == "unknown" else level.upper(),
        body=AnyValue(string_value=line.text),
        attributes=_pairs(beside),
    )
    trace = line.beside.get("trace", "")
    if len(trace) == _TRACE_DIGITS:
        with contextlib.suppress(ValueError):
            record.trace_id = bytes.fromhex(trace)
    return record


def _pairs(values: Mapping[str, str]) -> list[Any]:
    return [KeyValue(key=_NAMES.get(name, name), value=AnyValue(string_value=value)) for name, value in values.items()]
