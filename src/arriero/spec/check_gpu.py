"""GPUs: EC2 machines and container apps have some, and some that people still ask for are gone altogether."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.catalog import catalog, gpu_machines, model_memory
from arriero.catalog.gpu_machines import Machine
from arriero.errors import Problem
from arriero.spec.check_apps import app_problems
from arriero.spec.check_vms import vm_problems
from arriero.spec.gpu import Gpu, is_virtual
from arriero.spec.model import ResolvedSite, Site, Spec

CLOUDS = {"aws": "AWS", "azure": "Azure"}
_HERE = {
    "aws": "write one of those GPUs",
    "azure": "Container Instances have had no GPUs since 2025-07-14, but Container Apps have: write T4 or A100",
}
_MIB = 2**20


def gpu_problems(spec: Spec, name: str, site: Site) -> Iterator[Problem]:
    """Why a site can't have the GPU it asks for, and what would do."""
    if site.gpu is None:
        return
    key, how = f"sites.{name}.gpu", site.gpu.how
    if site.cloud == "local":
        yield Problem("a local Ollama finds this machine's GPU by itself", "remove the line", key)
        return
    if how and not gpu_machines.machines(site.cloud, how):
        what = f"machines that are {how} are to be had at Azure, and the site is at {CLOUDS[site.cloud]}"
        yield Problem(what, "remove machines", f"{key}.machines")
        return
    gone = catalog.retired(site.gpu.type)
    is_still_had = bool(gpu_machines.with_gpu(site.cloud, site.gpu.type, how=how)) and gone is not None
    if gone and not (is_still_had and site.gpu.allow_retired):
        here = "write one of those GPUs" if how else _HERE[site.cloud]
        what = f"{gone.name} was retired by {CLOUDS[gone.cloud]} ({gone.date})" + (gone.costs and f": {gone.costs}")
        way = f"; or add allow_retired: true, if {CLOUDS[gone.cloud]} still gives you some" if is_still_had else ""
        remedy = f"its successors are {', '.join(gone.successors)}; {here}, like gpu: T4{way}"
        yield Problem(what, remedy, key)
    elif not gpu_machines.with_gpu(site.cloud, site.gpu.type, how=how):
        where = "on virtual machines that is known here" if how else "that is known here"
        what = f"{CLOUDS[site.cloud]} has no GPU '{site.gpu.type}' {where}"
        known = ", ".join(gpu_machines.types(site.cloud, how))
        yield Problem(what, f"write one of {known}; the machine is found by it", key)
    else:
        yield from _managed_problems(site, site.gpu, gone is not None, key)
        yield from _machine_problems(spec.site(name), site.gpu, key)
        yield from _company_problems(spec, site, key)
        if is_virtual(site.gpu):
            yield from vm_problems(spec, spec.site(name), key)
        elif site.cloud == "azure":
            yield from app_problems(spec, spec.site(name), key)


def _managed_problems(site: Site, gpu: Gpu, is_retired: bool, key: str) -> Iterator[Problem]:
    if gpu.is_managed and site.cloud != "aws":
        what = f"machines that are managed are to be had at AWS, and the site is at {CLOUDS[site.cloud]}"
        yield Problem(what, "remove machines", f"{key}.machines")
    elif gpu.is_managed and is_retired:
        what = f"no source says whether ECS itself starts a {gpu.type}, which is sold no longer"
        yield Problem(what, "remove machines: an autoscaling group starts it", f"{key}.machines")


def machines(site: ResolvedSite) -> tuple[Machine, ...]:
    """Those that a target of the site has room on."""
    gpu = site.gpu
    if gpu is None:
        return ()
    size = site.size
    return gpu_machines.fitting(site.cloud, gpu.type, gpu.count, float(size.cpu), size.memory.in_gib, gpu.how)


def _machine_problems(site: ResolvedSite, gpu: Gpu, key: str) -> Iterator[Problem]:
    able = gpu_machines.with_gpu(site.cloud, gpu.type, gpu.count, gpu.how)
    if not able:
        most = max(each.gpus for each in gpu_machines.with_gpu(site.cloud, gpu.type, how=gpu.how))
        yield Problem(f"no machine has {gpu}", f"ask for {most} at most", f"{key}.count")
        return
    if not machines(site):
        what = f"no machine with {gpu} has room for a target of {site.size.cpu} and {site.size.memory}"
        largest = max(able, key=lambda each: (each.memory_gib, each.cpu))
        yield Problem(what, f"use a smaller size; the largest is {largest}", key)
        return
    yield from _memory_problems(site, gpu, key)


def _memory_problems(site: ResolvedSite, gpu: Gpu, key: str) -> Iterator[Problem]:
    """Whether the largest models that may be loaded together fit into the GPUs of one target, as far as is known."""
    context = site.ollama.context_length or model_memory.DEFAULT_CONTEXT
    parallel = site.ollama.num_parallel
    sizes = {model.name: model_memory.size_of(model.name) for model in site.models}
    needs = {name: size.bytes_with(context, parallel) for name, size in sizes.items() if size}
    together = sorted(needs, key=lambda name: -needs[name])[: site.ollama.max_loaded_models]
    needed, room = sum(needs[name] for name in together), _room(site.cloud, gpu)
    if needed <= room:
        return
    weights = sum(size.weights_bytes for name, size in sizes.items() if size and name in together)
    what = (
        f"{' and '.join(together)} with {parallel} x {context} tokens of context take {_gb(needed)}, "
        f"and {gpu} has room for {_gb(room)}"
    )
    ways = ["lower ollama.num_parallel or ollama.context_length"] if weights < room else []
    if larger := _smallest_with(site.cloud, needed, gpu):
        own = f", machines: {gpu.machines}" if gpu.machines else ""
        ways.append(f"write gpu: {{type: {larger.type}, count: {larger.count}{own}}}")
    yield Problem(what, ", or ".join(ways) or "serve a smaller model", key)


def _smallest_with(cloud: str, needed: int, asked: Gpu) -> Gpu | None:
    """The GPUs with the least memory in which so many bytes have room, on machines of the same way."""
    found = {(each.gpu, each.gpus) for each in gpu_machines.machines(cloud, asked.how) if not each.retired}
    offers = [asked.model_copy(update={"type": kind, "count": count}) for kind, count in found]
    able = [each for each in offers if _room(cloud, each) >= needed]
    return min(able, key=lambda each: (_room(cloud, each), each.type, each.count), default=None)


def _room(cloud: str, gpu: Gpu) -> int:
    """Bytes for models in so many of that GPU."""
    each = gpu_machines.with_gpu(cloud, gpu.type, how=gpu.how)[0].gpu_mib
    return (each - model_memory.BESIDES_MIB) * gpu.count * _MIB


def _company_problems(spec: Spec, site: Site, key: str) -> Iterator[Problem]:
    """What of the rest of the spec does not go with GPUs."""
    if site.spot is not None and site.cloud == "aws":
        what = "machines with GPUs run on demand here, and the site asks for Spot"
        yield Problem(what, "remove it, or remove gpu", key.removesuffix("gpu") + "spot")
    for index, model in enumerate(spec.models):
        if model.source == "storage":
            what = f"{key} and models from storage do not go together yet"
            yield Problem(
                what, "remove `from: storage`: the model is baked into the image then", f"models[{index}].from"
            )
    if spec.image.variant == "cpu":
        yield Problem(f"has no libraries for the GPUs of {key}", "write variant: cuda, or remove it", "image.variant")


def _gb(amount: int) -> str:
    return f"{amount / 10**9:.1f} GB"
