"""A push that fails on its way leaves no release's name at some registries only, or says where it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image import push, record
from arriero.pipeline.image.registry import Manifest, Repository
from arriero.spec.model import Spec

OURS, OLD, IMAGE = (f"sha256:{letter * 64}" for letter in "abc")


@dataclass(frozen=True)
class Shelf(Repository):
    """A repository in memory. It refuses the tags of `shut`, and lets none of `fixed` move."""

    held: dict[str, str] = field(default_factory=dict, hash=False)
    shut: set[str] = field(default_factory=set, hash=False)
    fixed: set[str] = field(default_factory=set, hash=False)
    takes: bool = True

    def find(self, name: str) -> Manifest | None:
        digest = name if name in self.held.values() else self.held.get(name)
        return Manifest(digest, IMAGE if digest == OURS else OLD, 1, digest) if digest else None

    def tags(self) -> tuple[str, ...]:
        return tuple(self.held)

    def may_push(self) -> None:
        if not self.takes:
            raise ArrieroError(Problem("its registry answered 405", "see its log", str(self)))

    def tag(self, manifest: Manifest, name: str) -> None:
        if name in self.shut or (name in self.fixed and name in self.held):
            raise ArrieroError(Problem("its registry answered 500", "see its log", f"{self}:{name}"))
        self.held[name] = manifest.digest


# Stands for `docker`: an image is looked at, named and pushed; `refuses` names what it does not push.
DOCKER = """#!/bin/sh
echo "$@" >> "$PRETENDED/calls"
case "$1 $2" in
  "version --format") echo '{"Client": {"Version": "20.10.24"}, "Server": {"Version": "20.10.24"}}' ;;
  "buildx version") exit 1 ;;
  "image inspect") echo '[{"Id": "IMAGE", "Size": 5000, "RootFS": {"Layers": []}, "Config": {"Labels": {}}}]' ;;
  "push $DOCKER_REFUSES") echo "denied: requested access to the resource is denied"; exit 1 ;;
  push*) echo "git-abc: digest: OURS size: 1" ;;
esac
"""


@dataclass
class World:
    project: Project
    east: Shelf
    west: Shelf
    calls: Path
    environment: pytest.MonkeyPatch

    def push(self, release: int | None = 7, *, stable: bool = True, limit: str | None = None) -> push.Outcome:
        sites = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "azure", "region": "eastus"}}
        image = {"name": "east.test/llm", "registries": {"azure": "west.test/llm"}, "limit": limit}
        spec = Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})
        return push.push(self.project, spec, push.Asked("git-abc", release, stable))

    def refusal(self, **how: object) -> str:
        with pytest.raises(ArrieroError) as error:
            self.push(**how)  # type: ignore[arg-type]
        return "\n".join(map(str, error.value.problems))

    @property
    def pushed(self) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.split()[1] for line in lines if line.startswith("push ")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "docker").write_text(DOCKER.replace("IMAGE", IMAGE).replace("OURS", OURS))
    (tmp_path / "docker").chmod(0o755)
    for name, value in {"PATH": f"{tmp_path}:/usr/bin:/bin", "PRETENDED": str(tmp_path), "DOCKER_REFUSES": "-"}.items():
        monkeypatch.setenv(name, value)
    shelves = {"east.test": Shelf("east.test", "llm"), "west.test": Shelf("west.test", "llm")}
    for shelf in shelves.values():
        shelf.held.update({"git-abc": OURS, "stable": OLD, "stable-v1": OLD})
    monkeypatch.setattr(push.Repository, "of", lambda name: shelves[name.partition("/")[0]])
    project = Project(tmp_path / "arriero.yaml")
    record.write(push.record_of(project), record.Built(IMAGE, "git-abc", 5000, {"tiny:latest": OURS}, {}, 1.0))
    return World(project, *shelves.values(), tmp_path / "calls", monkeypatch)


def test_names_are_given_when_the_image_is_everywhere(world: World) -> None:
    done = world.push()
    assert done.pushed.tags == ("git-abc", "r7", "stable-v2", "stable")
    assert world.pushed == ["east.test/llm:git-abc", "west.test/llm:git-abc"]
    for shelf in (world.east, world.west):
        assert {shelf.held[name] for name in done.pushed.tags} == {OURS}
    assert record.read_pushed(push.pushed_of(world.project)) == done.pushed


def nothing_moved(world: World) -> bool:
    held = {"git-abc": OURS, "stable": OLD, "stable-v1": OLD}
    return world.east.held == held == world.west.held and record.read_pushed(push.pushed_of(world.project)) is None


def test_a_registry_that_takes_nothing_is_found_before_anything_is_pushed(world: World) -> None:
    object.__setattr__(world.west, "takes", False)
    assert world.refusal() == "west.test/llm: its registry answered 405; see its log"
    assert world.pushed == []
    assert nothing_moved(world)


def test_a_push_that_one_registry_refuses_gives_no_names_at_the_other(world: World) -> None:
    world.environment.setenv("DOCKER_REFUSES", "west.test/llm:git-abc")
    assert "west.test/llm:git-abc: its registry refuses the push" in world.refusal()
    assert world.pushed == ["east.test/llm:git-abc", "west.test/llm:git-abc"]
    assert nothing_moved(world)


def test_a_limit_that_came_after_the_build_holds(world: World) -> None:
    assert world.refusal(limit="4KiB").startswith("image.limit: the image has 0.0 MB, more than 4KiB")
    assert world.pushed == []
    assert nothing_moved(world)


def test_a_release_s_number_that_is_taken_is_found_before_anything_is_pushed(world: World) -> None:
    world.west.held["r7"] = OLD
    assert "west.test/llm:r7 is another image already" in world.refusal()
    assert world.pushed == []


@pytest.mark.parametrize(
    ("shut", "said", "stable"),
    [
        ({"r7"}, "these names were given: east.test/llm:r7", OLD),
        (
            {"stable-v2"},
            "these names were given: east.test/llm:r7, west.test/llm:r7, east.test/llm:stable-v2",
            OLD,
        ),
    ],
)
def test_a_name_that_one_registry_refuses_is_told_and_stable_stays(
    world: World, shut: set[str], said: str, stable: str
) -> None:
    world.west.shut.update(shut)
    refusal = world.refusal()
    assert f"its registry answered 500; see its log\n{said}; push again" in refusal
    assert {world.east.held["stable"], world.west.held["stable"]} == {stable}
    assert record.read_pushed(push.pushed_of(world.project)) is None
    world.west.shut.clear()
    assert world.push().pushed.tags == ("git-abc", "r7", "stable-v2", "stable"), "the second try gives the same names"


def test_stable_goes_back_where_it_moved_and_is_told_where_it_can_not(world: World) -> None:
    """One that has no `stable` yet and refuses it fails the push: nobody says then that it stays where it was."""
    del world.west.held["stable"]
    world.west.shut.add("stable")
    assert "east.test/llm:stable," not in world.refusal()
    assert world.east.held["stable"] == OLD
    assert "stable" not in world.west.held

    del world.east.held["stable"]
    assert "east.test/llm:stable; push again" in world.refusal()
    assert world.east.held["stable"] == OURS


def test_a_registry_whose_names_never_move_keeps_its_stable(world: World) -> None:
    world.west.fixed.add("stable")
    assert world.push().notes == ("west.test/llm lets no tag move: stable stays where it was",)
    assert (world.east.held["stable"], world.west.held["stable"]) == (OURS, OLD)
