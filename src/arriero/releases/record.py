"""What the ledger remembers, as values and as the JSON that lies in the stores.

A release is a *record* (made once, when its number is taken, before any cloud is touched) and *notes* that are added to
it: how each deployment of it ended at each site, figures that a validation measured. `Release` is both together:

    number, epoch, service, at, who, commit
    spec         the resolved spec as JSON, secrets as bullets; `spec_of(release)` makes a Spec of it again
    image        as the spec's file has it; `digest` is the sha256:… that was deployed, empty where nobody could tell
    models       [{"name", "digest"}], digests as the running targets told them at the end
    definitions  site -> hash of what its targets are made from; equal hashes need no new release
    plan         what was to be done, a line a change
    sites        site -> SiteRelease: `task_definition` is the ECS "family:revision", `groups` are container groups
                 (Azure) or servers (local) by name
    figures      what validations added, oldest first
    state        begun (no end is known), done (all its sites), failed (some site failed)
    stores       the stores that hold the record: one name only means that the other has not acknowledged it
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast

from arriero.events import Json
from arriero.spec.model import Spec

SCHEMA = 1
Ended = Literal["done", "failed"]
State = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True)
class SiteRelease:
    """What stood at one site when a deployment of the release ended there."""

    site: str
    cloud: str
    region: str
    state: Ended
    targets: int = 0
    definition: str = ""
    task_definition: str = ""
    groups: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "groups": list(self.groups)}


@dataclass(frozen=True, slots=True)
class Record:
    """What is written when the number is taken. `token` tells our own record from another's of the same number."""

    number: int
    epoch: int
    service: str
    at: str
    who: str
    commit: str
    spec: Mapping[str, Json]
    image: str
    digest: str
    models: tuple[str, ...]
    definitions: Mapping[str, str]
    plan: tuple[str, ...]
    token: str

    @property
    def key(self) -> str:
        return f"releases/{self.number:08d}-{self.epoch:08d}.json"


@dataclass(frozen=True, slots=True)
class Note:
    """Added to a release later: `epoch` is the lease's under which it was written."""

    number: int
    epoch: int
    at: str
    who: str
    kind: Literal["ended", "figures", "promoted"]
    content: Mapping[str, Json]
    token: str

    @property
    def key(self) -> str:
        return f"notes/{self.number:08d}/{self.epoch:08d}-{self.token}.json"


@dataclass(frozen=True, slots=True)
class Release:
    """One release with all that was added to it; see this file's head."""

    number: int
    epoch: int
    service: str
    at: datetime
    who: str
    commit: str
    spec: Mapping[str, Json]
    image: str
    digest: str
    models: tuple[Mapping[str, str], ...]
    definitions: Mapping[str, str]
    plan: tuple[str, ...]
    sites: Mapping[str, SiteRelease] = field(default_factory=dict)
    figures: tuple[Mapping[str, Json], ...] = ()
    state: State = "begun"
    ended_at: datetime | None = None
    stores: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The document that `show --json` prints, without its `schema`."""
        return {
            "release": self.number,
            "service": self.service,
            "state": self.state,
            "at": self.at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "who": self.who,
            "commit": self.commit,
            "image": self.image,
            "digest": self.digest,
            "models": [dict(model) for model in self.models],
            "sites": {name: site.as_json() for name, site in self.sites.items()},
            "definitions": dict(self.definitions),
            "figures": [dict(figures) for figures in self.figures],
            "plan": list(self.plan),
            "spec": dict(self.spec),
            "epoch": self.epoch,
            "stores": list(self.stores),
        }


def spec_of(release: Release) -> Spec:
    """The release's resolved spec. Its secrets are not in the ledger: whoever needs them takes those of the file."""
    return Spec.model_validate({key: value for key, value in release.spec.items() if key != "secrets"})


def spec_json(spec: Spec) -> dict[str, Json]:
    """The spec as a record holds it; secrets are bullets."""
    found: dict[str, Json] = json.loads(spec.model_dump_json(by_alias=True))
    return found


def encoded(value: Record | Note) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(value)}, indent=1, sort_keys=True).encode()


def record_from(data: bytes) -> Record:
    """Raises ValueError, KeyError or TypeError where the bytes are no record."""
    found = _fields(data)
    return Record(**{**found, "models": tuple(found["models"]), "plan": tuple(found["plan"])})


def note_from(data: bytes) -> Note:
    return Note(**_fields(data))


def release_of(record: Record, notes: Sequence[Note], stores: tuple[str, ...] = ()) -> Release:
    """The record with its notes; of two that tell of one site the later one holds, by epoch and then by time. One of an
    earlier epoch than the record's is of another release, which had the same number and never counted.

    Only that it stood at a site once is not taken back by a later failure: else a way back that failed could not be
    tried again.
    """
    bare = {name: getattr(record, name) for name in _SHARED}
    release = Release(
        **bare,
        at=datetime.fromisoformat(record.at),
        models=tuple({"name": name, "digest": ""} for name in record.models),
        stores=stores,
    )
    own = [note for note in notes if note.epoch >= record.epoch]
    for note in sorted(own, key=lambda note: (note.epoch, note.at)):
        release = _with(release, note)
    return release


_SHARED = ("number", "epoch", "service", "who", "commit", "spec", "image", "digest", "definitions", "plan")


def _with(release: Release, note: Note) -> Release:
    content = cast("Mapping[str, Any]", note.content)
    if note.kind == "figures":
        return replace(release, figures=(*release.figures, note.content))
    if note.kind != "ended":
        return release
    told = {name: _site(site) for name, site in content["sites"].items()}
    stood = {name for name, site in release.sites.items() if site.state == "done"}
    told = {name: site for name, site in told.items() if not (name in stood and site.state == "failed")}
    sites = {**release.sites, **told}
    known = {**{m["name"]: m["digest"] for m in release.models}, **content["models"]}
    return replace(
        release,
        sites=sites,
        spec=content["spec"],
        definitions={**release.definitions, **{name: site.definition for name, site in told.items()}},
        models=tuple({"name": name, "digest": digest} for name, digest in known.items()),
        state="failed" if any(site.state == "failed" for site in sites.values()) else "done",
        ended_at=datetime.fromisoformat(note.at),
    )


def _site(found: Mapping[str, Any]) -> SiteRelease:
    return SiteRelease(**{**found, "groups": tuple(found["groups"])})


def _fields(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if found.pop("schema") != SCHEMA:
        raise ValueError("it was written by another version of arriero")
    return cast("dict[str, Any]", found)
