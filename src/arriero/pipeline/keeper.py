"""Holds the lease beside a playbook and keeps the release's record: `python -m arriero.pipeline.keeper`.

The request comes on stdin. Who runs: the main thread, which looks at the playbook ten times a second, and the lease's
own beat. It ends when it is asked to, or when the playbook is gone: then it reads the sites again and writes down what
stands. Where the lease is lost the playbook dies, with all that it started.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.clouds.local import process
from arriero.clouds.local.process import Process
from arriero.deploy import family, fleet, releasing
from arriero.deploy.engine import Outcome, Run
from arriero.deploy.plain import book
from arriero.deploy.plain.book import Book
from arriero.deploy.releasing import Wish
from arriero.errors import ArrieroError, Problem, Refused
from arriero.events import Event
from arriero.observe.status import model_digests
from arriero.plan.model import SitePlan
from arriero.releases.lease import Lease, lost

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Keeper:
    """One playbook at `sites`, and where what is said to it goes."""

    run: Run
    book: Book
    sites: Sequence[str]
    player: Process
    folder: Path

    def keep(self) -> None:
        try:
            world = fleet.read_world(Path(self.book.spec), self.book.overlay, os.environ, self.book.back_to)
            lease = releasing.take(world.opened.ledger, self.run, world.spec, "ansible-playbook")
        except ArrieroError as error:
            return self._say("begun", "", error.problems)
        try:
            lease.keep()
            self._under(lease, self._limited(world))
        finally:
            lease.release()

    def _under(self, lease: Lease, world: fleet.World) -> None:
        read_now = (world.accounts, world.opened, world.facts, world.plan)
        wish = Wish(world.spec, *read_now, _never, model_digests, written=world.written)
        try:
            self._refuse_what_changed(lease, world)
            left = releasing.unfinished(wish, lease)
            is_recorded = not world.plan.is_empty or lease.head.open is not None
            number = releasing.begin(self.run, wish, lease) if is_recorded else world.plan.release
        except ArrieroError as error:
            return self._say("begun", "", error.problems)
        self._say("begun", f"release {number}, under the lease of epoch {lease.epoch}{f'; {left}' if left else ''}")
        if not self._wait(lease):
            return self._say("ended", "", lost(lease.head).problems)
        problems = self._end(wish, lease, world, number) if is_recorded else ()
        return self._say("ended", f"release {number} stands", problems)

    def _end(self, wish: Wish, lease: Lease, world: fleet.World, number: int) -> Sequence[Problem]:
        """Writes down what stands now: a site is done where nothing is left to do."""
        try:
            after = read.read(world.spec, [site.site for site in world.plan.sites])
            now = replace(world.facts, sites={**world.facts.sites, **after.sites}, last=None)
            planned = world.again(now, [site.site for site in world.plan.sites])
            left = [problem for site in planned.sites for problem in _left(site)]
            done = frozenset(site.site for site in planned.sites if not _left(site))
            releasing.end(self.run, wish, lease, number, Outcome(done, tuple(left)), after)
        except ArrieroError as error:
            return error.problems
        return left

    def _wait(self, lease: Lease) -> bool:
        """Until the playbook says so or is gone; False where the lease was lost before, and the playbook with it."""
        while not (self.folder / "end").exists() and self.player.is_alive:
            if not lease.is_held:
                family.kill_tree(self.player.pid)
                return False
            self.run.clock.sleep(LOOK_SECONDS)
        return True

    def _refuse_what_changed(self, lease: Lease, world: fleet.World) -> None:
        known = (self.book.epoch, self.book.last, self.book.release)
        if known != (lease.epoch - 1, lease.head.last, world.plan.release):
            what = "another deployment came between the inventory and the lease"
            raise Refused(Problem(what, "run ansible-playbook again: it plans anew"))

    def _limited(self, world: fleet.World) -> fleet.World:
        """The plan at the playbook's sites only; stores were made before."""
        sites = tuple(site for site in world.plan.sites if site.site in self.sites)
        return replace(world, plan=replace(world.plan, sites=sites, stores=()))

    def _say(self, name: str, said: str, problems: Sequence[Problem] = ()) -> None:
        fresh = self.folder / f"{name}.new"
        fresh.write_text(json.dumps({"said": said, "problems": [dict(problem.as_json()) for problem in problems]}))
        fresh.replace(self.folder / f"{name}.json")


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    ours = Book.of(asked["book"])
    player = process.find(int(asked["player"]))
    if player is None:
        return
    run = Run(ours.project, os.environ, _noted, SystemClock())
    Keeper(run, ours, asked["sites"], player, book.folder(Path(ours.spec), player.pid)).keep()


def _left(site: SitePlan) -> Sequence[Problem]:
    if site.problem:
        return [replace(site.problem, key=f"sites.{site.site}")]
    return [
        Problem(f"{change.kind} {change.name}: {change.reason}", "run it again", key=f"sites.{site.site}")
        for change in site.changes
    ]


def _noted(event: Event) -> None:
    print(json.dumps(event.as_json(), default=str), flush=True)


def _never() -> Any:
    raise Refused(Problem("a playbook's plan is not made anew", "run ansible-playbook again"))


if __name__ == "__main__":
    main()
