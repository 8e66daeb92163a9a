"""The words of the plan: Resource and Facts (what is there), Change, Step and Plan (what to do about it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from arriero.errors import Problem
from arriero.plan.sleep import Orders

# A normalised, comparable value: text, number, truth, nothing, or tuples and mappings of them. Lists whose order means
# nothing are sorted by whoever makes the Resource, so that equal worlds compare equal.
Value = str | int | float | bool | None | tuple["Value", ...] | Mapping[str, "Value"]

Cloud = Literal["aws", "azure", "local"]
Action = Literal["create", "update", "replace", "remove"]
TargetState = Literal["starting", "loading", "ready", "draining", "stopped"]

SERVICE_TAG, SITE_TAG, RELEASE_TAG = "arriero-service", "arriero-site", "arriero-release"


@dataclass(frozen=True, slots=True)
class SiteRef:
    """Enough to find a site's things in its cloud; `machines`: whether it has some of its own, with GPUs; `virtual`:
    whether these are virtual machines; `managed`: whether ECS keeps these; `edges`: whether gateways stand before its
    targets there.
    """

    service: str
    site: str
    cloud: Cloud
    region: str
    hosts: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    vpc: str = ""
    subnets: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    spares: bool = False
    vaults: tuple[str, ...] = ()
    registry: str = ""
    machines: bool = False
    virtual: bool = False
    managed: bool = False
    edges: bool = False
    has_workspace: bool = False
    """Whether the spec asks for a workspace of logs, so that it is looked for even where nothing writes there."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing a site holds. `(kind, name)` is unique within a site; `properties` are exactly what is compared.

    Wanted resources come from `plan/wanted/`, real ones from `clouds/*/facts.py`; both use the same property names and
    the same normal form. `id` is the cloud's own (empty when wanted); `details` is what roles need and nobody compares.
    """

    kind: str
    name: str
    properties: Mapping[str, Value] = field(default_factory=dict)
    id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One running Ollama server as its cloud reports it; `address` is `host:port`, empty until it has one.

    One that `is_adopted` was there without us: it is used, and never changed or stopped. `is_spot`: its cloud may take
    it back. One that `stands_in` runs on demand where there is no Spot, and no service of the cloud counts it.
    """

    id: str
    site: str
    state: TargetState
    address: str = ""
    release: int | None = None
    resource: str = ""
    pid: int | None = None
    reason: str = ""
    is_adopted: bool = False
    is_spot: bool = False
    stands_in: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a target's container wrote, at the time its cloud gives for it."""

    at: datetime
    site: str
    target: str
    text: str

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S.%f}"[:-3] + f" {self.site} {self.target} {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What one site holds now. With a `problem` the cloud could not be read, and the rest means nothing.

    `count` is the number of targets asked for at this moment (ECS desired count, live ACI groups, local processes).
    `kept` is what `down` leaves: a storage of models that nothing mounts. `zones` are the region's zones where
    something new may be put; empty where that needs no choice. `given` is what the user has there for it, such as a
    VPC: it is looked at, and never changed or removed. `prefix_lists` are AWS's own lists of ranges, id by name.
    `secrets` has for each reference to Key Vault the version that it leads to now, or why nobody can tell; no value.
    `front_door` is the id that the service's Front Door says in X-Azure-FDID; empty where it is not there, and None
    where nobody asks for one, or it could not be read.
    """

    site: str
    cloud: Cloud
    region: str
    account: str = ""
    resources: tuple[Resource, ...] = ()
    targets: tuple[TargetFacts, ...] = ()
    count: int = 0
    problem: Problem | None = None
    zones: tuple[str, ...] = ()
    kept: tuple[Resource, ...] = ()
    given: tuple[Resource, ...] = ()
    prefix_lists: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str | Problem] = field(default_factory=dict)
    front_door: str | None = None

    def find(self, kind: str, name: str | None = None) -> Resource | None:
        """The resource of that kind (and name, if given), or None."""
        return next((r for r in self.resources if r.kind == kind and name in (None, r.name)), None)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What one cloud holds of the service's ledger: the store itself, `name` being its bucket or storage account. Or of
    its images: the repository.

    With a `problem` it could not be read, and the rest means nothing.
    """

    cloud: Cloud
    name: str
    region: str
    resources: tuple[Resource, ...] = ()
    problem: Problem | None = None

    @property
    def is_there(self) -> bool:
        return bool(self.resources)


@dataclass(frozen=True, slots=True)
class LastRelease:
    """The newest release of the ledger: its number, by site the hash of what its targets are made from, its image as
    the user's file named it, and the digest that this was; empty where nobody could tell.
    """

    number: int
    definitions: Mapping[str, str]
    image: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The world as it was read at one moment, by site name; tagged sites that left the spec are here too.

    `unasked` says of which clouds it is not known whether such sites stand there, and why. `stores` are the ledger's,
    by cloud; `last` is the ledger's newest release, None where there is none or no ledger could be read. `registries`
    are those that the image is in, as far as they are ECR's or ACR's own. `orders` say who was woken, or put to sleep.
    `front_door` is what stands of the service's Front Door, in the form of a site; None where nobody asks for one.
    """

    service: str
    sites: Mapping[str, SiteFacts]
    read_at: datetime | None = None
    unasked: tuple[Problem, ...] = ()
    stores: Mapping[Cloud, StoreFacts] = field(default_factory=dict)
    last: LastRelease | None = None
    registries: tuple[StoreFacts, ...] = ()
    orders: Orders = field(default_factory=Orders)
    front_door: SiteFacts | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not as wanted."""

    property: str
    found: Value
    wanted: Value


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between wish and world, with its reason in words: what `plan` prints a line for."""

    site: str
    action: Action
    kind: str
    name: str
    reason: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that Ansible does at one site: the task file `tasks/<name>.yml` of the site's role."""

    site: str
    name: str
    changes: tuple[Change, ...]
    undo: str = ""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What one site needs. `release` is what its targets will run; `count` how many; `wanted` is the whole wish.

    A site that `is_leaving` is in no spec any more: all its things are removed, in one step. `drift` is told only:
    models that somebody changed where the spec lets them. `revision` is the ECS task definition (`family:5`) that is to
    run again, for a release that stood before. `asleep` says until when and why it has no targets, by its off hours.
    """

    site: str
    cloud: Cloud
    release: int
    count: int
    wanted: tuple[Resource, ...]
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    problem: Problem | None = None
    region: str = ""
    is_leaving: bool = False
    adopted: tuple[TargetFacts, ...] = ()
    drift: tuple[str, ...] = ()
    revision: str = ""
    asleep: str = ""

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(change for step in self.steps for change in step.changes)


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What one store of the ledger needs before anything is recorded in it; or a registry, to keep what it should; or
    the Front Door. One that `lacks` the image that is wished for has that for its problem.
    `notes` say what is left out of its changes, and why.
    """

    cloud: Cloud
    name: str
    region: str
    changes: tuple[Change, ...] = ()
    problem: Problem | None = None
    lacks: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All sites' plans in the order in which they are carried out; empty when the world is as wished."""

    service: str
    release: int
    sites: tuple[SitePlan, ...]
    stores: tuple[StorePlan, ...] = ()
    registries: tuple[StorePlan, ...] = ()
    front_door: StorePlan | None = None

    @property
    def beside(self) -> tuple[StorePlan, ...]:
        """What belongs to the service and to no site of it."""
        return (*self.stores, *self.registries, *([self.front_door] if self.front_door else []))

    @property
    def is_empty(self) -> bool:
        return not any(site.steps for site in self.sites) and not any(each.changes for each in self.beside)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of what clients need."""
        door = self.front_door.problem if self.front_door else None
        return (*(site.problem for site in self.sites if site.problem), *([door] if door else []))
