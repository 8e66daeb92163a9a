"""What every verb that reads a spec starts from: the project, its spec, and where it acts."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arriero.clouds import endpoints as real
from arriero.clouds.endpoints import Endpoints
from arriero.deploy import credentials
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.spec import load
from arriero.spec.load import Loaded
from arriero.spec.model import Spec

REHEARSE = "ARRIERO_REHEARSE"


@dataclass(frozen=True, slots=True)
class Here:
    """An opened project. Inside `opened` the process's environment is that of `endpoints`."""

    project: Project
    loaded: Loaded
    endpoints: Endpoints
    is_staged: bool

    @property
    def spec(self) -> Spec:
        return self.loaded.spec

    def only(self, sites: Sequence[str] | None) -> Collection[str] | None:
        """The sites chosen on the command line, checked; None for all."""
        unknown = sorted(set(sites or ()) - set(self.spec.sites))
        if unknown:
            known = ", ".join(self.spec.sites)
            raise Refused(
                [Problem(f"there is no site {name}", f"choose from {known}", key="--site") for name in unknown]
            )
        return set(sites) if sites else None


class SecretsUnread(Mapping[str, str]):
    """In place of the environment, for verbs that hand no secret on: none has to be set, and none is read.

    The controller needs it: on a stage it runs in an environment without the variables that the spec names.
    """

    def __getitem__(self, name: str) -> str:
        return "unread"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def load_project(
    file: Path | None, overlay: str | None, secrets: Mapping[str, str] = os.environ
) -> tuple[Project, Loaded]:
    """Finds and loads the spec, its secrets from `secrets`; raises SpecError with every problem of it."""
    path = load.find(file, Path.cwd())
    return Project(path.absolute(), overlay), load.load(path, overlay, secrets)


@contextmanager
def opened(
    file: Path | None,
    overlay: str | None,
    rehearse: bool,
    *,
    vault_password: Path | None = None,
    quiet: bool = False,
    secrets: Mapping[str, str] = os.environ,
) -> Iterator[Here]:
    """Loads the spec and enters its Endpoints: the stage's, started if need be, or the real clouds'."""
    _refuse_other_platforms()
    project, loaded = load_project(file, overlay, secrets)
    staged = is_staged(loaded.spec, rehearse)
    endpoints = stage_endpoints(project) if staged else _real_endpoints(project, loaded, vault_password)
    with endpoints.entered():
        if staged:
            os.environ[REHEARSE] = "1"  # whatever is started from here acts on the stage, too
        if not quiet:
            print(f"Acting on {endpoints.label}.", file=sys.stderr)
        yield Here(project, loaded, endpoints, staged)


def is_staged(spec: Spec, rehearse: bool) -> bool:
    return rehearse or spec.rehearse == "always"


def stage_endpoints(project: Project) -> Endpoints:
    from arriero.rehearse.stage import Stage

    project.make_state()
    stage = Stage(project.stage)
    stage.ensure()
    return stage.endpoints(os.environ)


def _real_endpoints(project: Project, loaded: Loaded, vault_password: Path | None) -> Endpoints:
    """The real clouds, with the logins of the user's environment and of the spec's vaults."""
    try:
        environment = credentials.entered(loaded.spec, project.folder, vault_password, os.environ)
    except ArrieroError as error:
        raise Refused(loaded.placed(error.problems)) from None
    names = loaded.spec.credentials.vault
    return real.from_process(environment, " and of ".join(("the accounts of your environment", *names)))


def _refuse_other_platforms() -> None:
    if platform.system() != "Linux":
        raise Refused(
            Problem(
                f"arriero runs on Linux and WSL2, and this is {platform.system()}",
                "run it in WSL2, in a Linux virtual machine or in a container",
            )
        )
