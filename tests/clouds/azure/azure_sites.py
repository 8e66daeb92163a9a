"""What the tests of an Azure site share: a running emulated Azure, a spec's site, its plan, and the role run on it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from arriero.clouds.azure import facts, variables
from arriero.clouds.endpoints import Endpoints, sealed
from arriero.deploy.settings import ansible_environment
from arriero.events import Json
from arriero.plan import order
from arriero.plan.compare import compare
from arriero.plan.model import SiteFacts, SitePlan, SiteRef, Step
from arriero.plan.wanted import azure as wish
from arriero.rehearse.azure.emulator import AzureEmulator
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes
from arriero.spec.model import ResolvedSite, Spec

REF = SiteRef("llm", "azure-east", "azure", "eastus")
DIGEST = "0123456789ab"


def allowed() -> None:
    """The lease holds."""


def wait_for(condition: Callable[[], bool]) -> bool:
    """The emulator's containers end in threads of their own."""
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def site(**changes: Any) -> ResolvedSite:
    """The site `azure-east` of a short spec; `changes` replace keys of the spec, `site` those of the site."""
    own = {"cloud": "azure", "region": "eastus", **changes.pop("site", {})}
    spec = {"name": "llm", "image": "acme/llm:1", "models": [{"name": "llama2:latest"}], "sites": {"azure-east": own}}
    return Spec.model_validate({**spec, **changes}).site("azure-east")


def planned(wanted: ResolvedSite, found: SiteFacts, release: int = 1, count: int = 2, digest: str = DIGEST) -> SitePlan:
    resources = wish.wanted(wanted, found, release, count, digest)
    changes = compare(wanted.name, resources, found.resources, wish.IMMUTABLE)
    return SitePlan(wanted.name, "azure", release, count, resources, order.steps(wanted.name, changes, wish.KINDS))


def whole(plan: SitePlan, retired: Step | None = None) -> SitePlan:
    """The same plan with every step of the role, as a plain `ansible-playbook` goes through them."""
    steps = tuple(Step(plan.site, name, ()) for name in dict.fromkeys(wish.KINDS.values()))
    return replace(plan, steps=steps + ((retired,) if retired else ()))


@dataclass
class Azure:
    """An emulated Azure in `folder`, as a stage would hold it."""

    folder: Path
    processes: Processes
    emulator: AzureEmulator

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, latency: float = 0) -> Iterator[Azure]:
        processes = Processes(folder, {"PATH": "/nowhere"})
        emulator = AzureEmulator(folder, processes, Latency(latency))
        emulator.start()
        try:
            yield cls(folder, processes, emulator)
        finally:
            emulator.stop()
            processes.close()

    @contextlib.contextmanager
    def entered(self, **more: str) -> Iterator[None]:
        with Endpoints("the test", {**self.environment(), **more}).entered():
            yield

    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        own = {
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_REMOTE_TMP": str(home / "tmp"),
            "ANSIBLE_ASYNC_DIR": str(home / "async"),
        }
        return sealed(os.environ, {**self.emulator.environment(), **own})

    def read(self) -> SiteFacts:
        with self.entered():
            return facts.read_site(REF)

    def up(self, wanted: ResolvedSite, **how: Any) -> tuple[SitePlan, Played]:
        found = self.read()
        plan = planned(wanted, found, **how)
        return plan, self.play(variables.site_variables(wanted, plan, found))

    def down(self) -> Played:
        return self.play(variables.removal_variables(self.read(), purge=True), "remove")

    def play(self, values: Mapping[str, Json], tasks: str = "main", role_name: str = "azure_site") -> Played:
        """Runs the role through ansible-playbook."""
        role = {"name": f"arriero.fleet.{role_name}", "tasks_from": tasks}
        task = {"name": "Make the site", "ansible.builtin.include_role": role}
        play = {"hosts": "all", "gather_facts": False, "connection": "local", "tasks": [task]}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        hosts = {"all": {"hosts": {"azure-east": {"ansible_python_interpreter": sys.executable, **values}}}}
        (self.folder / "hosts.yml").write_text(json.dumps(hosts))
        environment = self.environment()
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", "play.yml"],
            cwd=self.folder,
            env={**environment, **ansible_environment(environment)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        return Played(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Played:
    code: int
    text: str
    errors: str

    @property
    def recap(self) -> dict[str, int]:
        """`{"ok": 9, "changed": 7, "failed": 0, …}` of the only host."""
        line = next(line for line in self.text.splitlines() if line.startswith("azure-east") and "ok=" in line)
        return {name: int(number) for name, number in (part.split("=") for part in line.split(":")[1].split())}
