"""One AWS site on an emulated AWS with real server processes, as a test drives it: read, plan, play, remove."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.clouds.aws import facts
from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.variables import removal_variables, site_variables
from arriero.clouds.endpoints import Endpoints, sealed
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts, SitePlan, SiteRef
from arriero.rehearse.aws.emulator import AwsEmulator
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes
from arriero.spec.model import Spec

OURS = Path(__file__).parents[3] / "src/arriero/deploy/ansible"
THEIRS = Path(sys.prefix) / "share/arriero/collections"
PLAYS = OURS / "ansible_collections/arriero/fleet/playbooks"
REF = SiteRef("llm", "aws-east", "aws", "us-east-1")
BASE = "llm-aws-east"


def spec(**changes: Any) -> Spec:
    site = {"cloud": "aws", "region": "us-east-1", **changes.pop("site", {})}
    size = {"storage": "20GiB", **changes.pop("size", {})}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"aws-east": site}, "size": size}
    return Spec.model_validate({**whole, **changes})


@dataclass(frozen=True)
class Played:
    """How a run of the role ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        return int(re.findall(r"changed=(\d+)", self.output)[-1])


class AwsSite:
    """The site `aws-east` of the service `llm` and its cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes(folder, {"PATH": "/nowhere"})
        self.aws = AwsEmulator(folder, self.processes, Latency(), 0)
        self.aws.start()

    def close(self) -> None:
        self.aws.stop()
        self.processes.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """Ours and the emulator's at once, for it runs in this process: moto asks for its setting when IAM is used."""
        moto = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        return sealed(os.environ, {**self.aws.environment(), **moto, "HOME": str(self.folder)})

    @contextmanager
    def entered(self) -> Iterator[None]:
        with Endpoints("a test", self.environment).entered():
            yield

    def client(self, service: str) -> Any:
        return clients().get(service, REF.region)

    def read(self) -> SiteFacts:
        return facts.read_site(REF)

    def plan(self, wish: Spec) -> SitePlan:
        return place.plan(wish, Facts("llm", {"aws-east": self.read()})).sites[0]

    def variables(self, wish: Spec) -> dict[str, Any]:
        found = self.read()
        planned = place.plan(wish, Facts("llm", {"aws-east": found})).sites[0]
        return site_variables(wish.site("aws-east"), planned, found)

    def up(self, wish: Spec) -> Played:
        return self.play("every_site.yml", self.variables(wish))

    def down(self) -> Played:
        return self.play("remove.yml", removal_variables(self.read(), purge=True))

    def play(self, playbook: str, variables: Mapping[str, Any], *words: str) -> Played:
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "arriero_cloud": "aws"}
        hosts = {"sites": {"hosts": {"aws-east": {**host, **variables}}}}
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"children": hosts}}))
        started = time.monotonic()
        command = [str(Path(sys.prefix) / "bin/ansible-playbook"), "-i", str(inventory), str(PLAYS / playbook), *words]
        done = subprocess.run(command, env=self._ansible(), capture_output=True, text=True, check=False)
        return Played(done.returncode, done.stdout + done.stderr, time.monotonic() - started)

    def _ansible(self) -> dict[str, str]:
        return {
            **self.environment,
            "ANSIBLE_COLLECTIONS_PATH": f"{OURS}:{THEIRS}",
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible/tmp"),
            "ANSIBLE_REMOTE_TMP": str(self.folder / "ansible/remote"),
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }


def until(true: Callable[[], Any], seconds: float = 15) -> Any:
    """Waits for what real processes do; the value that ended it, or an assertion."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.05)
    return value
