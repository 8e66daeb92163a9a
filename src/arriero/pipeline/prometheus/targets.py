"""The sidecars that there are, as a file for Prometheus's `file_sd_configs`: for those who can't ask the gateway.

Written from what the clouds say, once or, with `keep`, again and again. Prometheus reads the file anew when it changes;
it is replaced in one piece, so that nobody reads half of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.clock import Clock
from arriero.control.messages import TargetEntry, Targets
from arriero.control.scraping import group
from arriero.events import Listener
from arriero.observe import discovery
from arriero.observe.discovery import Discovery, SiteReader
from arriero.pipeline.replacing import replace_file, state_of
from arriero.plan.model import TargetFacts
from arriero.spec.model import Spec

FILE = "arriero-sidecars.json"
LOOK_SECONDS = 5.0
NEXT = f"""\
In prometheus.yml, in place of http_sd_configs:
  file_sd_configs: [{{files: [{FILE}]}}]
Keep it fresh:  the same command with --watch, as a service of its own"""


def files(
    spec: Spec, folder: Path, clock: Clock, listener: Listener, read_by: Sequence[SiteReader] | None = None
) -> Mapping[str, str | bytes]:
    """The one file, by a single look. A site that can't be read keeps what `folder` has of it; `listener` is told."""
    looked = Discovery(readers(spec) if read_by is None else read_by, clock, listener)
    known = _Known(File(folder, spec.name).targets())
    try:
        looked.look(known)
    finally:
        looked.close()
    return {FILE: text(known.has.entries, spec.name)}


@dataclass
class _Known:
    """What a look begins with, and ends with."""

    has: Targets

    def targets(self) -> Targets:
        return self.has

    def set_targets(self, targets: Targets) -> None:
        self.has = targets


def readers(spec: Spec) -> tuple[SiteReader, ...]:
    """Of the sites that have sidecars: what the spec adopts, and sites without, tell no figures."""
    return tuple(
        SiteReader(reader.site, _reading(reader.read), reader.role)
        for reader in discovery.readers(spec)
        if spec.site(reader.site).sidecar
    )


def text(entries: Iterable[TargetEntry], service: str) -> str:
    return json.dumps([group(entry, service) for entry in entries], indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class File:
    """The file in a gateway's place: what it lists, a site that can't be read keeps. `written` is told how many targets
    it has after each change.
    """

    folder: Path
    service: str
    written: Callable[[int], None] = lambda _: None

    def targets(self) -> Targets:
        """What stands in it; nothing where it is not there, or is not ours."""
        try:
            groups = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
            return Targets(tuple(_entry(each) for each in groups))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Targets(())

    def set_targets(self, targets: Targets) -> None:
        content = text(targets.entries, self.service).encode()
        path = self.folder / FILE
        # A target that drains is another one for a gateway, and the same here.
        if state_of(path, content) != "same":
            replace_file(path, content)
            self.written(len(targets.entries))


def keep(
    spec: Spec,
    folder: Path,
    clock: Clock,
    listener: Listener,
    written: Callable[[int], None],
    is_ended: Callable[[], bool] = lambda: False,
    read_by: Sequence[SiteReader] | None = None,
) -> None:
    """Looks every LOOK_SECONDS until `is_ended`, and writes where something changed, or what is there is not ours."""
    looked = Discovery(readers(spec) if read_by is None else read_by, clock, listener)
    file = File(folder, spec.name, written)
    try:
        while not is_ended():
            if not looked.look(file):
                file.set_targets(file.targets())
            clock.sleep(LOOK_SECONDS)
    finally:
        looked.close()


def _reading(read: discovery.Read) -> discovery.Read:
    return lambda: _with_sidecar(read())


def _with_sidecar(targets: Sequence[TargetFacts]) -> Sequence[TargetFacts]:
    return [target for target in targets if not target.is_adopted]


def _entry(told: Mapping[str, Any]) -> TargetEntry:
    labels = told["labels"]
    scheme, [address] = labels.get("__scheme__", ""), told["targets"]
    release = labels.get("release")
    return TargetEntry(
        labels["target"],
        labels["site"],
        f"{scheme}://{address}" if scheme else address,
        labels["role"],
        int(release) if release is not None else None,
    )
