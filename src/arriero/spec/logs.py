"""The spec's section `logs`: how long the clouds keep the targets' logs, and where else all lines go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from arriero.spec import logs_values as of_logs
from arriero.spec import values
from arriero.spec.gateway_values import COLLECTOR_PATTERN
from arriero.spec.section import Section

Receiver = Annotated[str, BeforeValidator(of_logs.receiver), values.schema(COLLECTOR_PATTERN)]
File = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]


class Ship(Section):
    """Where the lines of gateway, sidecars and Ollama are sent as they come, by the controller."""

    to: Literal["loki", "otlp"] = Field(description="What is spoken there: Loki's push API, or OTLP over HTTP.")
    url: Receiver = Field(description="The server; the protocol's own path is added, if it is not there.")
    headers_file: File | None = Field(
        default=None, description="A file of header lines, such as Authorization: Bearer ...; mode 0600."
    )


class Logs(Section):
    """How long the clouds keep the targets' logs, and where else all lines go."""

    retention_days: Annotated[int, Field(strict=True, ge=1, le=3653)] = Field(
        default=30, description="Days; CloudWatch has certain numbers only, such as 7, 30, 90 or 365."
    )
    to_workspace: bool = Field(
        default=False,
        strict=True,
        description="Azure: a workspace of Log Analytics keeps each site's lines so long; alone, ACI keeps 4 MB.",
    )
    ship: Ship | None = Field(default=None, description="Where all lines are sent as they come.")
