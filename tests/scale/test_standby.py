"""The loop that changes roles: two controllers with the real store's rules, and a model of what may befall them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from arriero.clock import ManualClock
from arriero.control.messages import GatewayStatus, TargetStatus
from arriero.events import Event
from arriero.plan.roles import RoleOrder, TrafficOrder, applied, newest, ordered, standing
from arriero.releases import roles as written
from arriero.releases.head import Holder, Open
from arriero.releases.lease import acquire
from arriero.releases.ledger import Ledger
from arriero.releases.store import Conflict, Found, StoreError
from arriero.releases.turns import Moments
from arriero.scale.standby import Standby
from arriero.spec.model import Role, Spec

EAST, WEST = "aws-east", "azure-east"
LEASE_SECONDS = 30.0
SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "registry.example.com/llm",
        "models": ["llama2"],
        "sites": {
            EAST: {"cloud": "aws", "region": "us-east-1"},
            WEST: {"cloud": "azure", "region": "eastus", "role": "standby"},
        },
        "failover": {"pairs": [{"sites": [EAST, WEST]}], "after": "30s", "quiet": "5m"},
    }
)
FORWARD: dict[str, Role] = {EAST: "standby", WEST: "active"}
BACK: dict[str, Role] = {EAST: "active", WEST: "standby"}


@dataclass
class World:
    """Two sites, the line between their clouds, and the ledger's store, which is at EAST."""

    elapsed: float = 0.0
    answers: dict[str, int] = field(default_factory=lambda: {EAST: 2, WEST: 1})
    is_cut: bool = False
    is_ledger_up: bool = True
    objects: dict[str, Found] = field(default_factory=dict)
    writes: int = 0

    def orders(self) -> list[RoleOrder]:
        found = [json.loads(self.objects[key].data) for key in sorted(self.objects) if key.startswith("roles/")]
        return [RoleOrder(**{name: told[name] for name in RoleOrder.__dataclass_fields__}) for told in found]


@dataclass
class Store:
    """The ledger's store as one controller reaches it."""

    world: World
    home: str
    name: str = "aws"

    def read(self, key: str) -> Found | None:
        self._reach()
        return self.world.objects.get(key)

    def create(self, key: str, data: bytes) -> str:
        self._reach()
        if key in self.world.objects:
            raise Conflict(key)
        return self._put(key, data)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        self._reach()
        if key not in self.world.objects or self.world.objects[key].tag != tag:
            raise Conflict(key)
        return self._put(key, data)

    def overwrite(self, key: str, data: bytes) -> None:
        self._put(key, data)

    def names(self, prefix: str = "") -> Sequence[str]:
        self._reach()
        return sorted(key for key in self.world.objects if key.startswith(prefix))

    def _put(self, key: str, data: bytes) -> str:
        self.world.writes += 1
        self.world.objects[key] = Found(data, str(self.world.writes))
        return str(self.world.writes)

    def _reach(self) -> None:
        if not self.world.is_ledger_up or (self.world.is_cut and self.home != EAST):
            raise StoreError("timed out")


@dataclass
class Clock(ManualClock):
    """Every controller's wall is its own; seconds pass for all alike."""

    world: World = field(default_factory=World)

    def monotonic(self) -> float:
        return self.world.elapsed

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.world.elapsed)


