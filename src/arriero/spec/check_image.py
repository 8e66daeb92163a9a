"""The rules between the keys of `image`, between those of a model that say where the image has it from, and of the
identity that a site pulls with.
"""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.image import ACR, AZURES_REGISTRY, ecr_region, registry_of
from arriero.spec.model import ResolvedSite, Spec


def image_problems(spec: Spec) -> Iterator[Problem]:
    image = spec.image
    if image.ollama_file and "ollama" in image.model_fields_set:
        yield Problem("says what image.ollama says, too", "keep one of them", "image.ollama_file")
    if image.ollama_file and image.variant == "cuda":
        what = "is a program without libraries, so the image would use no GPU"
        yield Problem(what, "write image.ollama, or variant: cpu", "image.ollama_file")
    clouds = {site.cloud for site in spec.sites.values()}
    for cloud in image.registries:
        if cloud not in clouds:
            yield Problem(f"no site is in {cloud}", "remove the line, or add a site", f"image.registries.{cloud}")
    kept = {"aws": bool(ecr_region(image.at("aws"))), "azure": bool(ACR.fullmatch(image.at("azure")))}
    if image.replicate and not any(kept[cloud] for cloud in kept if cloud in clouds):
        what = "only ECR and ACR bring images to other regions, and the image is in neither"
        yield Problem(what, "name a repository there in image.registries, or remove the line", "image.replicate")
    ids = [allowed.id for allowed in image.scan.allow]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            yield Problem(f"{name} is here twice", "keep one of them", f"image.scan.allow[{index}]")
    for index, model in enumerate(spec.models):
        key = f"models[{index}]"
        ways = [way for way in ("pull", "modelfile", "gguf") if getattr(model, way)]
        if len(ways) > 1:
            yield Problem(f"is taken from {' and '.join(ways)}", "keep one of them", key)
        if model.insecure and (model.modelfile or model.gguf):
            yield Problem("nothing is pulled for this model", "remove the line", f"{key}.insecure")
    for name in spec.sites:
        yield from _identity_problems(spec.site(name))


def _identity_problems(site: ResolvedSite) -> Iterator[Problem]:
    """Entra ID knows identities at Azure, and only Azure's own registries ask it."""
    if site.registry_identity is None:
        return
    key, kept = f"sites.{site.name}.registry_identity", registry_of(site.image)
    if site.cloud != "azure":
        what = f"only a site in azure pulls with an identity of Azure, and {site.name} is in {site.cloud}"
        yield Problem(what, "remove it", key)
    elif site.registry_login:
        yield Problem("is beside registry_login, and an image is pulled in one way", "keep one of them", key)
    elif not kept.endswith(AZURES_REGISTRY):
        what = f"pulls from a registry of Azure only, and the image is in {kept or 'Docker Hub'}"
        yield Problem(what, f"name one in NAME{AZURES_REGISTRY} as image.registries.azure, or remove it", key)
