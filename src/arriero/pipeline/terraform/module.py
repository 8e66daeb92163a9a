"""The module's files: providers, a file a cloud, what is imported, and how to move over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import (
    aws,
    aws_files,
    aws_ingress,
    azapi,
    azure,
    azure_alerts,
    azure_edges,
    azure_machines,
    front_door,
)
from arriero.pipeline.terraform.hcl import Block, Blocks, Body, Call, Raw, quoted, text
from arriero.pipeline.terraform.piece import Maker, Piece, Site, pieces
from arriero.plan import place
from arriero.plan.model import Cloud, Facts, SiteFacts, SitePlan, StorePlan
from arriero.spec.front_door import NAME, behind, region_of
from arriero.spec.model import Spec

# The versions whose schemas every resource, argument and required field is held against (tests/pipeline/terraform).
PROVIDERS: Mapping[Cloud, tuple[str, str, str]] = {
    "aws": ("aws", "hashicorp/aws", "6.25.0"),
    "azure": ("azurerm", "hashicorp/azurerm", "4.55.0"),
}
AZAPI = ("azapi", "Azure/azapi", "2.13.0")
MAKERS: Mapping[Cloud, Mapping[str, Maker]] = {"aws": aws.MAKERS, "azure": azure.MAKERS}
# What the module's README says of a site of that cloud.
GUIDES: Mapping[Cloud, tuple[Callable[[Site], str], ...]] = {
    "aws": (aws_files.guide,),
    "azure": (azure_alerts.guide, azure_machines.guide),
}
# Where a Front Door finds a site of that cloud.
HOSTS: Mapping[Cloud, Callable[[Site], Raw]] = {"aws": aws_ingress.host, "azure": azure_edges.host}
LEAST_TERRAFORM = ">= 1.7.0"  # the first whose import blocks know for_each's keys
NEXT = """\
In that folder:       terraform init && terraform plan
It must plan imports and no destruction; README.md there says how to move over."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is written of one site, or of the Front Door, which has none; `says` stands above it. `unread` says why
    nothing is known of what stands there, empty where it is.
    """

    name: str
    cloud: Cloud
    account: str
    says: str
    pieces: tuple[Piece, ...]
    unread: str = ""
    site: Site | None = None


def files(spec: Spec, facts: Facts) -> Mapping[str, str]:
    """By name, each file of the module. The same spec and facts give the same text.

    A site whose facts have a problem is planned as if nothing stood there, and so is not imported. Raises Refused
    where the plan of a site or of the Front Door can't be made, or holds what Terraform can't say.
    """
    parts = tuple(_parts(spec, facts))
    clouds = [cloud for cloud in PROVIDERS if any(part.cloud == cloud for part in parts)]
    return {
        "README.md": _readme(spec, parts),
        "versions.tf": text([_versions(clouds, _has_azapi(parts))]),
        "providers.tf": text(_providers(spec, parts)),
        **{f"{cloud}.tf": text(_resources(part for part in parts if part.cloud == cloud)) for cloud in PROVIDERS},
        "imports.tf": text(_imports(parts)),
    }


def _parts(spec: Spec, facts: Facts) -> Iterator[Part]:
    """The sites, and then the Front Door, which leads to them."""
    unread = {name: str(found.problem) for name, found in facts.sites.items() if found.problem}
    blank = {name: SiteFacts(name, found.cloud, found.region) for name, found in facts.sites.items() if name in unread}
    known = replace(facts, sites={**facts.sites, **blank}, front_door=_door_known(spec, facts))
    planned = place.plan(spec, known, set(spec.sites))
    plans = [each for each in planned.sites if each.cloud in PROVIDERS]
    if problem := next(_problems(plans, planned.front_door), None):
        raise Refused(problem)
    sites = {each.site: Site(spec.site(each.site), each, known.sites[each.site]) for each in plans}
    for name, site in sites.items():
        cloud, account = site.spec.cloud, site.found.account
        made = pieces(site, MAKERS[cloud])
        yield Part(name, cloud, account, _says(site), made, unread.get(name, ""), site)
    if known.front_door:
        hosts = {name: HOSTS[sites[name].spec.cloud](sites[name]) for name in behind(spec)}
        made = front_door.pieces(spec, known, known.front_door, hosts)
        lost = facts.front_door.problem if facts.front_door else None
        says = f"{NAME}: one for the whole service, before {', '.join(hosts)}"
        yield Part(NAME, "azure", known.front_door.account, says, made, str(lost or ""))


def _door_known(spec: Spec, facts: Facts) -> SiteFacts | None:
    """What stands of it; nothing where it could not be read, None where nobody asks for one."""
    if not (spec.ingress.front_door and behind(spec)):
        return None
    found = facts.front_door
    return found if found and not found.problem else SiteFacts(NAME, "azure", region_of(spec))


def _problems(sites: Iterable[SitePlan], door: StorePlan | None) -> Iterator[Problem]:
    for site in sites:
        if site.problem:
            yield replace(site.problem, key=site.problem.key or f"sites.{site.site}")
    if door and door.problem:
        yield door.problem


def _says(site: Site) -> str:
    spec, plan = site.spec, site.plan
    targets = f"{plan.count} target" if plan.count == 1 else f"{plan.count} targets"
    return f"{spec.name}: {spec.region}, {spec.role}, {targets} of release {plan.release}"


def _has_azapi(parts: Iterable[Part]) -> bool:
    return any(piece.type == azapi.TYPE for part in parts for piece in part.pieces)


def _versions(clouds: Sequence[Cloud], has_azapi: bool) -> Block:
    pinned = [*map(PROVIDERS.__getitem__, clouds), *([AZAPI] if has_azapi else [])]
    wanted = {name: {"source": source, "version": version} for name, source, version in pinned}
    least = azapi.LEAST_TERRAFORM if has_azapi else LEAST_TERRAFORM
    return Block("terraform", (), {"required_version": least, "required_providers": Blocks((wanted,))})


def _providers(spec: Spec, parts: Iterable[Part]) -> Iterator[Block]:
    """AWS: one a site, for each is a region. Azure: one for the subscription. Each for the account that was read, or
    that the spec pins.
    """
    pinned, parts = spec.accounts, tuple(parts)
    for site in (part.site for part in parts if part.site and part.cloud == "aws"):
        account = site.found.account or pinned.aws or ""
        only: Body = {"allowed_account_ids": [account]} if account else {}
        yield Block("provider", ("aws",), {"alias": site.label, "region": site.spec.region, **only})
    subscriptions = [part.account for part in parts if part.cloud == "azure"]
    if subscriptions:
        known = next(filter(None, subscriptions), pinned.azure or "")
        yield from _azure_providers(known, _has_azapi(parts))


def _azure_providers(subscription: str, has_azapi: bool) -> Iterator[Block]:
    chosen: Body = {"subscription_id": subscription} if subscription else {}
    note = "" if subscription else "ARM_SUBSCRIPTION_ID names the subscription."
    body: Body = {**chosen, "resource_provider_registrations": "none", "features": Blocks(({},))}
    yield Block("provider", ("azurerm",), body, note)
    if has_azapi:
        yield Block("provider", ("azapi",), {**chosen, "skip_provider_registration": True}, note)


def _resources(parts: Iterable[Part]) -> Iterator[Block | str]:
    there = False
    for part in parts:
        there = True
        yield part.says
        for piece in part.pieces:
            labels = tuple(filter(None, (piece.type, piece.label)))
            yield Block(piece.kind, labels, piece.body, piece.comment)
    if not there:
        yield "The spec has no site here."


def _imports(parts: Sequence[Part]) -> Iterator[Block | str]:
    yield from (_unread(part) for part in parts if part.unread)
    rows = [
        (piece, key, identity) for part in parts for piece in part.pieces for key, identity in piece.standing.items()
    ]
    for piece, key, identity in rows:
        address = f"{piece.type}.{piece.label}" + (f"[{quoted(key)}]" if key else "")
        yield Block("import", (), {"to": Raw(address), "id": identity})
    if not rows and not any(part.unread for part in parts):
        yield "Nothing stands yet: terraform apply makes everything anew."


def _unread(part: Part) -> str:
    return (
        f"{part.name} could not be read: {part.unread}\n"
        "Nothing of it is imported. If something stands there, export again before terraform apply,\n"
        "which would make it twice."
    )


def _readme(spec: Spec, parts: Sequence[Part]) -> str:
    rows = "\n".join(_row(part) for part in parts)
    local = [name for name, site in spec.sites.items() if site.cloud == "local"]
    machine = (
        f"\nNot in here, for Terraform has nothing to do there: {', '.join(local)} (this machine).\n" if local else ""
    )
    return f"""\
