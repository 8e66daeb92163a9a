"""What could be wrong before anything is: tools, credentials and what they may read, quotas; each with a remedy."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from arriero.catalog import catalog
from arriero.clouds import read
from arriero.clouds.endpoints import Endpoints
from arriero.errors import ArrieroError
from arriero.events import Json
from arriero.plan.model import Cloud
from arriero.spec.front_door import clouds_of
from arriero.spec.model import Spec

Verdict = Literal["fine", "note", "fault"]
MARKS = {"fine": "✓", "note": "·", "fault": "✗"}
PACKAGES: dict[Cloud, tuple[str, str]] = {"aws": ("boto3", "aws"), "azure": ("azure.identity", "azure")}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was found."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{MARKS[self.verdict]} {self.name}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")

    def as_json(self) -> dict[str, Json]:
        return {"name": self.name, "verdict": self.verdict, "found": self.found, "remedy": self.remedy}


def examine(spec: Spec, endpoints: Endpoints, is_set_up: Callable[[], bool]) -> list[Check]:
    """All checks, in the order in which their faults are best mended. A spec that got here holds nothing retired."""
    clouds = sorted(clouds_of(spec))
    return [*_tools(clouds, is_set_up), *_accounts(spec, endpoints), *_permissions(spec), *_quotas(spec)]


def _tools(clouds: list[Cloud], is_set_up: Callable[[], bool]) -> Iterator[Check]:
    yield Check("Python", "fine", platform.python_version())
    for package, extra in [("ansible", "deploy"), *(PACKAGES[cloud] for cloud in clouds if cloud in PACKAGES)]:
        if _is_installed(package):
            yield Check(package, "fine", "installed")
        else:
            yield Check(package, "fault", "not installed", f"pip install 'arriero[{extra}]'")
    if is_set_up():
        yield Check("Ansible collections", "fine", "installed")
    else:
        yield Check("Ansible collections", "fault", "not installed", "run: arriero setup")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def _accounts(spec: Spec, endpoints: Endpoints) -> Iterator[Check]:
    try:
        for cloud, account in read.check_accounts(spec, endpoints).items():
            pinned = endpoints.accounts.get(cloud) or getattr(spec.accounts, cloud, None)
            verdict: Verdict = "fine" if pinned or cloud == "local" else "note"
            remedy = (
                "" if verdict == "fine" else f"pin it, so that no other is ever touched: accounts.{cloud}: {account}"
            )
            yield Check(f"{cloud} account", verdict, account, remedy)
    except ArrieroError as error:
        yield from (Check("accounts", "fault", problem.what, problem.remedy) for problem in error.problems)


def _permissions(spec: Spec) -> Iterator[Check]:
    """Everything that a plan reads is read; what is denied names the missing right."""
    for name, found in read.read(spec).sites.items():
        if found.problem:
            yield Check(f"reading {name}", "fault", found.problem.what, found.problem.remedy)
        else:
            yield Check(f"reading {name}", "fine", f"{len(found.resources)} things of this service stand there")


def _quotas(spec: Spec) -> Iterator[Check]:
    """The most that the spec may ask for, against the clouds' default quotas; a raised quota is not known here."""
    for name in spec.sites:
        site = spec.site(name)
        if site.gpu:  # quotas of GPUs are the subscription's own: none is known here
            continue
        most = site.max + site.spares
        asked = {"cores": most * float(site.size.cpu), "container_groups": float(most)}
        for quota in catalog.quotas(site.cloud):
            if quota.name in asked:
                yield _quota(f"{name} {quota.name}", asked[quota.name], float(quota.limit), quota.unit)


def _quota(name: str, asked: float, limit: float, unit: str) -> Check:
    found = f"up to {asked:g} of {limit:g} {unit} by default"
    if asked > limit:
        return Check(name, "fault", found, "ask the cloud for more, or lower scale.max")
    return Check(name, "fine", found)
