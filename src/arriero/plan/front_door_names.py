"""Names of the user's own for a Front Door, pure: what each should be, and what the user's DNS has to say for it.

Azure makes a certificate for a name, and serves it, once it has found a token of its own in the DNS: the TXT record
`_dnsauth.NAME`. A CNAME record leads clients there. Nothing here can write either, so they are told. States and what is
to be done about them: https://learn.microsoft.com/azure/frontdoor/domain
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, Value
from arriero.spec.ingress import FrontDoor

KIND, ENDPOINT = "azure.front_door_name", "azure.front_door_endpoint"
WISH: Mapping[str, Value] = {"certificate": "ManagedCertificate", "least_tls": "TLS12"}
APPROVED = "Approved"
# Nothing but another token brings these on.
LOST = ("TimedOut", "Rejected", "InternalError")
GONE = "the spec no longer asks for it; take its records out of your DNS, too"


@dataclass(frozen=True, slots=True)
class Name:
    """A name that stands at a Front Door: `leads_to` is what clients have to be led to, `token` what Azure looks for
    until the day `expires`, `resource` the path of it at Azure.
    """

    host: str
    state: str
    leads_to: str
    token: str = ""
    expires: str = ""
    resource: str = ""

    @property
    def is_approved(self) -> bool:
        return self.state == APPROVED

    def __str__(self) -> str:
        lead = f"CNAME {self.host} to {self.leads_to}"
        if self.is_approved:
            return f"{self.host} is Approved, and has to stay in your DNS: {lead}"
        if self.state in LOST:
            again = f"az afd custom-domain regenerate-validation-token --ids {self.resource}"
            return f"{self.host} is {self.state}: have Azure give another token, which arriero status tells: {again}"
        prove = f'TXT _dnsauth.{self.host} "{self.token}"' + (f" by {self.expires}" if self.expires else "")
        return f"{self.host} is {self.state}: write into your DNS {prove}; {lead}"

    def as_json(self) -> dict[str, Json]:
        txt: dict[str, Json] = {"name": f"_dnsauth.{self.host}", "value": self.token, "expires": self.expires or None}
        records: dict[str, Json] = {"cname": {"name": self.host, "value": self.leads_to}, "txt": txt}
        return {"name": self.host, "state": self.state, "records": records}


def wanted(door: FrontDoor) -> tuple[Resource, ...]:
    return tuple(Resource(KIND, host, WISH) for host in sorted(door.hosts))


def resource_name(host: str) -> str:
    """What Azure keeps it under, which may hold no dot: a different one for each name."""
    return host.replace("-", "--").replace(".", "-")


def standing(found: SiteFacts | None) -> tuple[Name, ...]:
    """Those that stand, by their names."""
    if found is None:
        return ()
    endpoint = found.find(ENDPOINT)
    leads_to = str(endpoint.details["host"]) if endpoint else ""
    mine = sorted((each for each in found.resources if each.kind == KIND), key=lambda each: each.name)
    return tuple(_name(each, leads_to) for each in mine)


def _name(found: Resource, leads_to: str) -> Name:
    state, token, expires = (str(found.details.get(each, "")) for each in ("state", "token", "expires"))
    return Name(found.name, state, leads_to, token, expires, found.id)


def notes(door: FrontDoor, found: SiteFacts) -> Iterator[str]:
    """What is left to do in the user's DNS, of names that are asked for."""
    known = {name.host: name for name in standing(found)}
    for host in sorted(door.hosts):
        name = known.get(host)
        if name is None:
            yield f"{host} needs two records in your DNS: once it is made, `arriero status` tells them"
        elif not name.is_approved:
            yield str(name)