# {spec.name} as a Terraform module

Made by `arriero export terraform` from the same plan that `arriero up` carries out; `--check` tells whether it still
is. Every resource has the name, the tags and the settings that arriero gives it.

| site | resources | imported |
|---|---|---|
{rows}
{machine}
Not in here either: the stores of arriero's ledger. They are written by arriero alone, and outlive the service.

## Moving over

1. `arriero plan` must say that there is nothing to do, so that what is imported is what is written here.
2. `terraform init && terraform plan`. It must announce imports, and neither a replacement nor a destruction.
3. `terraform apply`, then delete `imports.tf`. From now on stop using `arriero up` and `arriero down` for these sites:
   two owners would undo each other. The gateway and `arriero status` go on as before: they find targets by their tags.

To go back, forget the state (`terraform state rm`) and run `arriero plan`.
{"".join(_guide(part) for part in parts)}"""


def _guide(part: Part) -> str:
    if part.site is None:
        return front_door.GUIDE
    return "".join(guide(part.site) for guide in GUIDES[part.cloud])


def _row(part: Part) -> str:
    instances = sum(_instances(p) for p in part.pieces if p.kind == "resource" and p.type != "terraform_data")
    imported = sum(len(piece.standing) for piece in part.pieces)
    said = "nothing: it could not be read" if part.unread else str(imported)
    return f"| {part.name} | {instances} | {said} |"


def _instances(piece: Piece) -> int:
    each = piece.body.get("for_each", (piece.label,))
    named = each.value if isinstance(each, Call) else each
    return len(named) if isinstance(named, Mapping | Sequence) else 1
