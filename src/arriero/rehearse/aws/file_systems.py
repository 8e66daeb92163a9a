"""Throughput of EFS as moto does not know it: UpdateFileSystem, and what EFS refuses of either call.

Another mode, or a lesser amount, is taken once in 24 hours
(https://repost.aws/knowledge-center/efs-max-throughput-mode-changes); how fast anything is read plays no part.
"""

from __future__ import annotations

import json
import time
from typing import Any

import moto.efs.models
import moto.efs.responses
from moto.core.exceptions import JsonRESTError
from moto.efs.exceptions import BadRequest

from arriero.spec.storage import MOST_MIBPS

_DAY_SECONDS = 86400.0


def fill_the_gap() -> None:
    theirs: Any = moto.efs.models.EFSBackend
    whole = getattr(theirs.create_file_system, "whole", theirs.create_file_system)

    def create_file_system(self: Any, **asked: Any) -> Any:
        _check(asked.get("throughput_mode") or "bursting", asked.get("provisioned_throughput_in_mibps"))
        return whole(self, **asked)

    create_file_system.whole = whole  # type: ignore[attr-defined]
    theirs.create_file_system = create_file_system
    responses: Any = moto.efs.responses.EFSResponse
    responses.update_file_system = _update


def _update(self: Any) -> Any:
    """Answers as EFS does, with the file system as it is then."""
    system = self.efs_backend.file_systems_by_id.get(self._get_param("FileSystemId"))
    if system is None:
        raise moto.efs.exceptions.FileSystemNotFound(self._get_param("FileSystemId"))
    mode = self._get_param("ThroughputMode") or system.throughput_mode
    amount = self._get_param("ProvisionedThroughputInMibps")
    if mode == "provisioned" and amount is None and system.throughput_mode == mode:
        amount = system.provisioned_throughput_in_mibps
    _check(mode, amount)
    if mode != system.throughput_mode or float(amount or 0) < float(system.provisioned_throughput_in_mibps or 0):
        _wait_for(system)
    system.throughput_mode, system.provisioned_throughput_in_mibps = mode, amount
    return json.dumps(system.info_json()), {"status": 202, "Content-Type": "application/json"}


def _check(mode: str, amount: Any) -> None:
    if mode == "provisioned" and (amount is None or not 1 <= float(amount) <= MOST_MIBPS):
        raise BadRequest(f"Provisioned throughput must be between 1 and {MOST_MIBPS} MiB/s.")
    if mode != "provisioned" and amount is not None:
        raise BadRequest("Provisioned throughput can be given in the throughput mode provisioned only.")


def _wait_for(system: Any) -> None:
    """Kept under a name that EFS does not tell."""
    last = getattr(system, "_lessened_at", None)
    if last is not None and time.time() - last < _DAY_SECONDS:
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last + _DAY_SECONDS))
        said = (
            "You have reached the maximum number of throughput mode changes or provisioned throughput value decreases."
        )
        error = JsonRESTError("TooManyRequests", f"{said} Wait until {until} UTC and try again.")
        error.code = 429
        raise error
    system._lessened_at = time.time()
