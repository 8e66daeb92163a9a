"""All kinds of files that can be made from a spec, and how they get into a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import Problem, Refused
from arriero.pipeline import gateway, github, gitlab, schedule
from arriero.pipeline.alarms import files as alarms
from arriero.pipeline.grafana import files as grafana
from arriero.pipeline.iam import files as iam
from arriero.pipeline.image import files as docker
from arriero.pipeline.jenkins import files as jenkins
from arriero.pipeline.nginx import files as nginx
from arriero.pipeline.prometheus import files as prometheus
from arriero.pipeline.prometheus import targets
from arriero.pipeline.replacing import FileState, replace_file, state_of
from arriero.pipeline.terraform import module as terraform
from arriero.plan.model import Facts
from arriero.spec.model import Spec
from arriero.spec.suggest import suggest

Contents = Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """`files` gives, by path inside the folder, the whole content of each file; `next` says what to do with them.

    It is handed the spec, and the spec's folder as seen from the folder written into. A kind that is made from what
    stands in the clouds, too, has `from_facts` instead; one that is made of nothing else, and can be kept fresh, is
    `live`. `refuse` looks at what lies in the spec's folder, and raises.
    """

    summary: str
    files: Callable[[Spec, Path], Contents] | None
    next: str
    from_facts: Callable[[Spec, Facts], Contents] | None = None
    refuse: Callable[[Spec, Path], None] | None = None
    live: bool = False


KINDS: Mapping[str, Kind] = {
    "gateway": Kind("the settings of a gateway that runs elsewhere", gateway.files, gateway.NEXT),
    "nginx": Kind("an nginx before the gateways", nginx.files, nginx.NEXT, refuse=nginx.refuse),
    "docker": Kind("the files that build the image and run it", docker.files, docker.NEXT),
    "jenkins": Kind("what a Jenkins needs to build, test and release the service", jenkins.files, jenkins.NEXT),
    "github": Kind("the same pipeline for GitHub Actions", github.files, github.NEXT),
    "gitlab": Kind("the same pipeline for GitLab CI", gitlab.files, gitlab.NEXT),
    "schedule": Kind("the playbook and the crontab of sites' off hours", schedule.files, schedule.NEXT),
    "prometheus": Kind("what a Prometheus scrapes, computes and calls for", prometheus.files, prometheus.NEXT),
    "targets": Kind("where the sidecars are, for Prometheus's file_sd_configs", None, targets.NEXT, live=True),
    "grafana": Kind("a Grafana's board of that, and what has it loaded", grafana.files, grafana.NEXT),
    "alarms": Kind("what CloudWatch and Azure Monitor watch themselves", None, alarms.NEXT, alarms.files),
    "iam": Kind("what the deployer may do on both clouds, and no more", iam.files, iam.NEXT),
    "terraform": Kind("the plan as a Terraform module", None, terraform.NEXT, terraform.files),
}


def kind_of(name: str) -> Kind:
    """Raises Refused, with what may have been meant, where there is no such kind."""
    if name not in KINDS:
        raise Refused(Problem(f"there is no kind '{name[:40]}'", suggest(name, tuple(KINDS)), key="export"))
    return KINDS[name]


def contents(kind: Kind, spec: Spec, home: Path, folder: Path, facts: Facts | None = None) -> Contents:
    """What belongs into `folder` for a spec that lies in `home`; `facts` for the kinds that are made from them.

    Raises ArrieroError where the kind can't be had from this spec.
    """
    if kind.refuse:
        kind.refuse(spec, home)
    if kind.from_facts and facts:
        return kind.from_facts(spec, facts)
    return kind.files(spec, _seen(home, folder)) if kind.files else {}


def look(files: Contents, folder: Path) -> dict[str, FileState]:
    """How each file in `folder` is, against what would be written there."""
    return {name: state_of(folder / name, _bytes(content)) for name, content in files.items()}


def write(files: Contents, folder: Path) -> dict[str, FileState]:
    """Writes what is missing or differs; raises ArrieroError where that can't be done."""
    states = look(files, folder)
    for name, content in files.items():
        if states[name] != "same":
            replace_file(folder / name, _bytes(content))
            states[name] = "written"
    return states


def _seen(home: Path, folder: Path) -> Path:
    return Path(os.path.relpath(home.resolve(), folder.resolve()))


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()
