"""Where the clouds' APIs are, and as whom we speak to them: one environment, for the SDKs and for every child."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TERM", "TZ", "USER", "LOGNAME", "COLUMNS", "NO_COLOR", "VIRTUAL_ENV")
# Where a Python that is not the system's own finds its libraries and packages.
_OF_PYTHON = re.compile(r"LD_LIBRARY_PATH|PYTHON\w+")


@dataclass(frozen=True)
class Endpoints:
    """The whole environment in which clouds are spoken to.

    `accounts` pins, by cloud, the account that the first call must find; None leaves it to the spec's `accounts`.
    `label` is what the first line on stderr says: "the stage" or "AWS 1234…, Azure 5678…".
    """

    label: str
    environment: Mapping[str, str] = field(repr=False)
    accounts: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Makes this the process's environment, whole: no SDK finds anything else. The former one comes back after."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def from_process(environment: Mapping[str, str], label: str = "the accounts of your environment") -> Endpoints:
    """The real clouds, with the credentials that the user's own environment gives."""
    return Endpoints(label=label, environment=dict(environment))


def sealed(environment: Mapping[str, str], additions: Mapping[str, str]) -> dict[str, str]:
    """An environment made from an allow-list plus `additions`: nothing that could lead elsewhere comes along."""
    return {**{k: v for k, v in environment.items() if k in _PASSED_ON}, **additions}


def sealed_for_python(environment: Mapping[str, str], additions: Mapping[str, str]) -> dict[str, str]:
    """The same for a program of our own outside of the stage, which has to find Python's packages as we did."""
    found = {name: value for name, value in environment.items() if _OF_PYTHON.fullmatch(name)}
    return sealed(environment, {**found, **additions})