@dataclass
class Seat:
    """One controller beside one gateway, in the cloud of `home`."""

    world: World
    home: str
    spec: Spec = SPEC
    skew_days: int = 0
    kept: TrafficOrder | None = None
    events: list[Event] = field(default_factory=list)
    loop: Standby = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Also anew: what it had learnt is lost."""
        clock = Clock(start=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=self.skew_days), world=self.world)
        rights = Moments(self.ledger, self.home, LEASE_SECONDS, clock)
        self.loop = Standby(self.spec, self, rights, clock, self.home, listener=self.events.append)

    def ledger(self) -> Ledger:
        return Ledger(Store(self.world, self.home))

    def look(self) -> None:
        self.loop.look(self)

    # As a Book

    def read(self) -> RoleOrder | None:
        return written.read(self.ledger())

    def here(self) -> TrafficOrder | None:
        return self.kept

    def keep(self, known: TrafficOrder) -> None:
        self.kept = known

    # As an Edge

    def status(self) -> GatewayStatus:
        return GatewayStatus("llm", False, 0, tuple(t for site in (EAST, WEST) for t in self._targets(site)))

    def _targets(self, site: str) -> list[TargetStatus]:
        count = 0 if self.world.is_cut and site != self.home else self.world.answers[site]
        return [
            TargetStatus(f"{site}-{n}", site, "127.0.0.1:1", "up" if n < count else "down", "active", 1, 100, 0)
            for n in range(2)
        ]


def passed(world: World, seats: Sequence[Seat], seconds: float) -> None:
    end = world.elapsed + seconds
    while world.elapsed < end:
        world.elapsed += 2
        for seat in seats:
            seat.look()


@pytest.fixture
def world() -> World:
    return World()


def said(seat: Seat) -> list[str]:
    return [f"{event.kind}: {event.fields['text']}" for event in seat.events]


def test_a_lost_site_s_role_goes_once_though_two_controllers_decide(world: World) -> None:
    seats = [Seat(world, EAST), Seat(world, WEST, skew_days=-400)]
    passed(world, seats, 10)
    world.answers[EAST] = 0
    passed(world, seats, 600)
    (order,) = world.orders()
    assert (order.roles, order.by) == (FORWARD, EAST)
    assert order.why == "no target of aws-east has answered for 30 s"
    assert [seat.kept and seat.kept.order for seat in seats] == [order, order]
    assert said(seats[0])[-1].startswith("roles.changed: no target of aws-east has answered for 30 s: ")


def test_a_cut_between_the_clouds_lets_only_the_side_of_the_ledger_decide(world: World) -> None:
    roles: dict[str, Role] = {EAST: "standby", WEST: "active"}
    sites = {name: SPEC.sites[name].model_copy(update={"role": role}) for name, role in roles.items()}
    spec = SPEC.model_copy(update={"sites": sites})
    seats = [Seat(world, EAST, spec), Seat(world, WEST, spec)]
    passed(world, seats, 10)
    world.is_cut = True
    passed(world, seats, 120)
    assert [order.by for order in world.orders()] == [EAST], "it sees the active one in the other cloud no more"
    assert seats[1].kept is not None
    assert seats[1].kept.order.turn == 0, "the other side goes on as it was, and its own gateway with its own targets"
    world.is_cut = False
    passed(world, seats, 1000)
    assert len(world.orders()) == 1
    assert seats[1].kept.order == world.orders()[0]


def test_an_order_of_somebody_else_meanwhile_is_not_written_over(world: World) -> None:
    first, second = Seat(world, EAST), Seat(world, WEST)
    passed(world, [first, second], 10)
    world.answers[EAST] = 0
    passed(world, [second], 29)
    with first.loop.rights.turn("failback") as (ledger, lease):
        written.write(ledger, lease, ordered(SPEC, RoleOrder(), BACK, lease.epoch, "ann", "by hand", "now"))
    passed(world, [second], 60)
    assert [order.by for order in world.orders()] == ["ann"]
    assert any("roles were ordered by somebody else meanwhile" in line for line in said(second))


def test_while_somebody_deploys_roles_wait_and_a_dead_deployment_does_not_hold_them(world: World) -> None:
    seat = Seat(world, EAST)
    lease = acquire(Store(world, EAST), Holder("eve", "up", "now"), LEASE_SECONDS, seat.loop.clock, told=lambda _: None)
    lease.update(lambda head: replace(head, open=Open(1, 3, "eve", "then")))
    passed(world, [seat], 10)
    world.answers[EAST] = 0
    for _ in range(20):
        passed(world, [seat], 4)
        lease.beat()
    assert world.orders() == []
    assert any("a deployment is under way: eve (up)" in line for line in said(seat))
    passed(world, [seat], 2 * LEASE_SECONDS)
    assert [order.by for order in world.orders()] == [EAST], "eve died of what befell the site, and left it unfinished"


def test_without_the_ledger_roles_stay_and_change_when_it_is_back(world: World) -> None:
    seat = Seat(world, EAST)
    passed(world, [seat], 10)
    world.answers[EAST], world.is_ledger_up = 0, False
    passed(world, [seat], 300)
    assert world.orders() == []
    assert any("the ledger's authority store can't be reached" in line for line in said(seat))
    world.is_ledger_up = True
    passed(world, [seat], 4)
    assert len(world.orders()) == 1


def test_a_machine_s_own_order_of_traffic_holds_until_the_ledger_has_a_later_one() -> None:
    own = TrafficOrder(RoleOrder(4, FORWARD, BACK), after=4, is_own=True)
    assert newest(RoleOrder(4, BACK, BACK), own) == own
    assert newest(None, own) == own
    assert newest(RoleOrder(5, BACK, BACK), own).order.turn == 5
    known = TrafficOrder(RoleOrder(4, FORWARD, BACK), 4)
    assert newest(RoleOrder(3, BACK, BACK), known) == known, "a store that lags behind"


def test_roles_that_are_written_anew_into_the_spec_have_the_last_word() -> None:
    order = ordered(SPEC, RoleOrder(), FORWARD, 3, "ann", "", "")
    assert standing(SPEC, order) == FORWARD
    now = applied(SPEC, order)
    assert {name: site.role for name, site in now.sites.items()} == FORWARD
    assert [now.site(name).min for name in (EAST, WEST)] == [2, 1], "nobody starts or goes by it"
    assert now.ledger.authority == "aws"
    edited = SPEC.model_copy(
        update={"sites": {**SPEC.sites, WEST: SPEC.sites[WEST].model_copy(update={"role": "active"})}}
    )
    assert standing(edited, order) == {}


class TwoClouds(RuleBasedStateMachine):
    """Whatever fails, and whoever starts anew, in whatever order."""

    QUIET, BACK_AFTER = 300, 60

    def __init__(self) -> None:
        super().__init__()
        section = SPEC.failover.model_copy(update={"back_after": self.BACK_AFTER})
        spec = SPEC.model_copy(update={"failover": section})
        self.world = World()
        self.seats = [Seat(self.world, EAST, spec), Seat(self.world, WEST, spec, skew_days=900)]
        self.changed_at: list[float] = []
        self.silent: dict[tuple[str, str], float] = {}

    @rule(site=st.sampled_from([EAST, WEST]), count=st.sampled_from([0, 0, 1, 2]))
    def targets_come_or_go(self, site: str, count: int) -> None:
        self.world.answers[site] = count

    @rule(is_cut=st.booleans())
    def the_line_changes(self, is_cut: bool) -> None:
        self.world.is_cut = is_cut

    @rule(is_up=st.booleans())
    def the_ledger_changes(self, is_up: bool) -> None:
        self.world.is_ledger_up = is_up

    @rule(seat=st.sampled_from([0, 1]))
    def a_controller_starts_anew(self, seat: int) -> None:
        self.seats[seat].begin()

    @rule(seconds=st.sampled_from([2, 12, 40, 100]), is_reversed=st.booleans())
    def time_passes(self, seconds: int, is_reversed: bool) -> None:
        for _ in range(seconds // 2):
            self.world.elapsed += 2
            for seat in self.seats[:: -1 if is_reversed else 1]:
                for site in (EAST, WEST):
                    answers = any(target.state == "up" for target in seat._targets(site))
                    since = self.silent.setdefault((seat.home, site), self.world.elapsed)
                    self.silent[seat.home, site] = self.world.elapsed if answers else since
                seat.look()
                if len(self.world.orders()) > len(self.changed_at):
                    self.changed(seat)

    def changed(self, seat: Seat) -> None:
        orders = self.world.orders()
        assert len(orders) == len(self.changed_at) + 1, "two orders by one look"
        self.changed_at.append(self.world.elapsed)
        former = orders[-2].roles if len(orders) > 1 else BACK
        order = orders[-1]
        assert order.roles != former, "a failover twice"
        assert sorted(order.roles.values()) == ["active", "standby"]
        heir = next(site for site, role in order.roles.items() if role == "active")
        assert any(target.state == "up" for target in seat._targets(heir)), "it went to one who does not answer"
        if order.roles == FORWARD:
            assert not any(target.state == "up" for target in seat._targets(EAST)), "who serves loses no role"

    @invariant()
    def roles_never_flap(self) -> None:
        assert all(later - earlier >= self.QUIET for earlier, later in itertools.pairwise(self.changed_at))

    @invariant()
    def who_sees_the_ledger_goes_by_its_newest_order_soon(self) -> None:
        for seat in self.seats:
            if seat.kept is not None and self.world.orders():
                assert seat.kept.order in [RoleOrder(), *self.world.orders()]


TestTwoClouds = TwoClouds.TestCase
TestTwoClouds.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
