"""The way back to a release that stood before: which one, whether it can stand again, and the plan that leads there.

Everything that can't be right is found before anything is touched, and told at once. A site that can't be read is no
reason to leave the others where they are: it is told as not done, and gone back at when it can be read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from arriero.errors import Problem, Refused
from arriero.plan import place, roles
from arriero.plan.model import Cloud, Facts, Plan, SiteFacts
from arriero.plan.place import Former
from arriero.releases.ledger import Ledger
from arriero.releases.record import Release, SiteRelease, spec_of
from arriero.spec.model import Role, Spec

STABLE = "stable"
# Of a release's own spec these are not taken back: they say who may act and where clients ask.
OF_NOW = ("accounts", "credentials", "failover", "gateway", "ingress", "ledger", "rehearse", "secrets")

# Why an image can't be pulled any more; empty where it can, or where nobody can tell.
Gone = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Return:
    """A release, the spec that it was but for what belongs to now, and what stood where when it ran: what it left as it
    was stands in the record of an older one. `written` is the spec without roles that were ordered since, if any were.
    """

    release: Release
    spec: Spec
    stood: Mapping[str, tuple[int, SiteRelease]]
    written: Spec | None = None

    def plan(self, facts: Facts, only: Collection[str] | None) -> Plan:
        former = {
            name: Former(number, site.definition, site.task_definition)
            for name, (number, site) in self.stood.items()
            if site.state == "done"
        }
        readable = {name: self._with_remedy(found) for name, found in facts.sites.items()}
        return place.plan_again(self.spec, replace(facts, sites=readable), self.release.number, former, only)

    def _with_remedy(self, found: SiteFacts) -> SiteFacts:
        if found.problem is None:
            return found
        remedy = f"then run arriero rollback {self.release.number} --site {found.site}"
        what = f"not gone back: {found.problem.what}"
        return replace(found, problem=replace(found.problem, what=what, remedy=_both(found.problem.remedy, remedy)))


def found(books: Ledger, wanted: str, running: int | None, now: Spec) -> Return:
    """The release that `wanted` names: a number, `stable`, or (empty) the one before what runs. Raises Refused."""
    release = _named(books, wanted, running)
    own = spec_of(release).model_copy(update={name: getattr(now, name) for name in OF_NOW})
    stood: dict[str, tuple[int, SiteRelease]] = {}
    for each in books.releases():
        if each.number <= release.number:
            stood |= {name: (each.number, site) for name, site in each.sites.items() if name in own.sites}
    return Return(release, own, stood)


def with_roles(way: Return, ordered: Mapping[str, Role]) -> Return:
    """The way back with the roles that hold now: a release is no order about who is active."""
    return replace(way, spec=roles.with_changed(way.spec, ordered), written=way.spec)


def refuse_what_cannot_be(way: Return, facts: Facts, only: Collection[str] | None, gone: Gone) -> None:
    """Raises Refused with every reason why the release can't stand again at these sites.

    Of those that can't be read nobody knows, so they are none, unless no site can be read at all.
    """
    names = list(only or way.spec.sites)
    unread = {name: found.problem for name in names if (found := facts.sites.get(name)) and found.problem}
    if len(unread) == len(names):
        raise Refused([replace(problem, key=f"sites.{name}") for name, problem in unread.items()])
    problems = [problem for name in names for problem in _objections(way, name, facts.sites.get(name))]
    problems += _images_gone(way, [name for name in names if name in way.spec.sites and name not in unread], gone)
    if problems:
        raise Refused(problems)


def _images_gone(way: Return, names: Sequence[str], gone: Gone) -> Iterator[Problem]:
    """Each registry is asked that one of these sites pulls from: that of one cloud may be gone and the other's not."""
    clouds: dict[str, Cloud] = {}
    for name in names:
        clouds.setdefault(way.spec.site(name).image, way.spec.sites[name].cloud)
    found = {image: why for image in clouds if (why := gone(image))}
    elsewhere = f"choose other sites with --site, or {_ANEW}" if len(found) < len(clouds) else _ANEW
    for image, why in found.items():
        key = f"image.registries.{clouds[image]}" if clouds[image] in way.spec.image.registries else "image"
        yield Problem(f"the image of release {way.release.number} is gone: {why}", elsewhere, key=key)


_ANEW = "deploy what it was as a new release: arriero show has its spec"


def _named(books: Ledger, wanted: str, running: int | None) -> Release:
    releases = {release.number: release for release in books.releases()}
    if not releases:
        raise Refused(Problem("nothing was released yet", "there is nothing to go back to"))
    if wanted == STABLE:
        return _stable(books, releases)
    if not wanted:
        return _before(list(releases.values()), running)
    if not wanted.isdecimal() or not int(wanted):
        raise Refused(Problem(f"{wanted[:40]} is no release", "give its number, or: stable"))
    if int(wanted) not in releases:
        known = f"there are {min(releases)} to {max(releases)}: arriero history"
        raise Refused(Problem(f"there is no release {wanted}", known))
    return releases[int(wanted)]


def _stable(books: Ledger, releases: dict[int, Release]) -> Release:
    number = books.head().stable
    if number is None or number not in releases:
        raise Refused(Problem("no release is stable yet", "promote one first: arriero promote N; or give a number"))
    return releases[number]


def _before(releases: Sequence[Release], running: int | None) -> Release:
    former = [release for release in releases if release.state == "done" and release.number < (running or 0)]
    if not former:
        what = f"no release before {running} ended well" if running else "nothing runs"
        raise Refused(Problem(what, "see: arriero history"))
    return former[-1]


def _objections(way: Return, name: str, there: SiteFacts | None) -> Iterator[Problem]:
    key, number = f"sites.{name}", way.release.number
    _, stood = way.stood.get(name, (0, None))
    if stood is None:
        yield Problem(f"release {number} never was at {name}", "choose other sites with --site", key)
    elif stood.state != "done":
        yield Problem(f"release {number} failed at {name}, so there is no way back to it", "see: arriero history", key)
    elif there is None:
        why = "it is not in the spec any more"
        yield Problem(f"{name} can't be gone back at: {why}", "choose other sites with --site", key)
    elif there.problem:
        return
    elif not there.resources:
        yield Problem(f"nothing stands at {name}", _ANEW, key)
    elif stood.cloud == "aws":
        yield from _revision_gone(stood, there, number, key)


def _both(first: str, second: str) -> str:
    return f"{first}; {second}" if first else second


def _revision_gone(stood: SiteRelease, there: SiteFacts, number: int, key: str) -> Iterator[Problem]:
    definition = there.find("aws.task_definition")
    active = cast("tuple[str, ...]", definition.details["revisions"]) if definition else ()
    if stood.task_definition not in [arn.rpartition("/")[2] for arn in active]:
        what = f"the task definition {stood.task_definition} of release {number} is not ACTIVE any more"
        yield Problem(what, _ANEW, key)
