"""The variables of the role `aws_site` that are about its edges, and about the name by which they find targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from arriero.clouds.aws.service_variables import service_found, with_role_arns
from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws as wish
from arriero.plan.wanted import aws_edges
from arriero.spec.model import ResolvedSite


def edges(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_edges` and `aws_site_names` are what is to be had, if anything is."""
    zone, group = found.find(aws_edges.NAMES), found.find("aws.security_group", aws_edges.name(wish.base_name(site)))
    running = found.find(aws_edges.DEFINITION)
    names = [{"zone": r.name, **cast("Mapping[str, Json]", r.properties)} for r in _of(plan, aws_edges.NAMES)]
    return {
        "aws_site_names": cast(Json, names),
        "aws_site_registry_arn": cast(str, zone.details["arn"]) if zone and site.edges else "",
        "aws_site_edges": [_service(site, plan, found, wanted) for wanted in _of(plan, aws_edges.SERVICE)],
        "aws_site_edges_arn": cast(str, running.details["arn"]) if running else "",
        "aws_site_edges_group_id": group.id if group else "",
    }


def _service(site: ResolvedSite, plan: SitePlan, found: SiteFacts, wanted: Resource) -> Json:
    [definition] = _of(plan, aws_edges.DEFINITION)
    running, own = found.find(aws_edges.DEFINITION), cast("Mapping[str, Any]", wanted.properties)
    [attached] = own["load_balancers"]
    is_named = any(change.kind == aws_edges.DEFINITION for change in plan.changes)
    return {
        "name": wanted.name,
        "count": own["desired_count"],
        "container": attached["container"],
        "port": attached["port"],
        "public_ip": own["network"]["public_ip"],
        "grace_seconds": own["grace_seconds"],
        "tags": dict(wanted.tags),
        "definition": with_role_arns(cast("Mapping[str, Any]", definition.details["document"]), site, found),
        "register": is_named,
        # One that was tampered with carries the wanted labels, so the module would take it for the wanted one.
        "register_anew": is_named and running is not None and dict(running.tags) == dict(definition.tags),
        "found": service_found(wanted, found.find(aws_edges.SERVICE, wanted.name)),
    }


def _of(plan: SitePlan, kind: str) -> list[Resource]:
    return [resource for resource in plan.wanted if resource.kind == kind]
