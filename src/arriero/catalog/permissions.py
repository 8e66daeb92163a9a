"""Which permissions each call to a cloud needs: tables of calls, each cloud's with the pages it was read from.

A call is named as the stage's log names it: `ec2:CreateVpc`, `PUT Microsoft.Network/virtualNetworks`. At AWS a call is
not always its action (`HeadBucket` is `s3:ListBucket`), and some need several, on several kinds of resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from arriero.catalog.catalog import table

Holder = Literal["aws", "azure"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One permission that a call needs. At AWS `on` is the kind of resource and `only` the condition that can be set,
    both by our names for them (`pipeline/iam/aws.py` writes them out). Where `given` is not empty, only a request that
    holds such a field needs it.
    """

    action: str
    on: str = ""
    only: str = ""
    given: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Calls:
    """`parts` says for each call what it belongs to, one thing or several: network, nat, endpoints, service, insights,
    scaling, machines, managed, ingress, waf, edges, door, names, site, rest, spares, ledger, registry, replication,
    alerts, workspace, storage, private, vaults, virtual, secrets (Azure's data actions).

    `besides` has permissions that no call of a plain deployment needs, each with its part and the reason.
    """

    needs: Mapping[str, tuple[Wanted, ...]]
    parts: Mapping[str, tuple[str, ...]]
    besides: Mapping[str, tuple[str, Wanted, str]]
    sources: Mapping[str, str]

    def of_part(self, part: str) -> Iterator[Wanted]:
        """Every permission that the part takes, the ones besides too; maybe twice."""
        for call, wanted in self.needs.items():
            if part in self.parts[call]:
                yield from wanted
        for where, wanted_besides, _ in self.besides.values():
            if where == part:
                yield wanted_besides


@cache
def calls(cloud: Holder) -> Calls:
    data: Mapping[str, Any] = table(f"{cloud}_permissions")
    read = _aws if cloud == "aws" else _azure
    needs = {call: tuple(read(need) for need in row["needs"]) for call, row in data["calls"].items()}
    besides = {
        action: (part, Wanted(action, on, only), reason)
        for action, (part, on, only, reason) in data["besides"].items()
    }  # fmt: skip
    sources = {name: row["page"] for name, row in data["sources"].items()}
    parts = {call: tuple(row["part"].split()) for call, row in data["calls"].items()}
    return Calls(needs, parts, besides, sources)


def _aws(need: list[str]) -> Wanted:
    return Wanted(*need)


def _azure(need: list[str]) -> Wanted:
    action, given, of, *_ = [*need, "", ""]
    return Wanted(action, given=given, of=of)
