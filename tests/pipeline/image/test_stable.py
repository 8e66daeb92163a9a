"""Which number an image gets that became stable: that of a registry which has it already, else the next free one."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import dxf
import pytest

from arriero.pipeline.image import push, stable
from arriero.pipeline.image.registry import Manifest, Repository
from arriero.spec.model import Spec

sys.path.insert(0, str(Path(__file__).parents[2] / "stories"))
import workshop

OURS, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@dataclass(frozen=True)
class Shelf(Repository):
    """A repository whose tags are given."""

    held: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Manifest | None:
        return Manifest(self.held[name], "", 0, "") if name in self.held else None

    def tags(self) -> tuple[str, ...]:
        return tuple(self.held)


@pytest.mark.parametrize(
    ("east", "west", "number"),
    [
        ({}, {}, 1),
        ({"stable-v1": OURS}, {"stable-v1": OURS}, 1),
        ({"stable-v1": OURS}, {}, 1),
        ({"stable-v1": OTHER}, {}, 2),
        ({"stable-v1": OURS, "stable-v2": OTHER}, {"stable-v1": OURS}, 3),
        ({"stable-v4": OURS}, {"stable-v4": OTHER}, 5),
    ],
)
def test_a_number_is_never_given_to_two_images(east: dict[str, str], west: dict[str, str], number: int) -> None:
    places = [Shelf("east.test", "llm", held=east), Shelf("west.test", "llm", held=west)]
    assert push.number_of(places, OURS) == number


def test_nothing_is_named_where_nobody_may_be_asked_or_the_digest_is_not_known() -> None:
    sites = {"a": {"cloud": "aws", "region": "us-east-1"}}
    spec = Spec.model_validate({"name": "llm", "image": "east.test/llm:1", "models": ["tiny"], "sites": sites})
    assert stable.mark(spec, OURS, lambda _: False) == stable.Marked()
    found = stable.mark(spec, "", lambda _: True)
    assert (found.tag, found.notes) == ("", ("it was deployed by its tag, so no image can be named stable",))


def put(address: str, path: str) -> str:
    """The smallest image that a registry takes; gives its digest."""
    with dxf.DXF(address, path, insecure=True) as repository:
        config = repository.push_blob(data=iter([b"{}"]), digest=f"sha256:{hashlib.sha256(b'{}').hexdigest()}")
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        part = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 2, "digest": config}
        text = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": part, "layers": []})
        repository.set_manifest("git-abc", text)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.wide
@pytest.mark.skipif(not shutil.which("docker-registry"), reason="needs docker-registry")
def test_a_stable_release_has_its_names_at_both_registries_and_one_of_them_never_moves(tmp_path: Path) -> None:
    with workshop.registry(tmp_path / "east") as east, workshop.registry(tmp_path / "west") as west:
        digests = {put(east, "acme/llm"), put(west, "llm")}
        assert len(digests) == 1
        [digest] = digests
        sites = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "azure", "region": "eastus"}}
        image = {"name": f"{east}/acme/llm:1", "registries": {"azure": f"{west}/llm"}}
        spec = Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})
        for _ in range(2):
            assert stable.mark(spec, digest, lambda place: place.insecure) == stable.Marked("stable-v1")
        for address, path in ((east, "acme/llm"), (west, "llm")):
            assert {workshop.digest_of(address, path, tag) for tag in ("stable-v1", "stable")} == {digest}
        (note,) = stable.mark(spec, OURS, lambda _: True).notes
        assert f"{OURS} is not there" in note


@pytest.mark.wide
@pytest.mark.skipif(not shutil.which("docker-registry"), reason="needs docker-registry")
def test_a_release_has_its_name_at_both_registries_and_a_name_that_is_taken_stays(tmp_path: Path) -> None:
    with workshop.registry(tmp_path / "east") as east, workshop.registry(tmp_path / "west") as west:
        digest = put(east, "acme/llm")
        sites = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "azure", "region": "eastus"}}
        image = {"name": f"{east}/acme/llm:1", "registries": {"azure": f"{west}/llm"}}
        spec = Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})
        assert stable.name_release(spec, digest, 3, lambda _: False) == ()
        (note,) = stable.name_release(spec, digest, 3, lambda _: True)
        assert "the image was not named r3" in note
        assert f"{west}/llm" in note, "it was pushed to one only"
        put(west, "llm")
        for _ in range(2):
            assert stable.name_release(spec, digest, 3, lambda _: True) == ()
        assert {workshop.digest_of(*where, "r3") for where in ((east, "acme/llm"), (west, "llm"))} == {digest}
        first, second = stable.name_release(spec, OURS, 3, lambda _: True)
        assert "acme/llm:r3 is another image already" in first
        assert "/llm:r3 is another image already" in second
        assert workshop.digest_of(west, "llm", "r3") == digest
