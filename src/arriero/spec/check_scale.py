"""Counts, and what the clouds' own scaling can do: what it has no figures for, or would cut streams by, is refused."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.model import ResolvedSite, Spec, default_min


def scale_problems(spec: Spec) -> Iterator[Problem]:
    """Each once, where several sites share the section that has it."""
    seen: set[Problem] = set()
    for name in spec.sites:
        for problem in (*_count_problems(spec, name), *_cloud_problems(spec, name)):
            if problem not in seen:
                seen.add(problem)
                yield problem
    if spec.scale.track.goals and all(spec.site(name).scale_by != "cloud" for name in spec.sites):
        yield Problem("is read by the clouds' own scaling only", "write by: cloud, or remove it", "scale.track")


def _count_problems(spec: Spec, name: str) -> Iterator[Problem]:
    resolved, key = spec.site(name), _key(spec, name)
    if resolved.warm > resolved.max:
        what = f"is {resolved.warm}, more than max, which is {resolved.max}"
        yield Problem(what, f"write a warm of at most {resolved.max}", f"{key}.warm")
    elif resolved.min > resolved.max:
        yield _min_over_max(spec, key, name, resolved.min, resolved.max)
    if resolved.prewarm and resolved.scale_by != "load":
        what = f"is the controller's to keep to, and the site's count is not (scale.by: {resolved.scale_by})"
        yield Problem(what, "remove it, or write by: load", f"{key}.prewarm")
    elif resolved.prewarm and resolved.prewarm.least > resolved.max:
        what = f"is {resolved.prewarm.least}, more than max, which is {resolved.max}"
        yield Problem(what, f"write a least of at most {resolved.max}", f"{key}.prewarm.least")
    if resolved.warm and not spec.sidecar:
        what = "models are kept in memory by the sidecar, which is off"
        yield Problem(what, "remove `sidecar: false`, or the line", f"{key}.warm")
    if resolved.role == "active" and resolved.min == 0:
        yield from _zero_problems(resolved, key)


def _zero_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    """Who takes targets away to the last has to be able to start the first one again."""
    if site.cloud == "local":
        yield Problem("is 0 at an active local site, whose servers only `up` starts", "keep at least 1", f"{key}.min")
    elif site.scale_by != "load":
        what = (
            f"is 0 at an active site, and nobody starts the first one when it is asked for (scale.by: {site.scale_by})"
        )
        yield Problem(what, "keep at least 1, or write by: load", f"{key}.min")


def _cloud_problems(spec: Spec, name: str) -> Iterator[Problem]:
    site, key = spec.site(name), _key(spec, name)
    if site.scale_by != "cloud":
        return
    if site.cloud == "local":
        remedy = f"write sites.{name}.scale.by: hand, or load"
        yield Problem("this machine has no scaling of its own", remedy, f"{key}.by")
        return
    if not site.track.goals:
        yield Problem("says nothing to keep to", "add it under track, like track: {cpu: 60%}", f"{key}.by")
    if site.min == 0 and site.role == "standby":
        what = "is 0, and the cloud's own scaling measures what runs, so that the first one would never start"
        yield Problem(what, "write min: 1", f"{key}.min")
    if not spec.sidecar:
        what = "the cloud takes away targets with open streams where no sidecar asks it not to"
        yield Problem(what, "remove sidecar: false, or write by: load", f"{key}.by")
    yield from _azure_problems(site, key)


def _azure_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    if site.cloud != "azure":
        return
    if site.track.requests is not None:
        what = "Azure Monitor has no such figure of container groups"
        remedy = f"write sites.{site.name}.scale.track: {{cpu: 60%}}, or by: load"
        yield Problem(what, remedy, f"{key}.track.requests")
    if site.alerts is None:
        what = "Container Instances have no scaling of their own: Azure's alerts have to reach the controller"
        yield Problem(what, "say how under scale.alerts, or write by: load", f"{key}.by")


def _key(spec: Spec, name: str) -> str:
    scale = spec.sites[name].scale
    return f"sites.{name}.scale" if scale is not None and scale.model_fields_set else "scale"


def _min_over_max(spec: Spec, key: str, name: str, least: int, most: int) -> Problem:
    site = spec.sites[name]
    said = spec.scale.min if site.scale is None or site.scale.min is None else site.scale.min
    if said is None:
        what = f"is {most}, and the least number of an {site.role} site is {default_min(site.role)}"
        return Problem(what, f"write min: {most}, too, or a greater max", f"{key}.max")
    return Problem(f"is {least}, more than max, which is {most}", f"write a min of at most {most}", f"{key}.min")
