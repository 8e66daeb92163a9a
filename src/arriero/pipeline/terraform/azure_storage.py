"""An Azure site's storage of models for Terraform: its own resource group, its account, its share.

What is in the share tells its metadata, and Terraform runs no job that puts models there. So it is written only where
they were read; and it is never removed, as `arriero down` never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import azapi
from arriero.pipeline.terraform.hcl import Blocks, Body, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_files

_KEPT: Body = {"lifecycle": Blocks(({"prevent_destroy": True},))}


def _group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for group in resources:
        body: Body = {"name": group.name, "location": str(group.properties["location"]), "tags": site.tags, **_KEPT}
        label = f"{site.label}_files"
        yield Piece("azurerm_resource_group", label, body, site.imported(group), azapi.KEPT_NOTE)


def _account(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for account in resources:
        yield azapi.account(site, account, _KEPT)


def _share(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    marks = [str(models.properties["models"]) for models in site.wanted(azure_files.MODELS_KIND)]
    for share in resources:
        body: Body = {
            "name": share.name,
            "storage_account_id": Raw(f"{azapi.TYPE}.{site.label}_storage.id"),
            "quota": cast(int, share.properties["quota_gib"]),
            **({"metadata": {azure_files.MARK: marks[0]}} if marks else {}),
            **_KEPT,
        }
        yield Piece("azurerm_storage_share", site.label, body, site.imported(share), azapi.KEPT_NOTE)


def _models(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """Told by the share's metadata. Raises Refused where they are not known to be there."""
    for models in resources:
        found = site.standing(models)
        if found is None or found.properties != models.properties:
            what = f"the storage of {site.spec.name} is not known to hold its models, and Terraform puts none there"
            raise Refused(Problem(what, "run `arriero up` first, and export then", "models"))
    return iter(())


MAKERS: Mapping[str, Maker] = {
    azure_files.GROUP_KIND: _group,
    azure_files.ACCOUNT_KIND: _account,
    azure_files.SHARE_KIND: _share,
    azure_files.MODELS_KIND: _models,
}
