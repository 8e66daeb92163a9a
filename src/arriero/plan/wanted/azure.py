"""What one region of Azure should hold: a resource group, a network that lets 11434 in, and container groups.

Everything of a site is named `<service>-<site>`; its container groups `<service>-<site>-r<release>-<n>`. A container
group is never changed: `azure_rm_containerinstance` ignores what differs on one that exists, and Azure itself restarts
a group that it updates. So a group is kept while it is exactly as wished, and otherwise a new one is made beside it and
the old one removed once the new one answers. A site that may run nothing keeps one group at rest meanwhile: it is
stopped, and what the next ones are made from.

Which module makes a group: `azure_rm_containerinstance`, unless the wish holds what it can't express (a liveness
probe, models from storage, a workspace); then the same immutable group goes through `azure_rm_resource`, and one with
secrets through our own `container_group`, whatever else it holds. The first is the default because it waits for the
creation and retries when throttled, and because the gateway already steers around a server that hangs: a probe that
kills it on top costs a model load, so it has to be asked for.

A site with GPUs has container apps in place of groups, under the same names: `azure_apps.py`. Or, where the spec asks
for them, virtual machines: `azure_vms.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from ipaddress import ip_network

from arriero.errors import Problem, Refused
from arriero.plan.compare import compare
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import (
    azure_alerts,
    azure_apps,
    azure_edges,
    azure_files,
    azure_identity,
    azure_logs,
    azure_moves,
    azure_private,
    azure_secrets,
    azure_spares,
    azure_vms,
    sidecar,
    storage,
)
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite

KINDS: Mapping[str, str] = {
    "azure.resource_group": "group",
    "azure.network_security_group": "network",
    "azure.public_ip": "network",
    "azure.nat_gateway": "network",
    "azure.virtual_network": "network",
    azure_logs.KIND: "logs",
    "azure.storage_group": "storage",
    "azure.storage_account": "storage",
    "azure.file_share": "storage",
    **azure_private.KINDS,
    **azure_edges.KINDS,
    "azure.stored_models": "seed",
    azure_apps.ENVIRONMENT_KIND: "environment",
    "azure.container_group": "targets",
    azure_apps.APP_KIND: "targets",
    azure_vms.VM_KIND: "targets",
    **dict.fromkeys(azure_vms.LEFT_KINDS, "targets"),
    **azure_edges.LATER_KINDS,
    "azure.action_group": "alerts",
    "azure.metric_alert": "alerts",
    "azure.spare_profile": "spares",
    "azure.spare_pool": "spares",
}
IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "azure.container_group": ("*",),
    azure_apps.APP_KIND: ("*",),
    azure_vms.VM_KIND: ("*",),
    **azure_private.IMMUTABLE,
    **azure_edges.IMMUTABLE,
}

GROUP_KIND = "azure.container_group"
# What a target is, one of them.
TARGET_KINDS = (GROUP_KIND, azure_apps.APP_KIND, azure_vms.VM_KIND)
DEFINITION_TAG = "arriero-definition"
PORT = 11434
SUBNET = "targets"
DELEGATION = "Microsoft.ContainerInstance/containerGroups"
GRACE_SECONDS = 30  # what Container Instances leaves between SIGTERM and SIGKILL; it can't be set
PROBE_PERIOD_SECONDS = 10
SIDECAR_CPU = 0.2  # at most, and a tenth of a small target's; a thousand tokens a second take about 0.03
SIDECAR_MEMORY_GB = 0.3  # in tenths, as they are counted there


def definition(site: ResolvedSite) -> Mapping[str, Value]:
    """What a container group is made from; a change of any of it is a new release."""
    if is_virtual(site.gpu):
        return azure_vms.definition(site)
    if site.gpu:
        return azure_apps.definition(site)
    return {
        "containers": _containers(site, azure_secrets.defined(site)),
        "restart_policy": "Always",
        **azure_files.around(site),
        **azure_logs.around(site, base_name(site)),
        **azure_secrets.defined_login(site),
        **azure_identity.around(site),
    }


def wanted(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> tuple[Resource, ...]:
    """The whole wish: `count` container groups of `release`, those that are right already under their own names.

    Raises Refused where the network that stands can never become the one that is asked for.
    """
    azure_moves.refuse(site, found)
    _check_range(site, found)
    pattern = _pattern(site, found, release, count, digest)
    kept, resting = _kept(pattern, found, count), _resting(site, pattern, found)
    taken = {group.name for group in _groups(found)} | azure_vms.left(found)
    names = [group.name for group in kept] + free_names(pattern.name, taken, count - len(kept))
    base = base_name(site)
    files = (*azure_files.wanted(site, found, base), *azure_private.wanted(site, found, base))
    logs = azure_logs.wanted(site, found, base)
    groups = [replace(pattern, name=name) for name in names]
    rest = [replace(pattern, name=group.name, details={"is_at_rest": True}) for group in resting]
    alerts = azure_alerts.wanted(site, groups, base)
    spares = azure_spares.wanted(site, found, pattern, count)
    environment = _environment(site, found)
    part = gateway_range(site.network.cidr)
    before = (*logs, *files, *azure_edges.wanted_before(site, base, part), *environment)
    edges = azure_edges.wanted_after(site, found, base, part, (group.name for group in groups))
    return (*_surroundings(site), *before, *groups, *rest, *edges, *alerts, *spares)


def removal_reasons(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> Mapping[str, str]:
    """For each container group that is to go, by name, why: `containers.ollama.image: is …, should be …`."""
    pattern = _pattern(site, found, release, count, digest)
    kept = {group.name for group in (*_kept(pattern, found, count), *_resting(site, pattern, found))}
    surplus = f"{count} of its kind are wanted, and this is one more"
    going = {g.name: _fault(pattern, g) or surplus for g in _groups(found) if g.name not in kept}
    return {**azure_vms.removal_reasons(found), **going}


def has_rest(site: ResolvedSite, found: SiteFacts, release: int, digest: str) -> bool:
    """Whether a group of this very release is at rest, so that the site can be woken from it."""
    return bool(_at_rest(_pattern(site, found, release, 0, digest), found))


def notes(site: ResolvedSite) -> tuple[str, ...]:
    """What the plan says about this site because Container Instances can't do it, or does it by another way."""
    if site.gpu:
        return azure_vms.notes(site) if is_virtual(site.gpu) else azure_apps.notes(site)
    module = "arriero.fleet.container_group" if has_secrets(site) else "azure_rm_resource"
    said = azure_logs.notes(site, module)
    if site.deploy.stop_within > GRACE_SECONDS:
        said.append(
            f"Container Instances gives a stopping server {GRACE_SECONDS}s; "
            f"deploy.stop_within: {site.deploy.stop_within} is not applied"
        )
    said += [*azure_files.notes(site, module), *azure_private.notes(site)]
    if site.deploy.hung_after is not None:
        said.append(
            "deploy.hung_after becomes a liveness probe, which azure_rm_containerinstance can't express: "
            f"the groups are made by {module}"
        )
    if has_secrets(site):
        said.append(
            f"secrets go from Key Vault to Container Instances within one task: the groups are made by {module}"
        )
    said += [*azure_edges.notes(site), *azure_spares.notes(site)]
    return tuple(said)


