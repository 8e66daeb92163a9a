"""What alerts change of the counts that were decided: sites that their cloud wakes us for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arriero.scale.alarms import Alarms, Bounds
from arriero.scale.sharing import Room
from arriero.scale.telling import SiteView


def by_alarms(
    alarms: Alarms, now: float, views: Sequence[SiteView], rooms: Sequence[Room], sized: Mapping[str, int]
) -> tuple[dict[str, int], str]:
    """The counts with those of the sites that alerts scale, and why these are what they are; `now` in seconds."""
    found, said = dict(sized), list[str]()
    for view, room in zip(views, rooms, strict=True):
        if not view.is_alarmed or view.is_kept_as_it_is:
            continue
        site = view.site
        most = room.most if room.most < site.max else site.max
        bounds = Bounds(site.min, most, float(site.cooldown.out), float(site.cooldown.in_))
        found[site.name], why = alarms.wish(site.name, now, view.count, view.watched, tuple(site.track.goals), bounds)
        said += [why] if why else []
    return found, "; ".join(said)
