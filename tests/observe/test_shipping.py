"""Lines go to a receiver that fails in every way: none is lost unseen, none waits without bound, no secret is told."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from log_receiver import Fault, Receiver, closed_port, receiving

from arriero.clock import ManualClock, SystemClock
from arriero.control.shipping import Shipped
from arriero.errors import ArrieroError
from arriero.events import Event
from arriero.observe.logs import following
from arriero.observe.logs.entry import Entry, Shown
from arriero.observe.logs.merging import Seen
from arriero.observe.shipping import headers
from arriero.observe.shipping.line import Labels
from arriero.observe.shipping.post import Post, form_of
from arriero.observe.shipping.running import BACK_FIRST, BACK_LIMIT, OVERLAP, Shipping, begin_at
from arriero.observe.shipping.shipper import WAIT_LIMIT_SECONDS, Memory, Shipper
from arriero.observe.shipping.waiting import Waiting
from arriero.plan.model import SiteRef

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "glc_a-key-that-nobody-may-see"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@dataclass
class Trial:
    """A shipper under a clock that moves by hand."""

    url: str
    protocol: str = "loki"
    headers_file: Path | None = None
    seconds: float = 5.0
    memory: Memory = field(default_factory=Memory)
    events: list[Event] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    labels: Labels = field(default_factory=lambda: Labels("llm"))

    def __post_init__(self) -> None:
        post = Post(form_of(self.protocol), self.url, self.headers_file, self.seconds)
        self.shipper = Shipper(post, self.clock, self.memory, self.events.append, random.Random(7))

    def put(self, *texts: str) -> None:
        for text in texts:
            self.memory.waiting.put(self.labels.line(Entry(AT, "a", "a-1", text)))

    def step(self) -> float:
        """The wait that it asks for, after which the clock stands."""
        wait = self.shipper.step()
        self.clock.sleep(wait)
        return wait

    @property
    def said(self) -> list[str]:
        return [f"{event.kind}: {event.fields['text']}" for event in self.events]


@pytest.mark.parametrize("protocol", ["loki", "otlp"])
def test_lines_arrive_in_order_and_are_counted(receiver: Receiver, protocol: str) -> None:
    trial = Trial(receiver.url, protocol)
    trial.put("one", "two")
    assert trial.step() == 1.0
    trial.put("three")
    trial.step()
    assert [got.text for got in receiver.got] == ["one", "two", "three"]
    assert trial.memory.shipped() == Shipped(sent=3)
    assert trial.memory.newest == AT
    assert trial.events == []
    trial.step()
    assert len(receiver.heads) == 2


@pytest.mark.parametrize("path", ["", "/tenant", "/tenant/loki/api/v1/push"])
def test_the_protocols_path_is_added_once(receiver: Receiver, path: str) -> None:
    trial = Trial(receiver.url + path)
    trial.put("one")
    trial.step()
    assert receiver.paths == ["/tenant/loki/api/v1/push" if path else "/loki/api/v1/push"]
    assert len(receiver.got) == 1


FAULTS = {
    "429": Fault(429, {"Retry-After": "7"}, b"rate limit exceeded"),
    "503": Fault(503, body=b"not ready"),
    "302": Fault(302, {"Location": "http://192.0.2.1/"}),
    "slow": Fault(slow_seconds=1.5),
    "cut": Fault(is_cut=True),
}


@pytest.mark.parametrize("protocol", ["loki", "otlp"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_batch_that_was_not_taken_is_sent_again_and_arrives_once(
    receiver: Receiver, name: str, protocol: str
) -> None:
    receiver.faults.append(FAULTS[name])
    trial = Trial(receiver.url, protocol, seconds=0.5)
    trial.put("one", "two")
    wait = trial.step()
    assert wait >= 7.0 if name == "429" else 0.5 <= wait <= 1.0
    assert trial.memory.shipped() == Shipped(failures=1, waiting=2)
    trial.put("three")
    trial.step()
    if name == "slow":  # It may have been taken after all, late.
        receiver.got[:] = receiver.got[-2:]
    assert [got.text for got in receiver.got] == ["one", "two"]
    trial.step()
    assert [got.text for got in receiver.got[-1:]] == ["three"]
    assert trial.memory.shipped() == Shipped(sent=3, failures=1)
    assert [event.kind for event in trial.events] == ["logs.unshipped", "logs.shipped"]


def test_nothing_is_tried_before_its_time() -> None:
    trial = Trial(f"http://127.0.0.1:{closed_port()}")
    trial.put("one")
    wait = trial.shipper.step()
    assert trial.memory.failures == 1
    trial.clock.sleep(wait / 2)
    assert trial.shipper.step() == pytest.approx(wait / 2)
    assert trial.memory.failures == 1


def test_the_wait_doubles_up_to_a_minute_and_is_said_once() -> None:
    trial = Trial(f"http://127.0.0.1:{closed_port()}")
    trial.put("one")
    waits = [trial.step() for _ in range(10)]
    for number, wait in enumerate(waits):
        most = min(WAIT_LIMIT_SECONDS, 2.0**number)
        assert most / 2 <= wait <= most
    [said] = trial.said
    assert "Connection refused" in said
    assert trial.memory.shipped() == Shipped(failures=10, waiting=1)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("90", 90, 90),
        ("100000", 300, 300),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 300, 300),
        ("soon", 0.5, 1),
        ("-1", 0.5, 1),
        (f"Fri, 01 Jan 2100 00:00:00 +{'9' * 20}", 0.5, 1),
    ],
)
def test_retry_after_is_kept_within_reason(receiver: Receiver, asked: str, least: float, most: float) -> None:
    receiver.faults.append(Fault(503, {"Retry-After": asked}))
    trial = Trial(receiver.url)
    trial.put("one")
    assert least <= trial.step() <= most


def test_a_refused_batch_is_lost_told_and_counted_and_the_next_one_goes(receiver: Receiver) -> None:
    receiver.faults.append(Fault(400, body=b"entry too far behind\x1b[2J"))
    trial = Trial(receiver.url)
    trial.put("one", "two")
    trial.step()
    trial.put("three")
    trial.step()
    assert [got.text for got in receiver.got] == ["three"]
    assert trial.memory.shipped() == Shipped(sent=1, refused=2)
    place = receiver.url.removeprefix("http://")
    assert trial.said == [
        f"logs.refused: {place} said 400: entry too far behind [2J",
        "logs.shipped: lines are taken again",
    ]


def test_lines_that_a_collector_took_in_part_are_counted_apart(receiver: Receiver) -> None:
    receiver.rejected = 2
    trial = Trial(receiver.url, "otlp")
    trial.put("one", "two", "three")
    trial.step()
    assert trial.memory.shipped() == Shipped(sent=1, refused=2)
    assert trial.said == ["logs.refused: 2 of 3 lines were not taken"]


def test_a_receiver_that_is_away_for_long_costs_the_oldest_lines_and_no_memory(receiver: Receiver) -> None:
    trial = Trial(receiver.url, memory=Memory(Waiting(lines_limit=100)))
    receiver.faults.append(Fault(503))
    trial.put(*(str(number) for number in range(80)))
    trial.step()
    trial.put(*(str(number) for number in range(80, 400)))
    assert trial.memory.shipped() == Shipped(dropped=220, failures=1, waiting=180)
    trial.step()
    trial.step()
    assert [got.text for got in receiver.got] == [*map(str, range(80)), *map(str, range(300, 400))]
    assert trial.memory.shipped() == Shipped(sent=180, dropped=220, failures=1)


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "loki.headers"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_key_goes_to_the_receiver_alone_and_a_new_one_needs_no_restart(receiver: Receiver, tmp_path: Path) -> None:
    path = key_file(tmp_path, f"# Grafana\nAuthorization: Bearer {KEY}\nX-Scope-OrgID: acme\n\n")
    trial = Trial(receiver.url, headers_file=path)
    receiver.faults.append(Fault(401, echoes=True))
    trial.put("one")
    trial.step()
    assert receiver.heads[0]["Authorization"] == f"Bearer {KEY}"
    assert receiver.heads[0]["X-Scope-OrgID"] == "acme"
    assert KEY not in str(trial.events) + repr(trial.shipper)
    assert "said 401" in trial.said[0]
    key_file(tmp_path, "Authorization: Bearer renewed\n")
    trial.step()
    assert receiver.heads[1]["Authorization"] == "Bearer renewed"
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("text", "mode", "what"),
    [
        (f"Authorization: {KEY}", 0o644, "loki.headers: logs.ship.headers_file: can be read by others; chmod 600 "),
        (f"\n{KEY}", 0o600, "loki.headers:2: logs.ship.headers_file: is no header line; write it like Authorization: "),
        (f"Auth orization: {KEY}", 0o600, "loki.headers:1: logs.ship.headers_file: is no header line; "),
        (f"Authorization: {KEY}\x00", 0o600, "loki.headers:1: logs.ship.headers_file: is no header line; "),
        (f"Authorization: é{KEY}", 0o600, "loki.headers:1: logs.ship.headers_file: is no header line; "),
        ("Content-Length: 3", 0o600, "loki.headers:1: logs.ship.headers_file: Content-Length is not yours to say; "),
        (None, 0o600, "loki.headers: logs.ship.headers_file: can't be read: No such file or directory; "),
    ],
)
def test_a_file_of_headers_that_is_none_is_told_without_its_words(
    receiver: Receiver, tmp_path: Path, text: str | None, mode: int, what: str
) -> None:
    path = key_file(tmp_path, text or "", mode)
    if text is None:
        path.unlink()
    with pytest.raises(ArrieroError) as refused:
        headers.read(path)
    assert what in str(refused.value)
    assert KEY not in str(refused.value)
    trial = Trial(receiver.url, headers_file=path)
    trial.put("one")
    trial.step()
    assert receiver.heads == []
    key_file(tmp_path, "Authorization: right\n")
    trial.step()
    assert len(receiver.got) == 1


def test_where_it_begins() -> None:
    assert begin_at(None, AT) == AT - BACK_FIRST
    assert begin_at(AT - timedelta(minutes=3), AT) == AT - timedelta(minutes=3) - OVERLAP
    assert begin_at(AT - timedelta(days=3), AT) == AT - BACK_LIMIT
    assert begin_at(AT + timedelta(minutes=3), AT) == AT - OVERLAP


@dataclass
class Spring:
    """Gives what it is told to, and waits for more until it is over."""

    shown: list[Shown]
    is_dry: threading.Event = field(default_factory=threading.Event)

    def lines(self, is_over: Callable[[], bool]) -> Iterator[Shown]:
        yield from self.shown
        self.is_dry.set()
        while not is_over():
            threading.Event().wait(0.01)
        yield Shown(Entry(AT, "a", "a-1", "the last"))


def shipping(spring: Spring, receiver: Receiver, memory: Memory, told: list[Any]) -> Shipping:
    shipper = Shipper(Post(form_of("loki"), receiver.url, seconds=2.0), SystemClock(), memory)
    return Shipping(spring.lines, Labels("llm"), shipper, SystemClock(), lambda *what: told.append(what), 0.0)


def some(count: int) -> list[Shown]:
    return [Shown(Entry(AT + timedelta(seconds=number), "a", "a-1", f"line {number}")) for number in range(count)]


def test_a_receiver_that_hangs_holds_up_no_line_and_none_is_lost_unseen(receiver: Receiver) -> None:
    receiver.faults.append(Fault(slow_seconds=1.0))
    memory, told, spring = Memory(Waiting(lines_limit=2_000)), [], Spring(some(20_000))
    running = shipping(spring, receiver, memory, told)
    running.start()
    # Whoever tells lines is not held up while the receiver hangs.
    assert spring.is_dry.wait(20)
    running.stop()
    running._threads[1].join(20)
    shipped, newest = told[-1]
    assert shipped.sent + shipped.dropped == 20_001
    assert shipped.sent == len(receiver.got) >= 2_000
    assert shipped.waiting == 0
    assert receiver.got[-1].text == "the last"
    assert newest == AT + timedelta(seconds=19_999)
    assert not [thread for thread in threading.enumerate() if "ship" in thread.name]


def test_what_could_not_be_sent_is_there_for_the_next_one(receiver: Receiver) -> None:
    memory = Memory()
    receiver.faults.extend(Fault(503) for _ in range(2))
    running = shipping(Spring(some(3)), receiver, memory, [])
    running.start()
    running.stop()
    assert memory.shipped().waiting == 4
    # The next one is to hear of what came after these.
    assert (memory.came, memory.newest) == (AT + timedelta(seconds=2), None)
    assert not running._threads[0].is_alive()
    receiver.faults.clear()
    again = Shipper(Post(form_of("loki"), receiver.url), SystemClock(), memory)
    while memory.shipped().waiting:
        again.step()
    assert [got.text for got in receiver.got] == ["line 0", "line 1", "line 2", "the last"]


def test_a_stop_does_not_wait_for_a_slow_receiver_and_the_next_one_does(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arriero.observe.shipping.running.FAREWELL_SECONDS", 0.1)
    receiver.faults.append(Fault(slow_seconds=1.5))
    memory = Memory()
    memory.waiting.put(Labels("llm").line(Entry(AT, "a", "a-1", "slowly")))
    running = shipping(Spring([]), receiver, memory, [])
    running.start()
    while not receiver.heads:
        threading.Event().wait(0.01)
    running.stop()
    assert running._threads[1].is_alive()
    memory.waiting.put(Labels("llm").line(Entry(AT, "a", "a-1", "after it")))
    again = Shipper(Post(form_of("loki"), receiver.url), SystemClock(), memory)
    while memory.shipped().waiting:
        again.step()
    running._threads[1].join(20)
    texts = [got.text for got in receiver.got if got.text != "the last"]
    assert texts == ["slowly", "after it"]


def test_who_follows_reads_no_cloud_any_more_when_it_is_over_and_knows_what_was_seen(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    told = {"at": SystemClock().now().isoformat(), "event": "request", "id": "r-1", "site": ""}
    log.write_text(json.dumps(told) + "\n")
    refs, seen, start = [SiteRef("nobody", "a", "local", "")], Seen(), SystemClock().now() - timedelta(minutes=1)
    over = threading.Event()

    def followed() -> Iterator[str]:
        over.clear()
        threading.Timer(0.5, over.set).start()
        for shown in following.followed(refs, start, log, seen, over.is_set):
            yield shown.entry.request

    assert list(followed()) == ["r-1"]
    assert not [thread for thread in threading.enumerate() if thread.name == "store of a"]
    with log.open("a") as more:
        more.write(json.dumps({**told, "id": "r-2"}) + "\n")
    assert list(followed()) == ["r-2"]
