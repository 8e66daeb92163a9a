"""How plans and status look in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from arriero.catalog import catalog
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cli import copy_lines, door_lines, pair_lines
from arriero.cli.change_lines import change_json, change_line, store_json
from arriero.cli.cost_lines import budget_lines
from arriero.cost.budget import judge
from arriero.cost.estimate import Estimate
from arriero.observe.status import SiteStatus, Status
from arriero.plan.model import (
    Change,
    Cloud,
    Facts,
    Plan,
    Resource,
    SiteFacts,
    SitePlan,
    StoreFacts,
    StorePlan,
    TargetFacts,
)
from arriero.plan.registries import own_copies
from arriero.plan.wanted import storage
from arriero.spec.front_door import NAME
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite, Spec

DOOR = "Azure Front Door, with its resource group in"
CLOUDS = {"aws": "AWS ECS Fargate", "azure": "Azure Container Instances", "local": "this machine"}
APPS, MACHINES = "Azure Container Apps", "Azure virtual machines"


def plan_lines(
    plan: Plan,
    spec: Spec,
    estimates: dict[str, Estimate],
    policy: Sequence[str] = (),
    prices: Prices = BUILT_IN,
    nginx: Change | None = None,
) -> list[str]:
    """What `arriero plan` prints: a paragraph a site, a line a change, the price at the end of the site's line; then
    whether it fits into the budget, and what `policy` found. `nginx` is what is to be done with the one here.
    """
    staying = [line for site in plan.sites if not site.is_leaving for line in _site_lines(site, spec, estimates)]
    leaving = [line for site in plan.sites if site.is_leaving for line in _leaving_lines(site)]
    stores = [line for store in plan.stores for line in _store_lines("ledger: its store", store)]
    stores += [line for store in plan.registries for line in _store_lines("images: their registry", store)]
    door = door_lines.plan_lines(plan.front_door, spec, prices)
    pairs = pair_lines.plan_lines(spec)
    money = [*_total(tuple(estimates.values())), *budget_lines(judge(spec.budget, estimates.values()))]
    return [
        *staying,
        *leaving,
        *door,
        *(["before the gateway here", change_line(nginx)] if nginx else []),
        *stores,
        *copy_lines.plan_lines(spec, plan, prices),
        *pairs,
        *money,
        *policy,
        _verdict(plan, nginx),
    ]


def unasked_lines(facts: Facts) -> list[str]:
    """For clouds that don't say which of the service's sites stand there, where no site's own problem says it."""
    told = {found.cloud for found in facts.sites.values() if found.problem}
    what = "! whether sites that left the spec still stand there is not known: "
    return [f"{what}{problem}" for problem in facts.unasked if problem.key not in told]


def _total(estimates: tuple[Estimate, ...]) -> list[str]:
    """The sum of what is known, said as a lower bound where something is not."""
    known = [estimate.monthly for estimate in estimates if estimate.monthly]
    if not known:
        return []
    least = "" if all(estimate.is_complete for estimate in estimates) else "at least "
    return [f"Everything together: {least}{sum(known[1:], start=known[0])} a month at these counts."]


def _site_lines(site: SitePlan, spec: Spec, estimates: dict[str, Estimate]) -> list[str]:
    role, estimate = spec.sites[site.site].role, estimates[site.site]
    head = f"{site.site}: {_runs_on(spec.site(site.site))} {site.region}".rstrip() + f", {role}"
    warm = f", {spec.site(site.site).warm} at least warm" if spec.site(site.site).warm else ""
    spares = spec.site(site.site).spares if site.count else 0
    more = f" and {_counted(spares, 'spare')}" if spares else ""
    head += f", {_counted(site.count, 'target')}{more}{warm}, release {site.release}, {estimate.sentence}"
    if site.problem:
        return [head, f"  ! {site.problem}"]
    asleep = [f"  {site.asleep}"] if site.asleep else []
    changes = [change_line(change) for change in site.changes] or ["  nothing to do"]
    adopted = map(_adopted_line, site.adopted)
    drift = [f"  drift: {sentence}" for sentence in site.drift]
    return [head, *asleep, *changes, *adopted, *drift, *(f"  note: {note}" for note in site.notes if site.steps)]


def _adopted_line(target: TargetFacts) -> str:
    return f"  = {target.address} is adopted; {target.reason or 'it answers'}"


def _leaving_lines(site: SitePlan) -> list[str]:
    head = f"{site.site}: {_where(site.cloud, site.region, site.site)}, no longer in the spec: all of it is removed"
    return [head, *([f"  ! {site.problem}"] if site.problem else map(change_line, site.changes))]


