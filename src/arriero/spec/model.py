"""The Spec: every key a user may write, with its default and what it means.

Sites may override `size`, `scale`, `ollama`, `environment` and `network`; `Spec.site(name)` gives one with everything
filled in. What a value alone can get wrong is refused here (`values.py` says how); what depends on other values or on
the clouds is in `check.py`. Errors of validators read `what; remedy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from arriero.secret import Secret
from arriero.spec import image_values, secret_values, values
from arriero.spec.accounts import Accounts, Credentials
from arriero.spec.budget import Budget
from arriero.spec.deploy import Deploy
from arriero.spec.failover import Failover
from arriero.spec.gateway import Gateway
from arriero.spec.gpu import Gpu
from arriero.spec.image import Image, accept_a_bare_name
from arriero.spec.ingress import Alb, AzureEdges, Edges, FrontDoor, Identity, Ingress
from arriero.spec.ledger import Ledger
from arriero.spec.logs import Logs
from arriero.spec.metrics import Metrics
from arriero.spec.network import Mode, Network
from arriero.spec.ollama import Ollama
from arriero.spec.pipeline import Pipeline
from arriero.spec.policy import Policy
from arriero.spec.scale import Alerts, By, Cooldown, Prewarm, Scale, Track
from arriero.spec.schedule import EXAMPLE, Schedule, parse_value
from arriero.spec.section import Section
from arriero.spec.size import Size
from arriero.spec.spot import WARNING_SECONDS, Spot
from arriero.spec.storage import Storage
from arriero.spec.units import Duration
from arriero.spec.validation import Validation

Cloud = Literal["aws", "azure", "local"]
Role = Literal["active", "standby"]

ServiceName = Annotated[str, BeforeValidator(values.service_name), values.schema(values.NAME_PATTERN, max_length=24)]
SiteName = Annotated[str, BeforeValidator(values.site_name), values.schema(values.NAME_PATTERN, max_length=24)]
ModelName = Annotated[str, BeforeValidator(values.model_name), values.schema(values.MODEL_PATTERN, max_length=200)]
Host = Annotated[str, BeforeValidator(values.host), values.schema(values.ADDRESS_PATTERN)]
Server = Annotated[str, BeforeValidator(values.server), values.schema(values.SERVER_PATTERN)]
Adopted = Annotated[
    tuple[Server, ...],
    BeforeValidator(values.adopted),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string", "pattern": values.SERVER_PATTERN}},
            ]
        }
    ),
]
VariableName = Annotated[str, BeforeValidator(values.variable_name), values.schema(values.VARIABLE_PATTERN)]
VariableText = Annotated[str, BeforeValidator(values.variable_text), WithJsonSchema({"type": "string"})]
SecretName = Annotated[str, BeforeValidator(values.secret_name), values.schema(values.SECRET_NAME_PATTERN)]
FileName = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]
ModelDigest = Annotated[str, BeforeValidator(image_values.digest), values.schema(image_values.DIGEST_PATTERN)]
SecretReference = Annotated[str, BeforeValidator(secret_values.reference), values.schema(secret_values.PATTERN)]
SecretLogin = Annotated[str, BeforeValidator(secret_values.login), values.schema(secret_values.PATTERN)]
SecretValue = Annotated[Secret, values.SecretSchema]
OffHours = Annotated[
    Schedule,
    PlainValidator(parse_value),
    PlainSerializer(lambda found: found.text),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": [EXAMPLE]}),
]

Part = TypeVar("Part", bound=Section)


class Model(Section):
    """A model to serve; written `llama2` or `{name: llama2:70b, from: storage}`. `name` always carries its tag."""

    name: ModelName = Field(description="As Ollama names it; without a tag it means `:latest`.")
    source: Literal["baked", "storage"] = Field(
        default="baked",
        alias="from",
        description="Where targets have it from: the image, or the site's storage (EFS, Azure Files, a local disk).",
    )
    pull: ModelName | None = Field(
        default=None, description="What to pull for it, if not its own name: models.example.com/acme/llama2."
    )
    insecure: bool = Field(default=False, strict=True, description="Whether the registry pulled from speaks http.")
    modelfile: FileName | None = Field(default=None, description="Made from this Modelfile; its folder goes along.")
    gguf: FileName | None = Field(default=None, description="Made from this GGUF file alone.")
    digest: ModelDigest | None = Field(
        default=None, description="The digest that its manifest must have; otherwise it is not baked."
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_a_bare_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data


class Site(Section):
    """One region of one cloud, or this machine. Its own sections replace the service's, key by key."""

    cloud: Cloud = Field(description="Where: `aws` (ECS Fargate), `azure` (Container Instances), `local`.")
    region: str = Field(
        default="", strict=True, description="The cloud's name for it: us-east-1, eastus. Not for local."
    )
    role: Role = Field(default="active", description="A standby keeps one warm target and takes over.")
    hosts: tuple[Host, ...] = Field(
        default=(), description="For local: addresses of this machine, one IPv4 address each."
    )
    adopt: Adopted = Field(
        default=(), description="For local: Ollamas that run there already, like 127.0.0.1:11434, which `true` means."
    )
    writable_models: bool = Field(
        default=False, strict=True, description="Whether an admin's key may pull, create, copy and delete models there."
    )
    size: Size | None = Field(default=None, description="Instead of the service's size.")
    scale: Scale | None = Field(default=None, description="Instead of the service's scale.")
    ollama: Ollama | None = Field(default=None, description="Instead of the service's Ollama settings.")
    environment: Mapping[VariableName, VariableText] | None = Field(
        default=None, description="Besides the service's environment; the site's value wins."
    )
    environment_from: Mapping[VariableName, SecretReference] | None = Field(
        default=None,
        description="Variables of each Ollama whose values are kept elsewhere: ARNs for aws, Key Vault for azure.",
    )
    registry_login: SecretLogin | None = Field(
        default=None, description="The secret with the login to the image's registry: an ARN, or Key Vault's address."
    )
    registry_identity: Identity | None = Field(
        default=None,
        description="For azure: the id of a user-assigned managed identity of yours that pulls the image from a "
        "registry of Azure.",
    )
    network: Network | None = Field(default=None, description="Instead of the service's network.")
    off: OffHours | None = Field(default=None, description="Instead of the service's off hours.")
    spot: Spot | None = Field(default=None, description="Instead of the service's share of Spot.")
    gpu: Gpu | None = Field(
        default=None,
        description="The GPU of each target, which at AWS then runs on EC2 machines, not on Fargate, and at Azure in a "
        "container app, not in a container group.",
    )


