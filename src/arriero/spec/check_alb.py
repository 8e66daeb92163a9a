"""The rules of `ingress.alb`: between it, the sites, and what AWS's load balancers can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from arriero.errors import Problem
from arriero.spec import ingress_values as of_ingress
from arriero.spec import secret_values
from arriero.spec.check_edges import edge_problems
from arriero.spec.ingress import Alb

if TYPE_CHECKING:
    from arriero.spec.model import Spec

AT = "ingress.alb"
EVERYBODY = "0.0.0.0/0"


def alb_problems(spec: Spec) -> Iterator[Problem]:
    alb = spec.ingress.alb
    if alb is None:
        return
    regions = {site.region: name for name, site in spec.sites.items() if site.cloud == "aws"}
    if not regions:
        yield Problem("no site is in AWS, which alone has these", "remove it", AT)
        return
    yield from _arn_problems(spec, alb, regions)
    yield from _time_problems(alb)
    yield from _client_problems(alb, spec.ingress.front_door is not None)
    if alb.edges:
        yield from edge_problems(spec, alb.edges)
    if spec.deploy.is_canary:
        what = "a load balancer deals by targets and knows no shares, so a trial's first step would get half of all"
        yield Problem(what, "write rolling, or remove ingress.alb", "deploy.strategy")


def _arn_problems(spec: Spec, alb: Alb, regions: dict[str, str]) -> Iterator[Problem]:
    keys = tuple(arn for arn in alb.edges.keys if not secret_values.is_in_key_vault(arn)) if alb.edges else ()
    for key, arns in (("certificates", alb.certificates), ("web_acls", alb.web_acls), ("edges.keys", keys)):
        taken = set[str]()
        for index, arn in enumerate(arns):
            region, account, at = of_ingress.region_of(arn), of_ingress.account_of(arn), f"{AT}.{key}[{index}]"
            if region in taken:
                yield Problem(f"{region} has one already", "keep one of them", at)
            elif region not in regions:
                yield Problem(f"no AWS site is in {region}", "remove it, or correct its region", at)
            elif spec.accounts.aws and account != spec.accounts.aws:
                what = f"is of the account {account}, and the spec's is {spec.accounts.aws}"
                yield Problem(what, "name one of that account", at)
            taken.add(region)
    for region, name in regions.items():
        if all(of_ingress.region_of(arn) != region for arn in alb.certificates):
            what = f"none is of {region}, where {name} is, and a load balancer takes those of its own region only"
            yield Problem(what, "add the ARN of one", f"{AT}.certificates")
        if keys and all(secret_values.region_of(arn) != region for arn in keys):
            what = f"none is of {region}, where {name} is, and ECS reads secrets of its own region"
            yield Problem(what, f"keep a copy in {region}, and name that, too", f"{AT}.edges.keys")


def _time_problems(alb: Alb) -> Iterator[Problem]:
    idle, key = alb.idle_timeout, f"{AT}.idle_timeout"
    if idle <= of_ingress.DEFAULT_IDLE_SECONDS:
        what = f"is {idle}: AWS's own 60s cut every request whose model has to be loaded first, which takes longer"
        yield Problem(what, f"write {of_ingress.LEAST_IDLE_SECONDS}s or more, or remove the line", key)
    elif idle < of_ingress.LEAST_IDLE_SECONDS:
        what = f"is {idle}, and Ollama may be silent for 5m while it loads a model"
        yield Problem(what, f"write {of_ingress.LEAST_IDLE_SECONDS}s or more, or remove the line", key)
    elif idle > of_ingress.MOST_IDLE_SECONDS:
        yield Problem(f"is {idle}, and a load balancer's most is 4000s", "write 4000s, or remove the line", key)
    if alb.drain_within > of_ingress.MOST_DRAIN_SECONDS:
        yield Problem(f"is {alb.drain_within}, and a target group's most is 1h", "write 1h", f"{AT}.drain_within")


def _client_problems(alb: Alb, has_front_door: bool) -> Iterator[Problem]:
    if alb.scheme == "internet-facing" and not alb.allow_from:
        what = "is missing, and what stands behind the load balancer asks nobody for a key"
        what = "is missing, and nobody could reach it" if alb.edges else what
        remedy = "name the ranges of your clients, like [203.0.113.0/24]"
        if has_front_door:
            what = "is missing, and Front Door could not reach it"
            remedy = "write ['0.0.0.0/0'], as it answers that Front Door alone; or ranges of Front Doors"
        yield Problem(what, remedy, f"{AT}.allow_from")
    for index, source in enumerate(alb.allow_from):
        if source == EVERYBODY and not alb.edges:
            what = f"{source} lets everybody reach Ollama, which asks for no key"
            remedy = "name the ranges that may, or put edges behind it, which ask for keys"
            yield Problem(what, remedy, f"{AT}.allow_from[{index}]")
        if source in alb.allow_from[:index]:
            yield Problem(f"{source} is here twice", "keep one of them", f"{AT}.allow_from[{index}]")
