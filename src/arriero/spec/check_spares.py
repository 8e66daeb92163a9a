"""Spares, which Azure keeps ready in a standby pool: where there can be none, or nobody would take one.

A pool makes its groups from a container group profile, which Azure keeps. What a group may be told only while it is
made (values of secrets, keys of a storage or a workspace) would be kept there a second time, and be renewed by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.model import ResolvedSite, Spec


def spare_problems(spec: Spec) -> Iterator[Problem]:
    """Each once, where several sites share the section that has it."""
    own = [name for name, site in spec.sites.items() if site.scale and "spares" in site.scale.model_fields_set]
    for name in own:
        if spec.sites[name].cloud != "azure":
            what = f"are kept by Azure's standby pools, and {name} is in {spec.sites[name].cloud}"
            yield Problem(what, "remove the line; scale.warm keeps targets ready there", f"sites.{name}.scale.spares")
    in_azure = [name for name, site in spec.sites.items() if site.cloud == "azure"]
    if spec.scale.spares and not in_azure:
        yield Problem("no site is in azure, and nobody else keeps spares", "remove it", "scale.spares")
    keys = {name: f"sites.{name}.scale.spares" if name in own else "scale.spares" for name in in_azure}
    found = (problem for name, key in keys.items() for problem in _site_problems(spec.site(name), key))
    yield from dict.fromkeys(found)


def _site_problems(site: ResolvedSite, key: str) -> Iterator[Problem]:
    if not site.spares:
        return
    if site.scale_by == "hand":
        what = "are taken by the controller, which starts nothing here (scale.by: hand)"
        yield Problem(what, "remove the line, or write by: load", key)
    if site.min == 0:
        what = "run all the time, and min: 0 is for a site that runs nothing"
        yield Problem(what, "keep at least 1, or remove the line", key)
    if names := [model.name for model in site.models if model.source == "storage"]:
        what = f"are made from a profile that Azure keeps, and {names[0]} from storage would put a key there"
        yield Problem(what, "remove `from: storage`: the model is baked into the image then; or remove the line", key)
    if given := [*site.environment_from, *(["registry_login"] if site.registry_login else [])]:
        what = f"are made from a profile that Azure keeps, and the value of {given[0]} would be kept there, too"
        yield Problem(what, "remove the line, or that secret", key)
    if site.registry_identity:
        what = "are made from a profile, which has no identity, and the image is pulled with one (registry_identity)"
        yield Problem(what, "remove the line, or pull from a registry that asks for no login", key)
    if site.has_workspace:
        what = "are made from a profile that Azure keeps, and the key of the workspace of logs would be kept there, too"
        yield Problem(what, "remove the line, or logs.to_workspace", key)
