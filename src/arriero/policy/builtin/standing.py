"""How the service stands: regions, numbers, accounts and logs."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.policy.rule import Hit, Severity, Subject, rule
from arriero.spec.front_door import clouds_of


def _in_production(subject: Subject, otherwise: Severity) -> Severity:
    return "error" if subject.spec.policy.production else otherwise


@rule(
    "one-region",
    "note",
    reason="a region that fails takes the whole service with it",
    remedy="add a site in another region, at least as a standby",
)
def one_region(subject: Subject) -> Iterator[Hit]:
    places = {(site.cloud, site.region) for site in subject.spec.sites.values() if site.cloud != "local"}
    if len(places) == 1:
        [(_, region)] = places
        yield Hit("sites", f"all of it stands in {region}", _in_production(subject, "note"))


@rule(
    "single-target",
    "note",
    reason="while its only server loads or fails, a site answers nobody",
    remedy="write scale: {min: 2}, or more",
)
def single_target(subject: Subject) -> Iterator[Hit]:
    spec = subject.spec
    for name, site in spec.sites.items():
        if site.cloud != "local" and site.role == "active" and spec.site(name).min == 1:
            own = site.scale is not None and site.scale.min is not None
            where = f"sites.{name}.scale.min" if own else "scale.min"
            yield Hit(where, f"{name} may come down to one target", "warning" if spec.policy.production else "note")


@rule(
    "account-unpinned",
    "warning",
    reason="with another login in the environment the deployment would go into another account",
    remedy="write the account's id under `accounts`",
)
def account_unpinned(subject: Subject) -> Iterator[Hit]:
    spec = subject.spec
    if spec.rehearse == "always":
        return
    pinned = {cloud for cloud, account in spec.accounts.model_dump().items() if account}
    for cloud in sorted({*clouds_of(spec)} - pinned - {"local"}):
        yield Hit(f"accounts.{cloud}", f"the spec does not say which {cloud} account is the right one")


@rule(
    "logs-without-retention",
    "error",
    reason="logs that are kept for ever cost for ever, and hold what people asked longer than anybody needs it",
    remedy="run `arriero up`, which sets logs.retention_days",
)
def logs_without_retention(subject: Subject) -> Iterator[Hit]:
    for site in subject.facts.sites.values() if subject.facts else ():
        for resource in site.resources:
            is_log = resource.kind == "aws.log_group" and site.site in subject.spec.sites
            if is_log and resource.properties["retention_days"] is None:
                yield Hit(f"sites.{site.site}", f"the log group {resource.name} keeps its logs for ever")


@rule(
    "site-unread",
    "warning",
    reason="what can't be looked at can't be called good",
    remedy="see what it says, mend it, and check again",
)
def site_unread(subject: Subject) -> Iterator[Hit]:
    for name in subject.spec.sites:
        found = subject.facts.sites.get(name) if subject.facts else None
        if found and found.problem:
            yield Hit(f"sites.{name}", f"it can't be read: {found.problem.what}", _in_production(subject, "warning"))


RULES = (site_unread, one_region, single_target, account_unpinned, logs_without_retention)
