"""What Resource Manager knows of resource types: API versions, regions, and how each answers a PUT."""

from __future__ import annotations

from functools import cache

from arriero.rehearse.azure import schemas
from arriero.rehearse.azure.answers import ArmError

GROUPS = "microsoft.resources/resourcegroups"
CONTAINER_GROUPS = "microsoft.containerinstance/containergroups"
CONTAINER_APPS, ENVIRONMENTS = "microsoft.app/containerapps", "microsoft.app/managedenvironments"
VIRTUAL_MACHINES = "microsoft.compute/virtualmachines"
EXTENSIONS, DISKS = f"{VIRTUAL_MACHINES}/extensions", "microsoft.compute/disks"
INTERFACES = "microsoft.network/networkinterfaces"

# Versions that SDKs and modules send and for which there is no schema file of their own (schemas.judging_version).
_MORE_VERSIONS = {
    "microsoft.authorization": ("2022-04-01", "2018-07-01"),
    "microsoft.containerinstance": ("2021-09-01", "2021-10-01", "2022-09-01", "2023-05-01"),
    "microsoft.insights": ("2016-03-01", "2018-03-01", "2019-06-01", "2022-06-01", "2022-10-01", "2023-01-01"),
    "microsoft.network": ("2020-06-01", "2023-09-01", "2023-11-01", "2024-01-01", "2024-05-01", "2024-06-01"),
    "microsoft.operationalinsights": ("2020-08-01", "2021-06-01", "2022-10-01", "2023-09-01"),
    "microsoft.storage": ("2022-09-01", "2023-01-01", "2024-01-01"),
}
_GROUP_VERSIONS = ("2018-05-01", "2019-10-01", "2020-06-01", "2020-10-01", "2021-01-01", "2021-04-01", "2022-09-01")

_REGIONS = """
australiacentral australiaeast australiasoutheast austriaeast brazilsouth canadacentral canadaeast centralindia
centralus eastasia eastus eastus2 francecentral germanywestcentral indonesiacentral israelcentral italynorth japaneast
japanwest jioindiawest koreacentral koreasouth malaysiawest mexicocentral newzealandnorth northcentralus northeurope
norwayeast polandcentral qatarcentral southafricanorth southcentralus southindia southeastasia spaincentral
swedencentral switzerlandnorth uaenorth uksouth ukwest westcentralus westeurope westindia westus westus2 westus3
"""
REGIONS = frozenset(_REGIONS.split())

# The SDKs refuse a 201 where their description of the API has none.
_ALWAYS_200 = frozenset({"microsoft.storage/storageaccounts", "microsoft.insights/metricalerts"})
_LONG_RUNNING_PROVIDERS = (
    "microsoft.app/",
    "microsoft.compute/",
    "microsoft.network/",
    "microsoft.cdn/",
    "microsoft.containerinstance/",
    "microsoft.standbypool/",
)
_AT_ONCE = ("containergroupprofiles",)


@cache
def api_versions(resource_type: str) -> tuple[str, ...]:
    """What the type knows, newest first."""
    lower = resource_type.lower()
    if lower == GROUPS:
        return tuple(sorted(_GROUP_VERSIONS, reverse=True))
    more = _MORE_VERSIONS.get(lower.partition("/")[0], ())
    return tuple(sorted({*schemas.versions(lower), *more}, reverse=True))


def spelt(resource_type: str) -> str:
    return schemas.known_types().get(resource_type.lower(), resource_type)


def types_of(namespace: str) -> tuple[str, ...]:
    """The provider's types, as spelt, without its name."""
    head = f"{namespace.lower()}/"
    return tuple(name[len(head) :] for key, name in sorted(schemas.known_types().items()) if key.startswith(head))


def namespaces() -> tuple[str, ...]:
    found = {name.partition("/")[0].lower(): name.partition("/")[0] for name in schemas.known_types().values()}
    return tuple(sorted(found.values()))


def check_type(resource_type: str, api_version: str, location: str) -> None:
    """Raises what Resource Manager answers to a type or version that it does not know."""
    lower = resource_type.lower()
    if lower != GROUPS and lower not in schemas.known_types():
        _refuse_type(resource_type, api_version)
    if api_version not in api_versions(lower):
        name = resource_type.partition("/")[2]
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version '{api_version}' for type"
            f" '{name}'. The supported api-versions are '{', '.join(api_versions(lower))}'. The supported locations are"
            f" '{', '.join(sorted(REGIONS))}'.",
        )


def _refuse_type(resource_type: str, api_version: str) -> None:
    namespace, _, name = resource_type.partition("/")
    if namespace.lower() not in {known.lower() for known in namespaces()}:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    raise ArmError(
        404,
        "InvalidResourceType",
        f"The resource type '{name}' could not be found in the namespace '{namespace}' for api version '{api_version}'."
        f" The supported api-versions are '{', '.join(api_versions(f'{namespace}/x'))}'.",
    )


def created_status(resource_type: str, *, existed: bool) -> int:
    return 200 if existed or resource_type.lower() in _ALWAYS_200 else 201


def is_long_running(resource_type: str) -> bool:
    lower = resource_type.lower()
    return lower.startswith(_LONG_RUNNING_PROVIDERS) and not any(each in lower for each in _AT_ONCE)


def region(location: str) -> str:
    """`East US` and `eastus` are one; raises LocationNotAvailableForResourceType for none of Azure's."""
    found = location.replace(" ", "").lower()
    if found not in REGIONS and found != "global":
        listed = ",".join(sorted(REGIONS))
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type. List of available regions for the"
            f" resource type is '{listed}'.",
        )
    return found