def needs_resource_module(site: ResolvedSite) -> bool:
    """Whether a group holds something that `azure_rm_containerinstance` has no argument for."""
    return site.deploy.hung_after is not None or storage.is_used(site) or site.has_workspace or has_secrets(site)


def has_secrets(site: ResolvedSite) -> bool:
    return bool(azure_secrets.references(site))


def probe_failures(site: ResolvedSite) -> int:
    """How many answers a server may miss, one every PROBE_PERIOD_SECONDS; 0 where no probe is wished."""
    hung_after = site.deploy.hung_after
    return 0 if hung_after is None else max(1, round(hung_after / PROBE_PERIOD_SECONDS))


def base_name(site: ResolvedSite) -> str:
    return f"{site.service}-{site.name}"


def subnet_prefix(cidr: str) -> str:
    """The first quarter of the site's range (Azure refuses less than a /29): the rest stays free for edges."""
    network = ip_network(cidr)
    return str(next(network.subnets(new_prefix=max(network.prefixlen, min(network.prefixlen + 2, 29)))))


def gateway_range(cidr: str) -> str:
    """The second quarter of the site's range, kept for gateways: whoever stands there reaches private targets."""
    network, part = ip_network(cidr), ip_network(subnet_prefix(cidr))
    return str(list(network.subnets(new_prefix=part.prefixlen))[1])


