"""Throughput of EFS on the emulated AWS: what is taken, and what AWS refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloud import Cloud


def code(caught: Any) -> str:
    return str(caught.value.response["Error"]["Code"])


def made(cloud: Cloud, **asked: Any) -> tuple[Any, str]:
    efs = cloud.client("efs")
    return efs, str(efs.create_file_system(CreationToken="llm", **asked)["FileSystemId"])


def told(efs: Any) -> tuple[str, float | None]:
    [system] = efs.describe_file_systems()["FileSystems"]
    return system["ThroughputMode"], system.get("ProvisionedThroughputInMibps")


def test_a_mode_is_changed_once_a_day_and_an_amount_raised_at_will(cloud: Cloud) -> None:
    efs, name = made(cloud, ThroughputMode="elastic")
    efs.update_file_system(FileSystemId=name, ThroughputMode="provisioned", ProvisionedThroughputInMibps=50.0)
    assert told(efs) == ("provisioned", 50.0)
    efs.update_file_system(FileSystemId=name, ProvisionedThroughputInMibps=80.0)
    assert told(efs) == ("provisioned", 80.0)
    for less in ({"ProvisionedThroughputInMibps": 10.0}, {"ThroughputMode": "bursting"}):
        with pytest.raises(ClientError, match="maximum number of throughput mode changes") as caught:
            efs.update_file_system(FileSystemId=name, **less)
        assert code(caught) == "TooManyRequests"
    assert told(efs) == ("provisioned", 80.0)


def test_an_amount_and_its_mode_belong_together(cloud: Cloud) -> None:
    with pytest.raises(ClientError) as caught:
        made(cloud, ThroughputMode="provisioned")
    assert code(caught) == "BadRequest"
    efs, name = made(cloud, ThroughputMode="elastic")
    for wrong in (
        {"ThroughputMode": "bursting", "ProvisionedThroughputInMibps": 50.0},
        {"ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": 5000.0},
    ):
        with pytest.raises(ClientError) as caught:
            efs.update_file_system(FileSystemId=name, **wrong)
        assert code(caught) == "BadRequest"
    with pytest.raises(ClientError) as caught:
        efs.update_file_system(FileSystemId="fs-0123456789abcdef0", ThroughputMode="bursting")
    assert code(caught) == "FileSystemNotFound"
