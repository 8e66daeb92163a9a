"""Names of users' own for Front Doors, and WAF policies before them, as the emulated Azure keeps and refuses them.

A name waits for its token in the DNS. The stage has no DNS but what somebody planted (`planted.py`): `look` finds it
there, as Azure does. After seven days without it a name is TimedOut, and its token is to be renewed
(https://learn.microsoft.com/azure/frontdoor/domain). WAF policies are users' own, and taken as there where they are of
the same subscription; their rules are not played. Codes and words of refusals are ours where no page quotes Azure's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from arriero.rehearse.azure.answers import Answer, ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.runs import stamp
from arriero.rehearse.azure.world import World

PROFILE = "microsoft.cdn/profiles"
NAME, POLICY = f"{PROFILE}/customdomains", f"{PROFILE}/securitypolicies"
_ROUTE, _ENDPOINT = f"{PROFILE}/afdendpoints/routes", f"{PROFILE}/afdendpoints"
_WEEK_SECONDS = 7 * 86400.0
_WAF = "/providers/microsoft.network/frontdoorwebapplicationfirewallpolicies/"


def prepare(world: World, resource: ResourceId, body: Document) -> None:
    """Checks the body against its neighbours and fills in what the service does; raises as the service answers."""
    kind, properties = resource.type.lower(), body["properties"]
    if kind == NAME:
        _prepare_name(world, resource, properties)
    elif kind == POLICY:
        _prepare_policy(world, resource, properties)
    elif kind == _ROUTE:
        _check_there(world, _ids(properties.get("customDomains")), (NAME,))
        for each in properties.get("customDomains") or ():
            each["isActive"] = True


def look(world: World) -> None:
    """Approves the names whose token stands in the DNS, and gives up those that waited too long."""
    for key in keys_of(world.state.resources, NAME):
        about = world.state.resources[key]["properties"]
        if about["domainValidationState"] != "Pending":
            continue
        if (
            world.figures.text_record(f"_dnsauth.{about['hostName']}")
            == about["validationProperties"]["validationToken"]
        ):
            about["domainValidationState"], about["deploymentStatus"] = "Approved", "Succeeded"
            world.state.changed()
        elif stamp(world.now) > about["validationProperties"]["expirationDate"]:
            about["domainValidationState"] = "TimedOut"
            world.state.changed()


def act(world: World, resource: ResourceId, action: str) -> Answer | None:
    """Another token for a name; None where nothing of that is asked."""
    if resource.type.lower() != NAME or action.lower() != "refreshvalidationtoken":
        return None
    about = world.resource(resource)["properties"]
    if about["domainValidationState"] == "Approved":
        raise ArmError(400, "BadRequest", f"The domain '{about['hostName']}' is approved already.")
    about["domainValidationState"], about["validationProperties"] = "Pending", _token(world)
    world.state.changed()
    return Answer(200)


def check_unused(world: World, key: str) -> None:
    """Raises what the service answers where a name is to go that a route or a policy still has."""
    if type_of(key) != NAME:
        return
    for user, found in world.state.resources.items():
        kind, about = type_of(user), found["properties"]
        held = _ids(about.get("customDomains")) if kind == _ROUTE else _guarded(about) if kind == POLICY else ()
        if key in held:
            message = f"The custom domain '{world.state.resources[key]['name']}' is in use by {found['id']}."
            raise ArmError(409, "Conflict", message)


def approved(resources: Mapping[str, Document], route: Document) -> tuple[str, ...]:
    """The names of a route that serve."""
    found = (resources.get(each) for each in _ids(route["properties"].get("customDomains")))
    there = [each["properties"] for each in found if each]
    return tuple(each["hostName"].lower() for each in there if each["domainValidationState"] == "Approved")


def keys_of(resources: Mapping[str, Document], kind: str) -> list[str]:
    """Asked twenty times a second of a state that mostly holds none."""
    return [key for key in resources if f"/{PROFILE}/" in key and type_of(key) == kind]


def _prepare_name(world: World, resource: ResourceId, properties: Document) -> None:
    host, old = str(properties["hostName"]).lower(), world.find(resource.key)
    if old and old["properties"]["hostName"].lower() != host:
        raise ArmError(400, "BadRequest", f"The host name of the domain '{resource.name}' can't be changed.")
    for key in keys_of(world.state.resources, NAME):
        if key != resource.key and world.state.resources[key]["properties"]["hostName"].lower() == host:
            raise ArmError(409, "Conflict", f"The host name '{host}' is in use by another custom domain.")
    tls = properties.setdefault("tlsSettings", {"certificateType": "ManagedCertificate"})
    tls.setdefault("minimumTlsVersion", "TLS12")
    if "*" in host and tls["certificateType"] == "ManagedCertificate":
        raise ArmError(400, "BadRequest", f"Managed certificates are not supported for the wildcard domain '{host}'.")
    before = old["properties"] if old else {}
    properties["profileName"] = resource.names[0]
    properties["domainValidationState"] = before.get("domainValidationState", "Pending")
    properties["validationProperties"] = before.get("validationProperties") or _token(world)
    properties["deploymentStatus"] = before.get("deploymentStatus", "NotStarted")


def _prepare_policy(world: World, resource: ResourceId, properties: Document) -> None:
    about = properties.get("parameters") or {}
    policy = str((about.get("wafPolicy") or {}).get("id", "")).lower()
    if not policy.startswith(f"/subscriptions/{resource.subscription.lower()}/") or _WAF not in policy:
        raise ArmError(400, "BadRequest", f"The WAF policy '{policy}' is none of this subscription.")
    guarded = _guarded(properties)
    _check_there(world, guarded, (NAME, _ENDPOINT))
    for key in keys_of(world.state.resources, POLICY):
        other = world.state.resources[key]
        if key != resource.key and set(_guarded(other["properties"])) & set(guarded):
            message = f"A domain of '{resource.name}' is in use by the security policy '{other['name']}'."
            raise ArmError(409, "Conflict", message)
    for association in about.get("associations") or ():
        for each in association.get("domains") or ():
            each["isActive"] = True
    properties["profileName"] = resource.names[0]
    properties["deploymentStatus"] = "NotStarted"


def _guarded(properties: Document) -> tuple[str, ...]:
    parts = (properties.get("parameters") or {}).get("associations") or ()
    return tuple(path for part in parts for path in _ids(part.get("domains")))


def _check_there(world: World, paths: Iterable[str], kinds: tuple[str, ...]) -> None:
    for path in paths:
        if world.find(path) is None or type_of(path) not in kinds:
            raise ArmError(400, "BadRequest", f"The domain '{path}' is not there.")


def _ids(references: Iterable[Document] | None) -> tuple[str, ...]:
    return tuple(str(each["id"]).lower() for each in references or ())


def _token(world: World) -> Document:
    return {"validationToken": f"_{secrets.token_hex(16)}", "expirationDate": stamp(world.now + _WEEK_SECONDS)}