def allowed_sources(site: ResolvedSite) -> tuple[str, ...]:
    """Who may reach port 11434: the site's own network, or of a private one and of one with edges the gateways' part;
    and `allow_from`.
    """
    is_closed = site.network.is_private or site.azure_edges is not None
    own = gateway_range(site.network.cidr) if is_closed else site.network.cidr
    return tuple(sorted({own, *site.network.allow_from}))


def delegations(site: ResolvedSite) -> tuple[str, ...]:
    """Whom the site's subnet is given to; virtual machines stand in one that nobody was given."""
    if is_virtual(site.gpu):
        return ()
    return (azure_apps.DELEGATION if site.gpu else DELEGATION,)


def has_apps(site: ResolvedSite) -> bool:
    """Whether its targets are container apps."""
    return site.gpu is not None and not is_virtual(site.gpu)


def _environment(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    """Of container apps, where the site has some."""
    base = base_name(site)
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name}
    return (azure_apps.environment(site, found, base, f"{base}/{SUBNET}", tags),) if has_apps(site) else ()


def _surroundings(site: ResolvedSite) -> tuple[Resource, ...]:
    """What the groups stand in. The order of the kinds is the order of making."""
    name = base_name(site)
    sources = ",".join(allowed_sources(site))
    allowed = {"allow-ollama": f"100 inbound allow tcp from {sources} to *:{PORT}"}
    if has_apps(site):
        allowed = {**azure_apps.rules(subnet_prefix(site.network.cidr), sources)}
    rules = {**allowed, "deny-the-rest": "4096 inbound deny * from * to *:*"}
    subnet: Mapping[str, Value] = {
        "prefix": subnet_prefix(site.network.cidr),
        "security_group": name,
        "nat_gateway": name,
        "delegations": delegations(site),
    }
    properties: Mapping[str, Mapping[str, Value]] = {
        "azure.resource_group": {"location": site.region, **azure_spares.of_group(site)},
        "azure.network_security_group": {"rules": rules},
        "azure.public_ip": {"allocation": "static", "sku": "Standard"},
        "azure.nat_gateway": {"public_ips": (name,)},
        "azure.virtual_network": {"address_prefixes": (site.network.cidr,), "subnet": subnet},
    }
    return tuple(Resource(kind, name, values) for kind, values in properties.items())


def _check_range(site: ResolvedSite, found: SiteFacts) -> None:
    """Azure changes no subnet in which container groups stand, and new ones must stand beside the old ones."""
    network = found.find("azure.virtual_network")
    subnet = network.properties["subnet"] if network else None
    if not isinstance(subnet, Mapping) or subnet["prefix"] == subnet_prefix(site.network.cidr):
        return
    raise Refused(
        Problem(
            f"the site's subnet is {subnet['prefix']}, which can't become {subnet_prefix(site.network.cidr)}",
            "put the range back; or name the site anew, `arriero up`, and take the old one down",
            key=f"sites.{site.name}.network.cidr",
        )
    )


def _pattern(site: ResolvedSite, found: SiteFacts, release: int, count: int, digest: str) -> Resource:
    """The group that all groups of the release are copies of; its name is theirs without the number."""
    name = base_name(site)
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name, RELEASE_TAG: str(release), DEFINITION_TAG: digest}
    if is_virtual(site.gpu):
        return azure_vms.pattern(site, name, f"{name}/{SUBNET}", release, tags)
    if site.gpu:
        return azure_apps.pattern(site, name, release, tags)
    secrets = azure_secrets.wanted(site, found, count)
    properties: Mapping[str, Value] = {
        "location": site.region,
        "os_type": "Linux",
        "restart_policy": "Always",
        "address": "private",
        "ports": (PORT,),
        "subnet": f"{name}/{SUBNET}",
        "containers": _containers(site, azure_secrets.of_ollama(secrets)),
        **azure_files.around(site),
        **azure_secrets.of_group(secrets, azure_secrets.server(site.image)),
        **azure_logs.around(site, name),
        **azure_identity.around(site),
        "tags": dict(tags),
    }
    return Resource(GROUP_KIND, f"{name}-r{release}", properties, tags={**tags, **secrets})


