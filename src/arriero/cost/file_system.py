"""How fast EFS gives models to targets, and what of that is paid by the hour.

A read counts for a third of its bytes. Without provisioning 100 MiB/s are given while there are credits, then 50 KiB/s
for each GiB that it holds, at which rate credits are earned, too:
https://repost.aws/knowledge-center/efs-choosing-correct-throughput-mode, https://www.amazonaws.cn/en/efs/pricing/.
Elastic is as fast as one target was seen to read, and no mode gives one target more.
"""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog import catalog
from arriero.spec.model import ResolvedSite

MIB = 2**20
BURST_MIBPS, READ_SHARE = 100, 3
KEPT_KIB_A_GIB = 50


def is_used(site: ResolvedSite) -> bool:
    return site.cloud == "aws" and any(model.source == "storage" for model in site.models)


def provisioned(site: ResolvedSite) -> Decimal | None:
    """MiB/s that are paid whether anybody reads or not; None where none are."""
    amount = site.storage.provisioned_mibps if is_used(site) else None
    return None if amount is None else Decimal(amount)


def most_mibps(site: ResolvedSite) -> int | None:
    """What all targets of a site together may read at best; None where nothing but AWS's quotas bounds it."""
    if site.storage.mode == "elastic":
        return None
    return READ_SHARE * (site.storage.provisioned_mibps or BURST_MIBPS)


def bytes_a_second(site: ResolvedSite) -> float | None:
    """What one target reads that is alone; None where no source says."""
    seen, most = catalog.transfer("aws", "storage"), most_mibps(site)
    if seen is None:
        return None
    return seen.bytes_a_second if most is None else min(seen.bytes_a_second, most * MIB)
