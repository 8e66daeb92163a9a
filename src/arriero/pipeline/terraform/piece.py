"""One resource in Terraform's words, and what each cloud's translation starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform.hcl import Body, identifier
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, SitePlan
from arriero.spec.model import ResolvedSite


@dataclass(frozen=True, slots=True)
class Piece:
    """One `resource` block, or one of another `kind`; an output has no type. `standing` are the ids that Terraform
    imports, by key of its `for_each` ("" without one); empty where nothing of the kind stands yet.
    """

    type: str
    label: str
    body: Body
    standing: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    kind: str = "resource"


@dataclass(frozen=True, slots=True)
class Site:
    """One site of a plan on its way into Terraform, with what stands there."""

    spec: ResolvedSite
    plan: SitePlan
    found: SiteFacts

    @property
    def label(self) -> str:
        return identifier(self.spec.name)

    @property
    def tags(self) -> Mapping[str, str]:
        """What everything of a site carries."""
        return {SERVICE_TAG: self.spec.service, SITE_TAG: self.spec.name}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the plan holds, in the order of making."""
        return tuple(dict.fromkeys(resource.kind for resource in self.plan.wanted))

    def wanted(self, kind: str) -> tuple[Resource, ...]:
        return tuple(resource for resource in self.plan.wanted if resource.kind == kind)

    def standing(self, resource: Resource) -> Resource | None:
        """The thing itself, if it is there under the same name."""
        return self.found.find(resource.kind, resource.name)

    def imported(self, resource: Resource) -> Mapping[str, str]:
        found = self.standing(resource)
        return {"": found.id} if found else {}


Maker = Callable[[Site, tuple[Resource, ...]], Iterator[Piece]]


def pieces(site: Site, makers: Mapping[str, Maker]) -> tuple[Piece, ...]:
    """Every resource of the plan in the order of making. Raises Refused where one can't be said in Terraform."""
    unknown = [kind for kind in site.kinds if kind not in makers]
    if unknown:
        raise Refused([_unsaid(site, kind) for kind in unknown])
    return tuple(piece for kind in site.kinds for piece in makers[kind](site, site.wanted(kind)))


def _unsaid(site: Site, kind: str) -> Problem:
    what = f"the plan holds {kind.partition('.')[2].replace('_', ' ')}, which can't be exported to Terraform yet"
    return Problem(what, "leave it out of the spec, or keep the site with arriero", f"sites.{site.spec.name}")
