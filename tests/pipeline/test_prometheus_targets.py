"""The file for `file_sd_configs`: what stands, kept where a site can't be read, replaced in one piece."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.clock import ManualClock
from arriero.errors import ArrieroError, CloudError, Problem
from arriero.events import Event
from arriero.observe.discovery import SiteReader
from arriero.pipeline.prometheus import files as prometheus
from arriero.pipeline.prometheus import targets
from arriero.pipeline.replacing import replace_file
from arriero.plan.model import TargetFacts
from arriero.spec.model import Spec

SITES = {"east": {"cloud": "aws", "region": "us-east-1"}}
MADE = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": SITES}
SPEC = Spec.model_validate(MADE)


@dataclass
class Cloud:
    """One site's API: gives what it is told to, or fails."""

    site: str
    targets: list[TargetFacts] = field(default_factory=list)
    is_away: bool = False

    def read(self) -> Sequence[TargetFacts]:
        if self.is_away:
            raise CloudError(self.site, Problem("is away"))
        return list(self.targets)

    @property
    def reader(self) -> SiteReader:
        return SiteReader(self.site, self.read, "standby" if self.site == "west" else "active")


def fact(name: str, site: str = "east", state: Any = "ready", release: int | None = 2) -> TargetFacts:
    return TargetFacts(name, site, state, "10.0.0.7:11434", release)


@dataclass
class Watched:
    """A file that is kept fresh; `look` is one round."""

    folder: Path
    clouds: tuple[Cloud, ...]
    events: list[Event] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    def rounds(self, *changes: Any) -> None:
        """A look after each change; a controller that was started anew each time would do the same."""
        left = list(changes)

        def is_ended() -> bool:
            if not left:
                return True
            left.pop(0)()
            return False

        readers = [cloud.reader for cloud in self.clouds]
        clock = ManualClock()
        targets.keep(SPEC, self.folder, clock, self.events.append, self.written.append, is_ended, readers)
        assert clock.elapsed_seconds == len(changes) * targets.LOOK_SECONDS

    @property
    def names(self) -> list[str]:
        return [group["labels"]["target"] for group in json.loads((self.folder / targets.FILE).read_text())]


def nothing() -> None:
    """As it was."""


def test_a_group_has_what_the_gateways_list_has(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "new/targets", (Cloud("east", [fact("e-1")]), Cloud("west", [fact("w-1", "west")])))
    watched.rounds(nothing)
    east, west = json.loads((watched.folder / targets.FILE).read_text())
    labels = {"service": "llm", "site": "east", "target": "e-1", "role": "active", "release": "2"}
    assert east == {"targets": ["10.0.0.7:11434"], "labels": labels}
    assert (west["labels"]["site"], west["labels"]["role"]) == ("west", "standby")


def test_it_is_written_when_something_changes_and_not_else(tmp_path: Path) -> None:
    east = Cloud("east", [fact("e-1")])
    watched = Watched(tmp_path, (east,))
    more, drains = fact("e-2", release=None), fact("e-1", state="draining")
    watched.rounds(nothing, nothing, lambda: east.targets.append(more), nothing)
    assert (watched.names, watched.written) == (["e-1", "e-2"], [1, 2])
    watched.rounds(nothing, lambda: east.targets.__setitem__(0, drains), nothing)
    assert (watched.names, watched.written) == (["e-1", "e-2"], [1, 2])
    watched.rounds(lambda: east.targets.pop(0), nothing)
    assert (watched.names, watched.written) == (["e-2"], [1, 2, 1])
    assert [path.name for path in tmp_path.iterdir()] == [targets.FILE]


def test_where_nothing_stands_there_is_an_empty_list(tmp_path: Path) -> None:
    watched = Watched(tmp_path, (Cloud("east"),))
    watched.rounds(nothing, nothing)
    assert (watched.names, watched.written) == ([], [0])


def test_a_site_that_cant_be_read_keeps_what_the_file_has_also_after_a_restart(tmp_path: Path) -> None:
    east, west = Cloud("east", [fact("e-1")]), Cloud("west", [fact("w-1", "west")])
    watched = Watched(tmp_path, (east, west))
    watched.rounds(nothing)
    west.is_away = True
    west.targets.clear()
    watched.rounds(nothing, lambda: east.targets.append(fact("e-2")))
    assert watched.names == ["e-1", "e-2", "w-1"]
    assert ["is away" in str(event.fields["text"]) for event in watched.events if event.kind == "site.unread"] == [True]
    once = targets.files(SPEC, tmp_path, ManualClock(), watched.events.append, [east.reader, west.reader])
    assert once[targets.FILE] == (tmp_path / targets.FILE).read_text()


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'[{"targets": []}]', b'{"a": 1}', b"null", b"\xff"])
def test_a_file_that_is_not_ours_is_written_anew(tmp_path: Path, text: bytes) -> None:
    (tmp_path / targets.FILE).write_bytes(text)
    east = Cloud("east")
    watched = Watched(tmp_path, (east,))
    watched.rounds(nothing)
    assert watched.names == []
    (tmp_path / targets.FILE).write_bytes(text)
    watched.rounds(lambda: east.targets.append(fact("e-1")))
    assert watched.names == ["e-1"]


def test_without_sidecars_there_is_nothing_to_find() -> None:
    assert [reader.site for reader in targets.readers(SPEC)] == ["east"]
    assert targets.readers(Spec.model_validate({**MADE, "sidecar": False})) == ()


def test_nobody_reads_half_a_file(tmp_path: Path) -> None:
    path, over, found = tmp_path / "a.json", threading.Event(), set[bytes]()
    contents = [json.dumps([number] * 20_000).encode() for number in range(2)]
    replace_file(path, contents[0])
    path.chmod(0o640)

    def read() -> None:
        while not over.is_set():
            found.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        replace_file(path, contents[number % 2])
    over.set()
    reader.join()
    assert found
    assert found <= set(contents)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cant_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / targets.FILE).mkdir()
    with pytest.raises(ArrieroError, match=rf"{targets.FILE}: can't be read: .*; name another folder with --out"):
        Watched(tmp_path, (Cloud("east"),)).rounds(nothing)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArrieroError, match=r"a\.json: can't be written: .*; name another folder with --out"):
        replace_file(tmp_path / "file/a.json", b"")


@pytest.mark.wide
def test_a_prometheus_finds_the_targets_of_the_file(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for name, content in prometheus.files(SPEC, Path()).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(str(content))
    config = tmp_path / prometheus.CONFIG
    # As the comment at its end says.
    [told] = [line for line in config.read_text().splitlines() if line.startswith("#   file_sd_configs")]
    settings = YAML(typ="safe").load(config.read_text())
    sidecars = settings["scrape_configs"][1]
    del sidecars["http_sd_configs"]
    sidecars |= YAML(typ="safe").load(told.removeprefix("#"))
    config.write_text(json.dumps(settings))
    Watched(tmp_path / "targets", (Cloud("east", [fact("e-1"), fact("e-2")]),)).rounds(nothing)
    check = [promtool, "check", "config", prometheus.CONFIG]
    said = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    asked = [promtool, "check", "service-discovery", "--timeout=3s", prometheus.CONFIG, "arriero-sidecars"]
    found = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    labels = [one["labels"] for one in json.loads(found.stdout)]
    assert [(one["target"], one["site"], one["release"]) for one in labels] == [
        ("e-1", "east", "2"),
        ("e-2", "east", "2"),
    ]
    assert {one["instance"] for one in labels} == {"10.0.0.7:11434"}
