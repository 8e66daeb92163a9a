"""What is under drill, as the drill sees it: the stage, this machine's gateway, the ledger. Wiring only."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from arriero.cli import deploying, failing_over
from arriero.cli.here import Here
from arriero.cli.progress import Progress
from arriero.cli.roles import order_of
from arriero.clouds import read
from arriero.control.client import GatewayError
from arriero.deploy import edge, engine, releasing, traffic
from arriero.drill.scenario import Strike
from arriero.errors import ArrieroError, Problem
from arriero.observe.status import model_digests
from arriero.plan import place, roles
from arriero.plan.model import Facts, Plan
from arriero.plan.roles import TrafficOrder
from arriero.rehearse.emulator import Fault
from arriero.rehearse.stage import Stage
from arriero.releases import opening
from arriero.releases.merging import NOTES, RECORDS, ROLES
from arriero.releases.store import Store, StoreError

KEPT = (RECORDS, NOTES, ROLES, "journal/", "schedule/")
_TOLD = ("roles.changed", "roles.waits", "roles.started", "roles.failed", "scale.out", "scale.in", "site.unread")
# What can be played on real sites.
BY_TRAFFIC = ("region-loss", "cloud-loss")
EXITS = "registry.example.com/drill/bad:exit-1"


@dataclass
class StageWorld:
    """The stage of the spec."""

    here: Here
    began: float = field(default_factory=time.time)
    was: Mapping[str, str] = field(default_factory=dict)
    is_bad: bool = False

    def strike(self, strike: Strike, until: float) -> Sequence[str]:
        fault = Fault(strike.cloud, strike.region, strike.kind, until=None if strike.is_short else until)
        try:
            return Stage(self.here.project.stage).fault(fault)
        except ArrieroError as error:
            return [f"nothing to strike: {error}"]

    def deploy_badly(self) -> str:
        """By the code of `up`, with an image whose servers end at once; in this process, so no file is changed."""
        self.is_bad = True
        spec = self.here.spec.model_copy(
            update={"image": self.here.spec.image.model_copy(update={"name": EXITS, "digest": "", "registries": {}})}
        )
        try:
            books, facts = deploying.read_world(self.here, None)
            bad = roles.applied(spec, order_of(self.here, books).order)
            accounts: dict[str, str] = {one.cloud: one.account for one in facts.sites.values() if one.account}
            wanted = place.plan(bad, facts)
            wish = releasing.Wish(bad, accounts, books, facts, wanted, _nobody_else, model_digests, written=spec)
            with contextlib.redirect_stderr(io.StringIO()), Progress((), as_json=False) as progress:
                run = engine.Run(self.here.project, self.here.endpoints.environment, progress)
                done = releasing.deploy(run, wish, 60.0)
        except ArrieroError as error:
            return f"the bad release was refused: {error}"
        problems = done.outcome.problems
        return f"release {done.release} failed: {problems[0]}" if problems else f"release {done.release} came up"

    def counts(self) -> Mapping[str, int] | None:
        client = edge.client(self.here.project)
        if client is None:
            return None
        try:
            targets = client.status().targets
        except GatewayError:
            return None
        found = dict.fromkeys(self.here.spec.sites, 0)
        for target in targets:
            found[target.site] = found.get(target.site, 0) + (target.state == "up")
        return found

    def records(self) -> Mapping[str, str]:
        first, *others = self._contents()
        return {key: content for key, content in first.items() if all(one.get(key) == content for one in others)}

    def held(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for content in self._contents():
            found |= content
        return found

    def retries(self) -> int:
        client = edge.client(self.here.project)
        text = client.figures() if client else ""
        lines = [line for line in text.splitlines() if line.startswith("arriero_retries_total")]
        return int(sum(float(line.rpartition(" ")[2]) for line in lines))

    def events(self) -> Sequence[tuple[float, str]]:
        found = []
        with contextlib.suppress(OSError):
            for line in (self.here.project.edge / "controller.log").read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    event = json.loads(line)
                    at = datetime.fromisoformat(event["at"]).timestamp()
                    if event["event"] in _TOLD and at >= self.began:
                        found.append((at, " ".join(filter(None, ("controller:", event["site"], event.get("text"))))))
        return found

    def put_back(self) -> Sequence[str]:
        done = []
        books = opening.read(self.here.spec, read.check_accounts(self.here.spec, self.here.endpoints))
        now = roles.standing(self.here.spec, order_of(self.here, books).order)
        where = (self.here.project.spec, self.here.project.overlay, self.here.is_staged)
        if dict(now) != dict(self.was):
            with contextlib.redirect_stdout(io.StringIO()):
                failing_over.failback(None, *where, yes=True)
            done.append(f"roles, which the controller had changed: {roles_words(now)}")
        if self.is_bad:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                deploying.up(*where, yes=True)
            done.append("the spec's own release")
        return done

    def pending(self) -> Sequence[str]:
        _, facts = deploying.read_world(self.here, None)
        books = opening.read(self.here.spec, read.check_accounts(self.here.spec, self.here.endpoints))
        wanted = place.plan(roles.applied(self.here.spec, order_of(self.here, books).order), facts)
        changes = [f"{change.site}: {change.name}" for site in wanted.sites for change in site.changes]
        unread = [str(problem) for problem in wanted.problems]
        return [f"arriero up ({', '.join(changes or unread)})"] if changes or unread else []

    def _contents(self) -> list[Mapping[str, str]]:
        books = opening.read(self.here.spec, read.check_accounts(self.here.spec, self.here.endpoints))
        return [_content(store) for store in books.ledger.stores] or [{}]


@dataclass
class TrafficWorld(StageWorld):
    """Real sites: the gateway here takes a site for lost, and sends its requests to the partner for a while."""

    former: TrafficOrder | None = None

    def strike(self, strike: Strike, until: float) -> Sequence[str]:
        if until < time.time():
            return self.put_back()
        sites = [
            n for n, site in self.here.spec.sites.items() if (site.cloud, site.region) == (strike.cloud, strike.region)
        ]
        return [line for site in sites for line in self._leave(site)]

    def deploy_badly(self) -> str:
        return "nothing is deployed on real sites"

    def put_back(self) -> Sequence[str]:
        if self.former is None:
            return []
        traffic.keep(self.here.project, self.former)
        self.former = None
        return ["requests go where they went"]

    def _leave(self, site: str) -> Sequence[str]:
        now = order_of(self.here, None)
        spec = roles.applied(self.here.spec, now.order)
        pair = roles.pair_of(spec, site)
        if pair is None or spec.sites[site].role == "standby" or spec.sites[roles.partner(pair, site)].role == "active":
            return [f"{site} has no standby, so its requests stay"]
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        wanted = roles.given_up(pair, site)
        self.former = self.former or now
        order = roles.ordered(self.here.spec, now.order, wanted, now.order.turn, releasing.who(), "a drill", at)
        traffic.keep(self.here.project, TrafficOrder(order, now.order.turn, is_own=True))
        return [f"requests of {site} go to {roles.partner(pair, site)}"]


def roles_words(now: Mapping[str, str]) -> str:
    return ", ".join(f"{site} was {role}" for site, role in now.items()) or "as written"


def _content(store: Store) -> Mapping[str, str]:
    try:
        keys = [key for key in store.names() if key.startswith(KEPT)]
        found = {key: store.read(key) for key in keys}
    except StoreError:
        return {}
    return {key: hashlib.sha256(each.data).hexdigest() for key, each in found.items() if each}


def _nobody_else() -> tuple[opening.Opened, Facts, Plan]:
    raise ArrieroError(Problem("another deployment came between", "drill where nobody deploys"))