class Spec(Section):
    """The whole file, resolved."""

    name: ServiceName = Field(description="The service's name; everything in the clouds is named from it.")
    image: Annotated[Image, BeforeValidator(accept_a_bare_name)] = Field(
        description="The container image that every target runs: its name, or a section."
    )
    models: tuple[Model, ...] = Field(min_length=1, description="The models to serve.")
    sidecar: bool = Field(
        default=True,
        strict=True,
        description="Whether arriero's sidecar runs beside each Ollama; `false` for an image without `arriero`.",
    )
    sites: Mapping[SiteName, Site] = Field(min_length=1, description="Where the service runs, by a name of your own.")
    size: Size = Field(default=Size(), description="What one target gets, at every site that doesn't say otherwise.")
    scale: Scale = Field(default=Scale(), description="How many targets a site runs.")
    ollama: Ollama = Field(default=Ollama(), description="Settings of each Ollama server.")
    environment: Mapping[VariableName, VariableText] = Field(
        default={}, description="Environment of each Ollama server."
    )
    network: Network = Field(
        default=Network(), description="Each site's address range, who may reach it, and how it reaches out."
    )
    gateway: Gateway = Field(default=Gateway(), description="Where the edge answers, to whom, within which limits.")
    ingress: Ingress = Field(default=Ingress(), description="What stands before the service, in AWS and elsewhere.")
    off: OffHours | None = Field(
        default=None, description="When sites sleep: 22:00-06:00 Europe/Berlin on weekdays, weekends."
    )
    spot: Spot | None = Field(
        default=None, description="How many targets of sites on AWS run on capacity that may be taken back."
    )
    storage: Storage = Field(default=Storage(), description="How fast models from storage are read, at AWS.")
    logs: Logs = Field(default=Logs(), description="How long logs are kept, and where they are sent.")
    metrics: Metrics = Field(default=Metrics(), description="What the clouds measure besides, for money.")
    deploy: Deploy = Field(default=Deploy(), description="How patient a deployment is.")
    validation: Validation = Field(
        default=Validation(), description="What the service must answer, and how fast, for a release to be good."
    )
    pipeline: Pipeline = Field(default=Pipeline(), description="What builds and releases the service.")
    policy: Policy = Field(default=Policy(), description="What `arriero check` holds the service against.")
    budget: Budget = Field(default=Budget(), description="What the service may cost in a month.")
    failover: Failover = Field(default=Failover(), description="Which sites stand in for each other.")
    ledger: Ledger = Field(default=Ledger(), description="Where releases are recorded, and who may deploy.")
    accounts: Accounts = Field(default=Accounts(), description="The accounts this spec may touch.")
    credentials: Credentials = Field(
        default=Credentials(), description="Where logins to the clouds come from, if not from the environment."
    )
    rehearse: Literal["on-request", "always"] = Field(
        default="on-request", description="`always`: this spec never leaves the local stage."
    )
    secrets: Mapping[SecretName, SecretValue] = Field(
        default={}, description="Values that are never shown, each from one environment variable: `${VAR}`."
    )

    @model_validator(mode="after")
    def _choose_the_variant(self) -> Spec:
        """Where a site has GPUs the image needs Ollama's libraries for them, unless the spec says another variant."""
        if any(site.gpu for site in self.sites.values()) and "variant" not in self.image.model_fields_set:
            object.__setattr__(self, "image", self.image.model_copy(update={"variant": "cuda"}))
        return self

    def site(self, name: str) -> ResolvedSite:
        """The site with what it does not override filled in from the service's own sections."""
        site = self.sites[name]
        scale = _over(self.scale, site.scale)
        least, most = scale.min if scale.min is not None else default_min(site.role), scale.max
        least = max(least, scale.warm)
        if site.adopt and not site.hosts:  # nothing is started there
            least = most = len(site.adopt)
        spot = _over(self.spot or Spot(), site.spot) if self.spot or site.spot else None
        spot = spot if spot is not None and spot.share and site.cloud == "aws" and site.gpu is None else None
        return ResolvedSite(
            service=self.name,
            name=name,
            cloud=site.cloud,
            region=site.region,
            role=site.role,
            hosts=site.hosts,
            image=self.image.at(site.cloud, site.region),
            models=self.models,
            sidecar=self.sidecar,
            size=_over(self.size, site.size),
            adopt=site.adopt,
            min=least,
            max=most,
            warm=scale.warm,
            spares=scale.spares if site.cloud == "azure" else 0,
            prewarm=scale.prewarm,
            scale_by=scale.by or ("hand" if site.cloud == "local" else "load"),
            track=scale.track,
            cooldown=scale.cooldown,
            alerts=scale.alerts,
            ollama=_over(self.ollama, site.ollama),
            environment={**self.environment, **(site.environment or {})},
            environment_from=site.environment_from or {},
            registry_login=site.registry_login,
            registry_identity=site.registry_identity,
            network=self._network(site),
            off=site.off or self.off,
            alb=self.ingress.alb if site.cloud == "aws" else None,
            azure_edges=self.ingress.edges if site.cloud == "azure" else None,
            front_door=self.ingress.front_door if site.cloud != "local" else None,
            gateway=self.gateway,
            spot=spot,
            gpu=site.gpu if site.cloud != "local" else None,
            storage=self.storage,
            logs=self.logs,
            metrics=self.metrics,
            deploy=self.deploy if spot is None else _patient(self.deploy),
        )

    def _network(self, site: Site) -> Network:
        found = _over(self.network, site.network)
        return found if found.mode else found.model_copy(update={"mode": self.default_mode})

    @property
    def default_mode(self) -> Mode:
        """Users depend on what is in production: nobody reaches it from outside unless the spec says so."""
        return "private" if self.policy.production else "public"


