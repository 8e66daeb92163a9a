"""Reads answers of the Azure Retail Prices API, one page or several: list prices of meters, by region.

Its form: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices. A meter is known by
service, product and its own name; only pay-as-you-go (`Consumption`) in US dollars counts, and of what is not the
first step of its price nothing. `Global` stands for all public regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from arriero.catalog import gpu_machines
from arriero.catalog.catalog import Price, Source
from arriero.catalog.listing import Listing, Row, gathered
from arriero.catalog.prices import EVERYWHERE

_APPS = ("Azure Container Apps", "Azure Container Apps")
# Service, product and meter: our item, our unit, and Azure's word for the unit.
_ITEMS: Mapping[tuple[str, str, str], tuple[str, str, str]] = {
    ("Container Instances", "Container Instances", "Standard vCPU Duration"): ("aci.vcpu", "vCPU-hour", "1 Hour"),
    ("Container Instances", "Container Instances", "Standard Memory Duration"): ("aci.memory", "GB-hour", "1 GB Hour"),
    (*_APPS, "Standard vCPU Active Usage"): ("aca.vcpu", "vCPU-hour", "1 Second"),
    (*_APPS, "Standard Memory Active Usage"): ("aca.memory", "GB-hour", "1 GiB Second"),
    (*_APPS, "Standard NC T4 v3 GPU Usage"): ("aca.gpu.T4", "GPU-hour", "1 Second"),
    (*_APPS, "Standard NC A100 v4 GPU Usage"): ("aca.gpu.A100", "GPU-hour", "1 Second"),
    ("NAT Gateway", "NAT Gateway", "Standard Gateway"): ("nat_gateway", "hour", "1 Hour"),
    ("NAT Gateway", "NAT Gateway", "Standard Data Processed"): ("nat_gateway.data", "GB", "1 GB"),
    ("Virtual Network", "Virtual Network Private Link", "Standard Private Endpoint"): (
        "private_endpoint",
        "hour",
        "1 Hour",
    ),
    ("Virtual Network", "IP Addresses", "Standard IPv4 Static Public IP"): ("public_ipv4", "address-hour", "1 Hour"),
}


# Machines are known by the size's own name, so that those of Spot and with Windows are none; disks by their tier.
_MACHINES, _DISKS = "Virtual Machines", ("Storage", "Standard SSD Managed Disks")
_TIER = re.compile(r"(E\d+) LRS Disk")
_HOURS_A_MONTH, _DIGITS = 730, Decimal("0.000001")

# A subscription's first seconds in a month cost nothing, which is a step of its own in the list: it says no price.
_FREE_AT_FIRST = ("aca.vcpu", "aca.memory")


def read(document: Mapping[str, Any], page: str, today: str) -> Listing:
    """`page` is where it was read, on the day `today`. Raises ValueError where an item has not the form of one."""
    left_out: list[str] = []
    rows = list(_rows(document["Items"], page, today, left_out))
    return gathered(rows, left_out)


def next_page(document: Mapping[str, Any]) -> str:
    """Where the list goes on; empty at its end."""
    return str(document.get("NextPageLink") or "")


def _rows(items: list[Any], page: str, today: str, left_out: list[str]) -> Iterator[Row]:
    for each in items:
        if not isinstance(each, dict):
            raise ValueError("holds an item that is no JSON object")
        kind = _kind(each)
        if kind is None or _text(each, "type") != "Consumption":
            continue
        item, unit, wanted = kind
        region = _region(_text(each, "armRegionName"))
        where = f"{item} in {region} of azure"
        amount, as_of = _number(each.get("retailPrice")), _text(each, "effectiveStartDate")[:10]
        if _number(each.get("tierMinimumUnits", 0)) != 0 and item not in _FREE_AT_FIRST:
            continue
        if item in _FREE_AT_FIRST and amount == 0:
            continue
        if _text(each, "currencyCode") != "USD" or amount is None:
            left_out.append(f"{where} has no price in US dollars")
        elif _text(each, "unitOfMeasure") != wanted:
            left_out.append(f"{where} is by {_text(each, 'unitOfMeasure') or 'no unit'}, not by {wanted}")
        elif not re.fullmatch(r"\d{4}-\d\d-\d\d", as_of):
            left_out.append(f"{where} says no day since when it holds")
        else:
            source = Source(page, today, as_of, "Azure Retail Prices, pay as you go")
            yield Row(("azure", region, item), Price(_hourly(amount, wanted).normalize(), unit, source))


def _kind(item: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Our item, our unit, and Azure's word for the unit."""
    service, product, meter = (_text(item, name) for name in ("serviceName", "productName", "meterName"))
    sku = _text(item, "skuName")
    if service == _MACHINES:
        size = _text(item, "armSkuName")
        is_ours = any(each.name == size for each in gpu_machines.machines("azure", "virtual"))
        is_plain = sku == meter == size.removeprefix("Standard_").replace("_", " ") and not product.endswith("Windows")
        return (f"vm.{size}", "machine-hour", "1 Hour") if is_ours and is_plain else None
    if (service, product) == _DISKS:
        tier = _TIER.fullmatch(meter)
        return (f"vm.disk.{tier[1]}", "disk-hour", "1/Month") if tier else None
    return _ITEMS.get((service, product, meter)) if sku == "Standard" else None


def _hourly(amount: Decimal, unit: str) -> Decimal:
    """Ours are by the hour; a month has as many as in estimates."""
    if unit.endswith("Month"):
        return (amount / _HOURS_A_MONTH).quantize(_DIGITS)
    return amount * 3600 if unit.endswith("Second") else amount


def _region(name: str) -> str:
    return EVERYWHERE if name in ("", "Global") else name


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _number(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found.normalize() if found.is_finite() and found >= 0 else None