def _store_lines(what: str, store: StorePlan) -> list[str]:
    """A store that is as it should be has nothing to say."""
    if not store.changes and not store.problem:
        return []
    head = f"{what} at {store.cloud} {store.region}".rstrip()
    return [head, *([f"  ! {store.problem}"] if store.problem else []), *map(change_line, store.changes)]


def _runs_on(site: ResolvedSite) -> str:
    """What its targets are run by."""
    if site.cloud == "azure" and site.gpu:
        return MACHINES if is_virtual(site.gpu) else APPS
    return CLOUDS[site.cloud]


def _where(cloud: str, region: str, site: str = "") -> str:
    return f"{DOOR if site == NAME else CLOUDS[cloud]} {region}".rstrip()


def _verdict(plan: Plan, nginx: Change | None) -> str:
    if plan.is_empty and not plan.problems and not nginx:
        return "Nothing to do: everything is as the spec says."
    changes = _changes(plan) + bool(nginx)
    unread = f"; {_unread(plan)} can't be read" if plan.problems else ""
    if not changes:
        return unread.removeprefix("; ") + "; nothing is to be changed at others."
    return f"{_counted(changes, 'change')} at {_places(plan, nginx)}{unread}. To make them: arriero up"


def _unread(plan: Plan) -> str:
    door = 1 if plan.front_door and plan.front_door.problem else 0
    sites = len(plan.problems) - door
    return " and ".join([*([_counted(sites, "site")] if sites else []), *(["the Front Door"] if door else [])])


def _places(plan: Plan, nginx: Change | None) -> str:
    sites = sum(1 for site in plan.sites if site.steps)
    doors = (plan.front_door,) if plan.front_door else ()
    beside = (("the ledger", plan.stores), ("the registry", plan.registries), ("the Front Door", doors))
    found = [_counted(sites, "site")] if sites else []
    found += [name for name, stores in beside if any(store.changes for store in stores)]
    found += ["the nginx here"] if nginx else []
    return " and ".join(found)


def _changes(plan: Plan) -> int:
    return sum(len(site.changes) for site in plan.sites) + sum(len(each.changes) for each in plan.beside)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def plan_json(
    plan: Plan,
    spec: Spec,
    facts: Facts,
    estimates: dict[str, Estimate],
    prices: Prices = BUILT_IN,
    nginx: Change | None = None,
) -> dict[str, object]:
    budget = judge(spec.budget, estimates.values())
    return {
        "schema": 1,
        "service": plan.service,
        "release": plan.release,
        "changes": _changes(plan) + bool(nginx),
        "sites": [_site_json(site, facts, estimates.get(site.site)) for site in plan.sites],
        "stores": [store_json(store) for store in plan.stores],
        "registries": [store_json(store) for store in plan.registries],
        "front_door": door_lines.as_json(plan.front_door, spec, prices),
        "copies": list(copy_lines.priced(spec, plan, prices)),
        "pairs": list(pair_lines.promised(spec)),
        "budget": budget.as_json() if budget else None,
        "unasked": [problem.as_json() for problem in facts.unasked],
        **({"nginx": change_json(nginx)} if nginx else {}),
    }


def _site_json(site: SitePlan, facts: Facts, estimate: Estimate | None) -> dict[str, object]:
    return {
        "name": site.site,
        "cloud": site.cloud,
        "account": facts.sites[site.site].account,
        "release": site.release,
        "targets": site.count,
        "leaving": site.is_leaving,
        "price": estimate.as_json() if estimate else None,
        "notes": list(site.notes),
        "asleep": site.asleep,
        "drift": list(site.drift),
        "problem": site.problem.as_json() if site.problem else None,
        "steps": [
            {"name": step.name, "undo": step.undo, "changes": [change_json(change) for change in step.changes]}
            for step in site.steps
        ],
    }


def removal_lines(there: tuple[SiteFacts, ...], purge: bool = False) -> list[str]:
    """What `arriero down` is about to remove, a paragraph a site; the storage of models only with `purge`."""
    lines = []
    for found in there:
        lines.append(f"{found.site}: {_where(found.cloud, found.region, found.site)}")
        lines += [f"  ! {found.problem}"] if found.problem else []
        going = [r for r in (*found.resources, *found.kept) if purge or r.kind not in storage.KEPT_KINDS]
        lines += [f"  - {resource.kind.partition('.')[2].replace('_', ' ')} {resource.name}" for resource in going]
    return lines


def copying_lines(found: Sequence[StoreFacts]) -> list[str]:
    """Where images go no more after `arriero down --purge`; those that are there stay."""
    copied = [(each.name, own) for each in found if (own := own_copies(each))]
    return [f"images\n  - replication of {name} to {', '.join(to)}: what is there stays" for name, to in copied]


