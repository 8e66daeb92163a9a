"""Which emulated clouds a stage has; they are imported here only, and only by the stage's own process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arriero.rehearse import ports
from arriero.rehearse.emulator import Emulator
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes
from arriero.rehearse.tripwire import Tripwire


def assemble(folder: Path, processes: Processes, latency: Latency, tripwire: Tripwire) -> Mapping[str, Emulator]:
    """Both clouds, on the ports they had last time."""
    from arriero.rehearse.aws.emulator import AwsEmulator
    from arriero.rehearse.azure.emulator import AzureEmulator

    port = ports.keep(folder, ("aws", "proxy"))
    return {
        "aws": AwsEmulator(folder, processes, latency, port["aws"], tripwire=tripwire),
        "azure": AzureEmulator(folder, processes, latency, port["proxy"], tripwire=tripwire),
    }