def _containers(site: ResolvedSite, secrets: Mapping[str, Value]) -> Mapping[str, Value]:
    """By container name. Memory is in GB as Container Instances counts them, which is GiB, in tenths.

    With a sidecar both share what `size` says, so that it is what is billed. `secrets` are Ollama's alone.
    """
    cpu, memory_gb = float(site.size.cpu), round(site.size.memory.in_gib, 1)
    if not site.sidecar:
        return {"ollama": {**_container(site, cpu, memory_gb, site.server_environment, ports=(PORT,)), **secrets}}
    share = max(0.1, min(SIDECAR_CPU, round(cpu / 10, 1)))
    rest = round(cpu - share, 2), round(memory_gb - SIDECAR_MEMORY_GB, 1)
    beside = _container(site, share, SIDECAR_MEMORY_GB, sidecar.environment(site), ports=(PORT,))
    return {
        "ollama": {
            **_container(site, *rest, sidecar.server_environment(site), ports=()),
            "command": sidecar.SERVER_COMMAND,
            **azure_files.mounts(site),
            **secrets,
        },
        sidecar.NAME: {**beside, "command": sidecar.COMMAND, "liveness": None},
    }


def _container(
    site: ResolvedSite, cpu: float, memory_gb: float, environment: Mapping[str, str], ports: tuple[int, ...]
) -> Mapping[str, Value]:
    return {
        "image": site.image,
        "cpu": cpu,
        "memory_gb": memory_gb,
        "ports": ports,
        "command": (),
        "environment": dict(sorted(environment.items())),
        "liveness": _liveness(site),
    }


def probe(site: ResolvedSite) -> Mapping[str, Mapping[str, object]]:
    """What a liveness probe does, in Azure's words. Behind a sidecar Ollama is on loopback, where only a command in
    its own container reaches it.
    """
    if site.sidecar:
        return {"exec": {"command": ["ollama", "list"]}}
    return {"httpGet": {"path": "/", "port": PORT, "scheme": "http"}}


def _liveness(site: ResolvedSite) -> str | None:
    """One line that says the whole probe: `GET :11434/ every 10s, restart after 3 failures`."""
    if failures := probe_failures(site):
        does = "`ollama list`" if site.sidecar else f"GET :{PORT}/"
        return f"{does} every {PROBE_PERIOD_SECONDS}s, restart after {failures} failures"
    return None


def _kept(pattern: Resource, found: SiteFacts, count: int) -> list[Resource]:
    """The groups that are as wished, at most `count`, those with the lowest numbers first."""
    right = [group for group in _groups(found) if not _fault(pattern, group)]
    return sorted(right, key=_number)[:count]


def _resting(site: ResolvedSite, pattern: Resource, found: SiteFacts) -> list[Resource]:
    """One group at rest, where nothing at all may run; in no count."""
    return _at_rest(pattern, found)[:1] if site.min == 0 else []


def _at_rest(pattern: Resource, found: SiteFacts) -> list[Resource]:
    resting = [group for group in _groups(found) if group.details.get("is_at_rest")]
    return sorted((group for group in resting if not _difference(pattern, group)), key=_number)


def _fault(pattern: Resource, group: Resource) -> str:
    """Why this group can't stay; empty when it can."""
    if group.details.get("is_at_rest"):
        return _difference(pattern, group) or "it is stopped"
    if group.details.get("failure"):
        return f"it failed: {group.details['failure']}"
    return _difference(pattern, group)


def _difference(pattern: Resource, group: Resource) -> str:
    release = group.tags.get(RELEASE_TAG)
    if release not in (None, pattern.tags[RELEASE_TAG]):
        return f"it runs release {release}, and release {pattern.tags[RELEASE_TAG]} takes its place"
    changes = compare("", [replace(pattern, name=group.name)], [group], IMMUTABLE)
    return "; ".join(map(azure_secrets.told, changes[0].differences)) if changes else ""


def free_names(stem: str, taken: Collection[str], missing: int) -> list[str]:
    """The lowest free numbers. A name in use is never taken again, not even one whose group is about to go."""
    free = (f"{stem}-{n}" for n in range(1, len(taken) + missing + 1) if f"{stem}-{n}" not in taken)
    return [name for name, _ in zip(free, range(missing), strict=False)]


def _groups(found: SiteFacts) -> list[Resource]:
    return [resource for resource in found.resources if resource.kind in TARGET_KINDS]


def _number(group: Resource) -> tuple[int, str]:
    match = re.search(r"-(\d+)$", group.name)
    return (int(match[1]) if match else 10**9, group.name)
