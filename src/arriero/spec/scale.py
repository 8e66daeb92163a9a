"""The key `scale`: how many targets a site runs, and who changes that number."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from arriero.spec import scale_values, values
from arriero.spec.schedule import Schedule, parse_value
from arriero.spec.section import Section
from arriero.spec.units import Duration, Percent

By = Literal["load", "cloud", "hand"]
Wait = Annotated[Duration, values.above_zero]
Share = Annotated[Percent, values.a_share]


class Track(Section):
    """What the cloud's own scaling keeps to, as a mean of the site's targets. More start above it, fewer run below."""

    cpu: Share | None = Field(default=None, description="Of the processors that `size` gives a target.")
    memory: Share | None = Field(default=None, description="Of the memory that `size` gives a target.")
    requests: Annotated[int, Field(strict=True, ge=1, le=1024)] | None = Field(
        default=None, description="Open and waiting requests a target, which `arriero controller run` tells CloudWatch."
    )

    @property
    def goals(self) -> dict[str, float]:
        """By metric what it is to be kept at: percent of cpu and memory, a number of requests."""
        shares = {"cpu": self.cpu, "memory": self.memory}
        told = {name: round(100 * share, 4) for name, share in shares.items() if share is not None}
        return told if self.requests is None else {**told, "requests": float(self.requests)}


class Cooldown(Section):
    """How long the cloud waits after a change of its own before the next one in the same direction."""

    out: Wait = Field(default=Duration(60), description="After more were started; a greater step still goes at once.")
    in_: Wait = Field(default=Duration(300), alias="in", description="After fewer were left.")


class Alerts(Section):
    """How Azure Monitor wakes `arriero controller run`: it has a webhook called when a target passes a goal."""

    url: Annotated[str, BeforeValidator(scale_values.webhook), values.schema(scale_values.WEBHOOK_PATTERN)] = Field(
        description="Where Azure reaches the controller, like https://ops.example.com/alerts."
    )
    key_file: Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})] = (
        Field(description="The file with the key that has to come along; its path starts at this file.")
    )
    address: Annotated[str, BeforeValidator(values.host), values.schema(values.ADDRESS_PATTERN)] = Field(
        default="127.0.0.1",
        description="Where the controller listens for it; off this machine behind a proxy with TLS.",
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = Field(default=11480, description="The port there.")


Hours = Annotated[
    Schedule,
    PlainValidator(parse_value),
    PlainSerializer(lambda found: found.text),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["07:30-18:00 Europe/Berlin on weekdays"]}),
]


class Prewarm(Section):
    """Hours before whose load targets are to run already."""

    hours: Hours = Field(description="When, in the words of off hours: 07:30-18:00 Europe/Berlin on weekdays.")
    least: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=1, description="So many targets run at least in these hours."
    )


class Scale(Section):
    """How many targets a site runs; a live count between them is left alone."""

    min: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = Field(
        default=None, description="The least number of targets; by default 2 at an active site, 1 at a standby."
    )
    max: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=4, description="The greatest number of targets."
    )
    warm: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        default=0, description="So many targets run at least, all with the site's models in memory at all times."
    )
    spares: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(
        default=0,
        description="At sites in Azure: so many container groups more that run already and serve nobody, in a standby "
        "pool of Azure's, from which the controller takes the next target; they are billed as groups that run.",
    )
    by: By | None = Field(
        default=None,
        description="`load` (the default in the clouds): the controller changes the number between min and max, by "
        "what is asked of the gateway; `cloud`: the cloud's own scaling does, by what `track` says; `hand` (the "
        "default on this machine): nobody but you does.",
    )
    track: Track = Field(default=Track(), description="For `by: cloud`: what its scaling keeps to, like {cpu: 60%}.")
    cooldown: Cooldown = Field(default=Cooldown(), description="For `by: cloud`: the least time between its changes.")
    alerts: Alerts | None = Field(
        default=None, description="For `by: cloud` on Azure: how its alerts reach the controller, which then scales."
    )
    prewarm: Prewarm | None = Field(
        default=None, description="For `by: load`: hours in which more than `min` run at least."
    )
    forecast: bool = Field(
        default=False,
        strict=True,
        description="For `by: load`: start what the usual day asks for before it is asked, as learnt of days before.",
    )
    utilisation: Share = Field(
        default=Percent(0.75), description="How much of the targets' slots may be taken before more are started."
    )
    idle: Wait = Field(
        default=Duration(900), description="With min 0 a site has no targets after so long without a request."
    )
    hold: Wait = Field(default=Duration(300), description="No target leaves unless for so long fewer would have done.")
