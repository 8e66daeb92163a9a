"""Front Doors of the emulated Azure as their records say: what providers add to them, refuse, and which ones serve.

Codes and words of refusals are ours where no page quotes Azure's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from arriero.rehearse.azure import front_door_names
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import State

PROFILE = front_door_names.PROFILE
ENDPOINT = f"{PROFILE}/afdendpoints"
ORIGIN_GROUP = f"{PROFILE}/origingroups"
ORIGIN = f"{ORIGIN_GROUP}/origins"
ROUTE = f"{ENDPOINT}/routes"
_KINDS = (PROFILE, ENDPOINT, ORIGIN_GROUP, ORIGIN, ROUTE)
_SKUS = ("Standard_AzureFrontDoor", "Premium_AzureFrontDoor")
DEFAULT_RESPONSE_SECONDS = 60

Resources = Mapping[str, Document]


@dataclass(frozen=True, slots=True)
class Origin:
    """A server behind a Front Door."""

    key: str
    host: str
    port: int
    host_header: str
    priority: int
    weight: int
    checks_name: bool


@dataclass(frozen=True, slots=True)
class Door:
    """An endpoint that leads somewhere. `samples` are how many answers are looked at, and how many must be good."""

    endpoint: str
    host: str
    id: str
    response_seconds: float
    redirects: bool
    probe_path: str
    probe_seconds: float
    samples: tuple[int, int]
    origins: tuple[Origin, ...]
    names: tuple[str, ...] = ()
    """Users' own, which it answers to besides its host."""


def prepare(state: State, resource: ResourceId, body: Document, address: Callable[[str], str]) -> None:
    """Checks the body against its neighbours and fills in what the service does; raises as the service answers."""
    kind, properties, old = resource.type.lower(), body["properties"], state.resources.get(resource.key)
    if kind not in _KINDS:
        return
    if kind == PROFILE:
        _prepare_profile(body, old)
    elif kind == ENDPOINT:
        properties["hostName"] = address(resource.key)
        properties.setdefault("enabledState", "Enabled")
    elif kind == ORIGIN:
        properties.setdefault("enforceCertificateNameCheck", True)
        properties.setdefault("enabledState", "Enabled")
    elif kind == ROUTE:
        _prepare_route(state, properties)
    if kind != PROFILE:
        properties["deploymentStatus"] = "NotStarted"


def view(key: str, shown: Document) -> None:
    """As Azure spells where a profile is."""
    if type_of(key) == PROFILE:
        shown["location"] = "Global"


def check_unused(state: State, key: str) -> None:
    """Raises what the service answers when a route would lead nowhere. A whole profile goes with all that is in it."""
    kind = type_of(key)
    group = key if kind == ORIGIN_GROUP else key.rpartition("/origins/")[0] if kind == ORIGIN else ""
    if not group or not any(_group_of(route) == group for route in _of_kind(state.resources, ROUTE).values()):
        return
    left = [each for each in _of_kind(state.resources, ORIGIN) if each.startswith(f"{group}/") and each != key]
    if kind == ORIGIN_GROUP or not left:
        message = f"{state.resources[key]['id']} can't be deleted: a route leads to it, and nothing else is left there."
        raise ArmError(409, "Conflict", message)


def doors(resources: Resources) -> Iterator[Door]:
    """The endpoints that lead somewhere."""
    for key, route in _of_kind(resources, ROUTE).items():
        endpoint = resources.get(key.rpartition("/routes/")[0])
        group, profile = resources.get(_group_of(route)), resources.get(key.rpartition("/afdendpoints/")[0])
        if endpoint is None or group is None or profile is None or not _is_on(endpoint) or not _is_on(route):
            continue
        yield _door(resources, str(endpoint["id"]).lower(), (profile, endpoint, group, route))


def billed(profile: Document) -> dict[str, float]:
    """The items of a profile that are billed by the hour: its base fee by its tier."""
    return {f"front_door.{profile['sku']['name'].partition('_')[0].lower()}": 1.0}


def _door(resources: Resources, key: str, parts: tuple[Document, Document, Document, Document]) -> Door:
    profile, endpoint, group, route = (each["properties"] for each in parts)
    probing, samples = group.get("healthProbeSettings") or {}, group.get("loadBalancingSettings") or {}
    inside = f"{str(parts[2]['id']).lower()}/origins/"
    return Door(
        endpoint=key,
        host=endpoint["hostName"],
        id=profile["frontDoorId"],
        response_seconds=float(profile.get("originResponseTimeoutSeconds") or DEFAULT_RESPONSE_SECONDS),
        redirects=route.get("httpsRedirect") == "Enabled",
        probe_path=probing.get("probePath") or "/",
        probe_seconds=float(probing.get("probeIntervalInSeconds") or 240),
        samples=(int(samples.get("sampleSize") or 4), int(samples.get("successfulSamplesRequired") or 3)),
        origins=tuple(
            _origin(each, found["properties"])
            for each, found in sorted(_of_kind(resources, ORIGIN).items())
            if each.startswith(inside) and _is_on(found)
        ),
        names=front_door_names.approved(resources, parts[3]),
    )


def _origin(key: str, properties: Mapping[str, Any]) -> Origin:
    return Origin(
        key,
        properties["hostName"],
        int(properties.get("httpsPort") or 443),
        properties.get("originHostHeader") or "",
        int(properties.get("priority") or 1),
        int(properties.get("weight") or 50),
        bool(properties["enforceCertificateNameCheck"]),
    )


def _prepare_profile(body: Document, old: Document | None) -> None:
    sku = (body.get("sku") or {}).get("name")
    if sku not in _SKUS:
        raise ArmError(400, "BadRequest", f"The sku '{sku}' of a profile is none of {', '.join(_SKUS)} here.")
    if old and old["sku"]["name"] != sku:
        raise ArmError(400, "BadRequest", f"The sku of a profile can't become '{sku}' by an update.")
    properties = body["properties"]
    seconds = properties.setdefault("originResponseTimeoutSeconds", DEFAULT_RESPONSE_SECONDS)
    if not 16 <= seconds <= 240:
        raise ArmError(400, "BadRequest", f"originResponseTimeoutSeconds is {seconds}; it must be from 16 to 240.")
    properties["frontDoorId"] = old["properties"]["frontDoorId"] if old else str(uuid.uuid4())
    properties["resourceState"] = "Active"
    body["kind"] = "frontdoor"


def _prepare_route(state: State, properties: Document) -> None:
    group = str((properties.get("originGroup") or {}).get("id", "")).lower()
    if group not in state.resources:
        raise ArmError(400, "BadRequest", f"The origin group '{group}' of the route is not there.")
    if not any(
        each.startswith(f"{group}/") and _is_on(found) for each, found in _of_kind(state.resources, ORIGIN).items()
    ):
        raise ArmError(400, "BadRequest", "The origin group of the route has no origin that is enabled.")
    for name, value in (
        ("customDomains", []),
        ("ruleSets", []),
        ("enabledState", "Enabled"),
        ("cacheConfiguration", None),
    ):
        properties.setdefault(name, value)
    if properties["cacheConfiguration"] is None:
        del properties["cacheConfiguration"]


def _group_of(route: Document) -> str:
    return str(route["properties"]["originGroup"]["id"]).lower()


def _is_on(resource: Document) -> bool:
    return bool(resource["properties"].get("enabledState") == "Enabled")


def _of_kind(resources: Resources, kind: str) -> dict[str, Document]:
    return {key: resources[key] for key in front_door_names.keys_of(resources, kind)}
