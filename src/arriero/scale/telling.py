"""What the controller sees of a site, and what it tells of its decisions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from arriero.clouds.scaling import Standing
from arriero.control.messages import TargetStatus
from arriero.events import Json
from arriero.plan.wanted.azure_alerts import watched
from arriero.scale.sharing import Room
from arriero.spec.model import ResolvedSite


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site as its cloud and the gateway tell of it. `standing` is None where its cloud can't be asked (`unread`
    says why) or nobody scales it. `creations` may be made there now; `failed`: why it did not do what was asked.
    """

    site: ResolvedSite
    cost: float
    standing: Standing | None
    targets: tuple[TargetStatus, ...]
    creations: int = 0
    is_asleep: bool = False
    unread: str = ""
    failed: str = ""
    least: int = 0
    """The spec's `min`, and what its hours ask for now."""

    @property
    def is_alarmed(self) -> bool:
        """Whether its cloud's alerts say how many run there, and we start and stop them."""
        return self.site.scale_by == "cloud" and self.site.cloud == "azure"

    @property
    def is_kept_as_it_is(self) -> bool:
        """Whether nothing may be changed there, whoever scales it."""
        return self.standing is None or self.is_asleep or not self.site.min <= self.standing.count <= self.site.max

    @property
    def watched(self) -> tuple[str, ...]:
        """Those that alerts watch, which never leave: the plan's own choice of as many as the least number."""
        if self.standing is None or not self.is_alarmed:
            return ()
        return watched([target.id for target in self.standing.targets], self.site.min)

    @property
    def leaving(self) -> tuple[TargetStatus, ...]:
        """Those that were told to drain, and that the cloud still counts."""
        return tuple(target for target in self._counted if target.weight == 0)

    @property
    def staying(self) -> tuple[TargetStatus, ...]:
        return tuple(target for target in self._counted if target.weight > 0)

    @property
    def count(self) -> int:
        """How many run or start, without those that leave; where the cloud can't be asked, those that answer."""
        if self.standing is None:
            return sum(target.state in ("up", "suspect") for target in self.targets)
        return max(0, self.standing.count - len(self.leaving))

    @property
    def ready(self) -> int:
        """How many answer, without a standby's warm reserve."""
        up = sum(target.state == "up" for target in self.targets)
        return max(0, up - self.site.min) if self.site.role == "standby" else up

    @property
    def warm(self) -> int | None:
        """How many have the models in memory that fit there; None where the spec does not ask for it."""
        if not self.site.warm:
            return None
        needed = {model.name for model in self.site.models[: self.site.ollama.max_loaded_models]}
        return sum(target.state == "up" and needed <= set(target.resident) for target in self.staying)

    @property
    def _counted(self) -> tuple[TargetStatus, ...]:
        known = {target.id for target in self.standing.targets} if self.standing else set()
        return tuple(target for target in self.targets if target.id in known)


def room_of(view: SiteView) -> Room:
    site, standing = view.site, view.standing
    why = _fixed_why(view)
    most = site.max
    if standing is not None and standing.creates:
        most = min(most, view.count + view.creations)
    limit = ""
    obstacle = view.failed or (standing.obstacle if standing is not None else "")
    if not why and obstacle:
        most, limit = view.count, f"no more are started: {obstacle}"
    elif not why and most < site.max:
        limit = f"its cloud's quota of creations leaves {view.creations} now"
    if standing is not None and standing.unplaced:
        here = f"no Spot capacity for {standing.unplaced}, {len(standing.stand_ins)} on demand stand in"
        why, limit = (f"{why}; {here}", "") if why else ("", "; ".join(filter(None, (limit, here))))
    return Room(
        site=site.name,
        count=view.count,
        min=max(site.min, view.least),
        max=site.max,
        most=most,
        cost=view.cost,
        is_standby=site.role == "standby",
        is_fixed=bool(why),
        why=why or limit,
    )


def _fixed_why(view: SiteView) -> str:
    """Why nobody changes this site's count; empty where the controller may."""
    site, standing = view.site, view.standing
    if site.scale_by == "hand":
        return "scale.by: hand"
    if site.scale_by == "cloud" and not (site.cloud == "azure" and view.is_kept_as_it_is):
        goals = ", ".join(f"{name} at {goal:g}" for name, goal in site.track.goals.items())
        return f"its cloud's alerts scale it: {goals}" if site.cloud == "azure" else f"its cloud scales it: {goals}"
    if view.is_asleep:
        return "off hours"
    if view.unread:
        return f"it can't be read: {view.unread}"
    if standing is None:
        return "its targets are started by arriero up only"
    if not site.min <= standing.count <= site.max:
        return f"{standing.count} are asked for, outside of {site.min} to {site.max}: arriero up sets that right"
    return ""


@dataclass(frozen=True, slots=True)
class SiteReport:
    """`count` run or start at the site, `wanted` should; `why` is said where something of its own limits it. `warm` of
    them have the site's models in memory, as far as they have room; None where nobody asks for that.
    """

    site: str
    count: int
    wanted: int
    why: str = ""
    warm: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One round. `paused` says why nothing is done now; `reason` why so many are wanted, `need` what the load asks for
    before limits. `open` and `waiting` are requests.
    """

    at: datetime
    paused: str
    reason: str
    need: int
    is_burst: bool
    open: int
    waiting: int
    sites: tuple[SiteReport, ...]

    def as_json(self) -> dict[str, Json]:
        data: dict[str, Any] = {**asdict(self), "at": self.at.isoformat(timespec="seconds")}
        return {**data, "sites": [asdict(site) for site in self.sites]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Raises KeyError, TypeError or ValueError for another version's."""
        sites = tuple(SiteReport(**site) for site in data["sites"])
        known = {key: data[key] for key in ("paused", "reason", "need", "is_burst", "open", "waiting")}
        return cls(at=datetime.fromisoformat(data["at"]), sites=sites, **known)
