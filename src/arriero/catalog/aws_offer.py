"""Reads an offer file of the AWS Price List Bulk API: what a service costs in one region, or in all of them.

Its form: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-files.html. Products
are known by service code and usage type, which begins with the region's short name (`USE1-Fargate-GB-Hours`); only
terms of the kind OnDemand count. Of prices in steps the first that is not free is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from arriero.catalog.catalog import Price, Source
from arriero.catalog.listing import Listing, Row, gathered

_HOURS = frozenset({"hrs", "hours", "hour"})
# Service code and usage type without its region: our item, our unit, and how AWS may write the unit.
_ITEMS: Mapping[tuple[str, str], tuple[str, str, frozenset[str]]] = {
    ("AmazonECS", "Fargate-vCPU-Hours:perCPU"): ("fargate.vcpu", "vCPU-hour", _HOURS | {"vcpu-hours"}),
    ("AmazonECS", "Fargate-GB-Hours"): ("fargate.memory", "GB-hour", _HOURS | {"gb-hours"}),
    ("AmazonECS", "Fargate-EphemeralStorage-GB-Hours"): ("fargate.storage", "GB-hour", _HOURS | {"gb-hours"}),
    ("AmazonVPC", "PublicIPv4:InUseAddress"): ("public_ipv4", "address-hour", _HOURS),
    ("AmazonEC2", "NatGateway-Hours"): ("nat_gateway", "hour", _HOURS),
    ("AmazonEC2", "NatGateway-Bytes"): ("nat_gateway.data", "GB", frozenset({"gb"})),
    ("AmazonVPC", "VpcEndpoint-Hours"): ("vpc_endpoint", "hour", _HOURS),
    ("AmazonVPC", "VpcEndpoint-Bytes"): ("vpc_endpoint.data", "GB", frozenset({"gb"})),
    ("AmazonCloudWatch", "DataProcessing-Bytes"): ("logs.ingested", "GB", frozenset({"gb"})),
    ("AmazonECR", "TimedStorage-ByteHrs"): ("registry.storage", "GB-month", frozenset({"gb-mo"})),
    ("AmazonEFS", "TimedStorage-ByteHrs"): ("files.storage", "GB-month", frozenset({"gb-mo"})),
}
_REGION = re.compile(r"^[A-Z]{2,4}\d{0,2}-")


def read(document: Mapping[str, Any], page: str, today: str) -> Listing:
    """`page` is where the file was read, on the day `today`. Raises ValueError where it has not the form of one."""
    offer, published = document.get("offerCode"), str(document.get("publicationDate", ""))[:10]
    if not isinstance(offer, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", published):
        raise ValueError("names no offerCode and publicationDate")
    note = f"AWS Price List, {offer}, version {str(document.get('version', 'unknown'))[:40]}"
    source = Source(page, today, published, note)
    left_out: list[str] = []
    rows = list(_rows(document, source, left_out))
    return gathered(rows, left_out)


def _rows(document: Mapping[str, Any], source: Source, left_out: list[str]) -> Iterator[Row]:
    terms = document["terms"].get("OnDemand", {})
    for sku, product in document["products"].items():
        attributes = product.get("attributes", {}) if isinstance(product, dict) else {}
        kind = _item(attributes)
        if kind is None:
            continue
        item, unit, spellings = kind
        region = attributes.get("regionCode")
        if not region:
            left_out.append(f"{item}: product {sku} names no regionCode")
            continue
        amount, written = _first_paid(terms.get(sku, {}))
        if amount is None:
            left_out.append(f"{item} in {region} of aws has no price in US dollars")
        elif written.lower() not in spellings:
            left_out.append(f"{item} in {region} of aws is by {written or 'no unit'}, not by {unit}")
        else:
            yield Row(("aws", str(region), item), Price(amount, unit, source))


def _item(attributes: Mapping[str, Any]) -> tuple[str, str, frozenset[str]] | None:
    usage = str(attributes.get("usagetype", ""))
    code = str(attributes.get("servicecode", ""))
    return _ITEMS.get((code, usage)) or _ITEMS.get((code, _REGION.sub("", usage)))


def _first_paid(terms: Mapping[str, Any]) -> tuple[Decimal | None, str]:
    """The amount and its unit; None where nothing has a price in US dollars."""
    steps = [
        (_number(step.get("beginRange", "0")), amount, str(step.get("unit", "")))
        for term in terms.values()
        for step in term.get("priceDimensions", {}).values()
        if (amount := _number(step.get("pricePerUnit", {}).get("USD"))) is not None
    ]
    ordered = sorted(steps, key=lambda step: step[0] or Decimal(0))
    paid = [step for step in ordered if step[1] > 0]
    if not ordered:
        return None, ""
    _, amount, unit = (paid or ordered)[0]
    return amount.normalize(), unit


def _number(text: object) -> Decimal | None:
    try:
        found = Decimal(str(text))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found >= 0 else None
