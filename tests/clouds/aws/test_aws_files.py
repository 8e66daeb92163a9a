"""A file system of EFS with what hangs on it, as Resources."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.clouds.aws import files
from arriero.plan.model import SiteRef

REF = SiteRef("llm", "east", "aws", "us-east-1")
SYSTEM = {
    "FileSystemId": "fs-1",
    "Encrypted": True,
    "ThroughputMode": "elastic",
    "Tags": [{"Key": "arriero-service", "Value": "llm"}, {"Key": "arriero-models", "Value": "llama2:70b"}],
}
POINT = {"AccessPointId": "fsap-1", "RootDirectory": {"Path": "/models"}, "PosixUser": {"Uid": 10001}}


def test_what_hangs_on_a_file_system_is_told_with_its_ids() -> None:
    targets = tuple({"SubnetId": f"subnet-{n}", "MountTargetId": f"fsmt-{n}"} for n in (2, 1))
    system, models = files.resources(files.Storage(SYSTEM, (POINT,), targets), REF, {"subnet-1": "llm-east a"})
    assert system.properties["access_point"] == {"root": "/models", "user": 10001}
    assert system.properties["subnets"] == ("llm-east a", "subnet-2")
    ids = {"llm-east a": "fsmt-1", "subnet-2": "fsmt-2"}
    assert system.details == {"access_point_id": "fsap-1", "mount_targets": ids}
    assert models.properties == {"models": "llama2:70b"}


def test_one_that_is_out_of_the_network_has_nothing_to_mount() -> None:
    [system] = files.resources(files.Storage({**SYSTEM, "Tags": []}, (), ()), REF, {})
    assert system.properties["subnets"] == ()
    assert system.details == {"access_point_id": "", "mount_targets": {}}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ("elastic", None)),
        ({"ThroughputMode": "provisioned", "ProvisionedThroughputInMibps": 100.0}, ("provisioned", 100)),
        ({"ThroughputMode": "bursting", "ProvisionedThroughputInMibps": 100.0}, ("bursting", None)),
    ],
)
def test_what_is_provisioned_counts_in_that_mode_alone(told: dict[str, Any], expected: tuple[str, int | None]) -> None:
    [system, _] = files.resources(files.Storage({**SYSTEM, **told}, (), ()), REF, {})
    assert (system.properties["throughput"], system.properties["provisioned_mibps"]) == expected