def kept_models(facts: Facts, only: Collection[str] | None) -> list[str]:
    """The storage of models that `arriero down` leaves, a line a site, with the price of what is in it."""
    lines = []
    for name, found in facts.sites.items():
        held = [r for r in (*found.resources, *found.kept) if r.kind in ("aws.file_system", "azure.file_share")]
        if not held or (only is not None and name not in only):
            continue
        price = catalog.price(found.cloud, found.region, "files.storage")
        billed = f"${price.amount} a GB and month" if price else "by what is in it, price unknown"
        lines.append(
            f"Kept: the models of {name} ({_kind(held[0])} {held[0].name}), billed {billed}; "
            "`arriero down --purge` removes them."
        )
    return lines


def _kind(resource: Resource) -> str:
    return resource.kind.partition(".")[2].replace("_", " ")


def kept_lines(stores: Mapping[Cloud, StoreFacts], *, is_gone: bool) -> list[str]:
    """What `arriero down` leaves: the ledger's stores. What they cost is by use, and no source of a price was read."""
    kept = [f"{cloud} {store.name}" for cloud, store in stores.items() if store.is_there and not is_gone]
    if not kept:
        return []
    return [f"Kept: the ledger ({', '.join(kept)}), billed by use, price unknown; `arriero down --purge` removes it."]


def gateway_words(spec: Spec, url: str) -> str:
    """Where the gateway answers; if that is not where the spec has it, why."""
    asked = f"{spec.gateway.address}:{spec.gateway.port}"
    return url if url.endswith(f"//{asked}") else f"{url} ({asked} belongs to another program)"


def status_lines(status: Status, spec: Spec) -> list[str]:
    """What `arriero status` prints: the gateway, then a line a site and a line a target."""
    release = f"release {status.release}" if status.release else "nothing released"
    where = gateway_words(spec, status.gateway_url) if status.gateway_url else "not running"
    lines = [f"{status.service}: {release}; gateway {where}"]
    return [
        *lines,
        *_nginx_lines(status),
        *([f"front door https://{status.front_door}"] if status.front_door else []),
        *(f"  {name}" for name in status.front_door_names),
        *_scaling_lines(status),
        *pair_lines.status_lines(status.pairs),
        *(line for site in status.sites for line in _site_status_lines(site)),
    ]


def _nginx_lines(status: Status) -> list[str]:
    told = status.nginx
    if not told:
        return []
    return [f"nginx {told['url']}" + ("" if told["state"] == "running" else " does not run; start it: arriero up")]


def _scaling_lines(status: Status) -> list[str]:
    """How many run and should, and why: the service's reason, then what is special at a site."""
    told: Any = status.scaling
    if not told:
        return []
    sites = told["sites"]
    counts = ", ".join(f"{each['site']} {each['count']}" + _arrow(each) + _warm(each) for each in sites)
    lines = [f"scaling: {counts}: {told['reason']}; {told['open']} requests open, {told['waiting']} waiting"]
    if told["paused"]:
        lines.append(f"  ! paused: {told['paused']}")
    return lines + [f"  {each['site']}: {each['why']}" for each in sites if each["why"]]


def _warm(site: Any) -> str:
    return "" if site["warm"] is None else f" ({site['warm']} warm)"


def _arrow(site: Any) -> str:
    return "" if site["count"] == site["wanted"] else f" -> {site['wanted']}"


def _site_status_lines(site: SiteStatus) -> list[str]:
    simulated = ", simulated" if site.engine == "simulated" else ""
    where = " ".join(filter(None, (_runs_on(site.site), site.site.region)))
    lines = [f"{site.site.name:<12} {site.state:<9} {where}, {site.site.role}{simulated}"]
    if site.problem:
        lines.append(f"  ! {site.problem}")
    if site.load_balancer:
        lines.append(f"  load balancer {site.load_balancer}")
    if site.edges:
        lines.append(f"  {site.edges['count']} edges {site.edges.get('url', '')}".rstrip() + _for_whom(site))
    if site.spares:
        trouble = f"; Azure says: {site.spares['trouble']}" if site.spares["trouble"] else ""
        lines.append(f"  spares {site.spares['ready']} of {site.spares['wanted']} ready{trouble}")
    for target in site.targets:
        facts = target.facts
        pid = f"  pid {facts.pid}" if facts.pid else ""
        release = "adopted" if facts.is_adopted else f"r{facts.release or '?'}"
        models = ", ".join(target.models) if target.models is not None else "does not answer"
        lines.append(f"  {facts.id:<36} {facts.state:<9} {facts.address:<22} {release}{pid}  {models}")
    return lines


def _for_whom(site: SiteStatus) -> str:
    return ", for the Front Door alone" if site.site.front_door else ""