class ResolvedSite(Section):
    """One site as it is wanted, with nothing left to look up: what `plan/wanted/` and the clouds work from."""

    service: str
    name: str
    cloud: Cloud
    region: str
    role: Role
    hosts: tuple[str, ...]
    adopt: tuple[str, ...]
    image: str
    models: tuple[Model, ...]
    sidecar: bool = True
    size: Size
    min: int
    max: int
    warm: int = 0
    spares: int = 0
    prewarm: Prewarm | None = None
    scale_by: By = "load"
    track: Track = Track()
    cooldown: Cooldown = Cooldown()
    alerts: Alerts | None = None
    is_ordered: bool = Field(
        default=False, description="Somebody's order counts more than the off hours now; `plan/place.py` says so."
    )
    ollama: Ollama
    environment: Mapping[str, str]
    environment_from: Mapping[str, str] = {}
    registry_login: str | None = None
    registry_identity: str | None = None
    network: Network
    off: OffHours | None = None
    alb: Alb | None = None
    storage: Storage = Storage()
    azure_edges: AzureEdges | None = None
    front_door: FrontDoor | None = None
    gateway: Gateway = Gateway()
    spot: Spot | None = None
    gpu: Gpu | None = None
    logs: Logs
    metrics: Metrics = Metrics()
    deploy: Deploy

    @property
    def edges(self) -> Edges | None:
        """The gateways between its load balancer and its targets."""
        return self.alb.edges if self.alb else None

    @property
    def has_workspace(self) -> bool:
        """Whether a workspace of Log Analytics keeps what its targets write."""
        return self.cloud == "azure" and self.logs.to_workspace

    @property
    def server_environment(self) -> dict[str, str]:
        """The environment of one Ollama server, OLLAMA_* keys included; the spec's own `environment` wins."""
        settings = {
            "OLLAMA_HOST": "0.0.0.0:11434",
            **self.ollama.variables,
            "ARRIERO_MODELS": ",".join(model.name for model in self.models),
        }
        return {**settings, **self.environment}


def default_min(role: Role) -> int:
    """The least number of targets where the spec doesn't say: two where users are served, one kept warm."""
    return 2 if role == "active" else 1


def _patient(deploy: Deploy) -> Deploy:
    """Where targets are taken back, streams have all of the warning to come to their end, if nobody says otherwise."""
    if "stop_within" in deploy.model_fields_set:
        return deploy
    return deploy.model_copy(update={"stop_within": Duration(WARNING_SECONDS)})


def _over(service: Part, site: Part | None) -> Part:
    return service.model_copy(update={key: getattr(site, key) for key in site.model_fields_set}) if site else service
