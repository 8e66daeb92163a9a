"""The Spec: every key a user may write, with its default.

Sites may override `size`, `scale`, `environment` and `network`; `Spec.site(name)` gives one with everything filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from arriero.spec.units import Bytes, Duration, VCpu

Cloud = Literal["aws", "azure", "local"]
Role = Literal["active", "standby"]


class Section(BaseModel):
    """A part of the file: immutable, and no key besides the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Model(Section):
    """A model to serve; written `llama2` or `{name: llama2:70b, from: storage}`. `name` always carries its tag."""

    name: str
    source: Literal["baked", "storage"] = Field("baked", alias="from")


class Size(Section):
    """What one target gets."""

    cpu: VCpu = VCpu(4)
    memory: Bytes = Bytes.gib(16)
    storage: Bytes = Bytes.gib(21)


class Scale(Section):
    """How many targets a site runs; a live count between them is left alone. Default min: 2 active, 1 standby."""

    min: int | None = None
    max: int = 4


class Network(Section):
    """The site's own address range, and who may reach port 11434 besides it."""

    cidr: str = "10.64.0.0/16"
    allow_from: tuple[str, ...] = ()


class Ollama(Section):
    """Settings of each Ollama server; they become its OLLAMA_* environment."""

    num_parallel: int = 4
    max_loaded_models: int = 1
    keep_alive: Duration | Literal["forever"] = "forever"
    max_queue: int = 512
    context_length: int | None = None


class Gateway(Section):
    """Where this machine's edge listens."""

    address: str = "127.0.0.1"
    port: int = 11434


class Logs(Section):
    retention_days: int = 30


class Deploy(Section):
    """How long to wait for a site's targets to answer, and the grace that a stopping server gets."""

    ready_within: Duration = Duration(900)
    stop_within: Duration = Duration(30)


class Accounts(Section):
    """The accounts this spec may touch; outside a rehearsal any other account is refused."""

    aws: str | None = None
    azure: str | None = None


class Site(Section):
    """One region of one cloud, or this machine."""

    cloud: Cloud
    region: str = ""
    role: Role = "active"
    hosts: tuple[str, ...] = ()
    size: Size | None = None
    scale: Scale | None = None
    ollama: Ollama | None = None
    environment: Mapping[str, str] | None = None
    network: Network | None = None
    gpu: str | None = None


class Spec(Section):
    """The whole file, resolved."""

    name: str
    image: str
    models: tuple[Model, ...]
    sites: Mapping[str, Site]
    size: Size = Size()
    scale: Scale = Scale()
    ollama: Ollama = Ollama()
    environment: Mapping[str, str] = {}
    network: Network = Network()
    gateway: Gateway = Gateway()
    logs: Logs = Logs()
    deploy: Deploy = Deploy()
    accounts: Accounts = Accounts()
    rehearse: Literal["on-request", "always"] = "on-request"
    secrets: Mapping[str, str] = {}

    def site(self, name: str) -> ResolvedSite:
        """The site with what it does not override filled in from the service's own sections."""
        site = self.sites[name]
        scale = site.scale or self.scale
        return ResolvedSite(
            service=self.name,
            name=name,
            cloud=site.cloud,
            region=site.region,
            role=site.role,
            hosts=site.hosts,
            image=self.image,
            models=self.models,
            size=site.size or self.size,
            min=scale.min if scale.min is not None else (2 if site.role == "active" else 1),
            max=scale.max,
            ollama=site.ollama or self.ollama,
            environment={**self.environment, **(site.environment or {})},
            network=site.network or self.network,
            logs=self.logs,
            deploy=self.deploy,
        )


class ResolvedSite(Section):
    """One site as it is wanted, with nothing left to look up: what `plan/wanted/` and the clouds work from."""

    service: str
    name: str
    cloud: Cloud
    region: str
    role: Role
    hosts: tuple[str, ...]
    image: str
    models: tuple[Model, ...]
    size: Size
    min: int
    max: int
    ollama: Ollama
    environment: Mapping[str, str]
    network: Network
    logs: Logs
    deploy: Deploy

    @property
    def server_environment(self) -> dict[str, str]:
        """The environment of one Ollama server, OLLAMA_* keys included; the spec's own `environment` wins."""
        settings = {
            "OLLAMA_HOST": "0.0.0.0:11434",
            "OLLAMA_NUM_PARALLEL": str(self.ollama.num_parallel),
            "OLLAMA_MAX_LOADED_MODELS": str(self.ollama.max_loaded_models),
            "OLLAMA_MAX_QUEUE": str(self.ollama.max_queue),
            "OLLAMA_KEEP_ALIVE": "-1" if self.ollama.keep_alive == "forever" else f"{self.ollama.keep_alive:.0f}s",
            "ARRIERO_MODELS": ",".join(model.name for model in self.models),
        }
        if self.ollama.context_length:
            settings["OLLAMA_CONTEXT_LENGTH"] = str(self.ollama.context_length)
        return {**settings, **self.environment}
