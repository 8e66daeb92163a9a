"""The spec's section `storage`: how the storage of a site's models is read, where it is EFS of AWS."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from arriero.spec import values
from arriero.spec.section import Section

MODES = ("elastic", "bursting")
# Of ProvisionedThroughputInMibps: https://docs.aws.amazon.com/efs/latest/ug/API_UpdateFileSystem.html
MOST_MIBPS = 3414
PATTERN = r"^(elastic|bursting|[1-9][0-9]{0,3}MiB/s)$"


def _throughput(value: object) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{values.shown(str(value))} is neither elastic, bursting nor an amount like 100MiB/s")
    if text not in MODES and int(text.removesuffix("MiB/s")) > MOST_MIBPS:
        raise ValueError(f"is {text}, and EFS provisions {MOST_MIBPS}MiB/s at most")
    return text


Throughput = Annotated[str, BeforeValidator(_throughput), values.schema(PATTERN)]


class Storage(Section):
    """How fast targets at AWS read models that come from storage, and how that is paid."""

    throughput: Throughput = Field(
        default="elastic",
        description="`elastic`: what is read is paid; `bursting`: nothing besides, slow once credits are used up; or "
        "an amount that is provisioned and paid by the hour, like 100MiB/s, of which EFS reads three times as much.",
    )

    @property
    def mode(self) -> str:
        """In the words of EFS."""
        return self.throughput if self.throughput in MODES else "provisioned"

    @property
    def provisioned_mibps(self) -> int | None:
        """None where nothing is provisioned."""
        return None if self.throughput in MODES else int(self.throughput.removesuffix("MiB/s"))
