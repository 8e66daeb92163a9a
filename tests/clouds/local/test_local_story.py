"""A local site from nothing to nothing, by the real plan, the real role and the real playbook."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from arriero.clouds.local import facts
from arriero.clouds.local.process import find
from arriero.clouds.local.state import read_servers, state_home
from arriero.clouds.local.variables import removal_variables, site_variables
from arriero.plan.model import Facts, SitePlan, SiteRef
from arriero.plan.place import plan
from arriero.rehearse.launch import engine_command
from arriero.spec.model import Spec

ANSIBLE = Path(__file__).parents[3] / "src/arriero/deploy/ansible"
PLAYBOOKS = ANSIBLE / "ansible_collections/arriero/fleet/playbooks"
REF = SiteRef("llm", "office", "local", "", ("127.0.0.1",))


class Project:
    """One spec with one local site, and a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        program = home / "ollama"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(engine_command())} "$@"\n')
        program.chmod(0o755)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ARRIERO_OLLAMA": str(program),
            "ANSIBLE_COLLECTIONS_PATH": str(ANSIBLE),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }

    def spec(self, **more: object) -> Spec:
        site = {"cloud": "local", "hosts": ["127.0.0.1"], "scale": {"min": 2, "max": 3}}
        data = {"name": "llm", "image": "acme/llm", "models": [{"name": "llama2:latest"}], "sites": {"office": site}}
        return Spec.model_validate({**data, **more})

    def plan(self, spec: Spec) -> SitePlan:
        return plan(spec, Facts("llm", {"office": facts.read_site(REF)})).sites[0]

    def up(self, spec: Spec) -> str:
        planned = self.plan(spec)
        return self.play("every_site.yml", site_variables(spec.site("office"), planned, facts.read_site(REF)))

    def play(self, playbook: str, variables: object) -> str:
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "arriero_cloud": "local"}
        inventory = {"sites": {"hosts": {"office": {**host, **variables}}}}  # type: ignore[dict-item]
        (self.home / "hosts.json").write_text(json.dumps(inventory))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.home / "hosts.json")]
        environment = {**self.environment, "ANSIBLE_HOME": str(self.home / ".ansible")}
        done = subprocess.run(
            [*command, str(PLAYBOOKS / playbook)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(tmp_path)
    for name in ("HOME", "ARRIERO_OLLAMA"):
        monkeypatch.setenv(name, made.environment[name])
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    yield made
    for server in read_servers(state_home({"HOME": str(tmp_path)})):
        server.process.end(grace_seconds=1)


def changed(output: str) -> int:
    return int(re.findall(r"changed=(\d+)", output)[0])


@pytest.mark.story
def test_a_local_site_is_made_kept_mended_replaced_and_removed(project: Project) -> None:
    spec = project.spec()
    assert [change.action for change in project.plan(spec).changes] == ["create", "create"]
    project.up(spec)
    assert project.plan(spec).changes == ()
    first = facts.read_targets(REF)
    assert [target.state for target in first] == ["ready", "ready"]
    assert all(re.fullmatch(r"127\.0\.1\.\d+:11434", target.address) for target in first)
    for target in first:
        with urllib.request.urlopen(f"http://{target.address}/metrics") as figures:
            assert b"arriero_sidecar_slots 4" in figures.read()

    again = project.play("every_site.yml", site_variables(spec.site("office"), _as_if_new(project, spec), _nothing()))
    assert changed(again) == 0  # the module itself sees that all is as asked
    assert facts.read_targets(REF) == first

    assert first[0].pid
    killed = find(first[0].pid)
    assert killed
    killed.signal(signal.SIGKILL)
    killed.end(grace_seconds=1)
    dead = facts.read_targets(REF)[0]
    assert (dead.state, dead.pid) == ("stopped", None)
    (change,) = project.plan(spec).changes
    assert (change.action, change.name, change.reason) == ("replace", dead.id, "running: is False, should be True")
    project.up(spec)
    mended = facts.read_targets(REF)
    assert [target.id for target in mended] == [target.id for target in first]
    assert mended[1] == first[1]
    assert project.plan(spec).changes == ()

    beside = read_servers(state_home({"HOME": str(project.home)}))[1].beside
    assert beside
    beside.signal(signal.SIGKILL)
    beside.end(grace_seconds=1)
    alone = facts.read_targets(REF)[1]
    assert (alone.state, alone.reason.partition(" ended;")[0]) == ("stopped", "its sidecar")
    assert [change.name for change in project.plan(spec).changes] == [alone.id]

    other = project.spec(environment={"OLLAMA_DEBUG": "1"})
    assert [change.action for change in project.plan(other).changes] == ["create", "create", "remove", "remove"]
    project.up(other)
    released = facts.read_targets(REF)
    assert [(target.release, target.state) for target in released] == [(2, "ready"), (2, "ready")]
    assert not any(find(target.pid or 0) for target in mended)

    project.play("remove.yml", removal_variables(facts.read_site(REF), purge=True))
    assert facts.read_targets(REF) == ()
    assert not any(find(target.pid or 0) for target in released)
    assert not (project.home / ".local/state/arriero").exists()


def _nothing() -> facts.SiteFacts:
    return facts.SiteFacts("office", "local", "")


def _as_if_new(project: Project, spec: Spec) -> SitePlan:
    return plan(spec, Facts("llm", {"office": _nothing()})).sites[0]


@pytest.mark.story
def test_a_server_that_cannot_start_is_told_with_its_reason(project: Project) -> None:
    Path(project.environment["ARRIERO_OLLAMA"]).write_text("#!/bin/sh\necho no model store; exit 3\n")
    with pytest.raises(AssertionError) as told:
        project.up(project.spec())
    assert "llm-office-r1-1 ended as it started; the end of its log" in str(told.value)
    assert "no model store" in str(told.value)
    assert {target.state for target in facts.read_targets(REF)} == {"stopped"}
    assert facts.read_targets(REF)[0].reason == "its process ended; the end of its log: no model store"
