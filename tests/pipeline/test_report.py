"""What a service kept of its promises, out of lines as a gateway writes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.cli import main
from arriero.cost.money import Money
from arriero.errors import ArrieroError
from arriero.gateway.telling.record import Record
from arriero.pipeline.report import page, reading
from arriero.pipeline.report.report import Cost, Report, made
from arriero.pipeline.report.totals import NAMES_LIMIT, ROWS_MOST, Spread, Totals
from arriero.releases.record import Release

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def request(seconds: float, **values: object) -> str:
    """As a gateway writes it."""
    record = Record("r", "POST", "/api/chat")
    record.model, record.site, record.target, record.key = "m:latest", "a", "a-1", "app"
    record.status, record.attempts, record.is_stream = 200, 1, True
    record.tokens_in, record.tokens_out, record.first_byte_seconds, record.seconds = 7, 10, 0.2, 1.0
    for name, value in values.items():
        setattr(record, name, value)
    return record.line(at(seconds))


def turn(seconds: float, target: str, now: str) -> str:
    return json.dumps({"at": at(seconds), "event": "target", "target": target, "was": "x", "now": now, "why": "y"})


def report(folder: Path, lines: Iterable[str], releases: tuple[Release, ...] = (), cost: Cost | None = None) -> Report:
    log = folder / "access.log"
    log.write_text("".join(line + "\n" for line in lines))
    return made("llm", START, END, reading.read([log], START, END), releases, cost or Cost({}))


def test_the_promises_in_numbers(tmp_path: Path) -> None:
    good = [request(number) for number in range(1990)]
    late = [request(2000 + number, first_byte_seconds=8.0) for number in range(5)]
    bad = [request(3000 + number, outcome="failed", status=502, target="", site="") for number in range(5)]
    cut = [request(4000 + number, outcome="cut") for number in range(5)]
    others = [request(5000, outcome="gone"), request(5001, outcome="refused", status=429)]
    local = [request(6000 + number, target="", site="", model="") for number in range(500)]
    whole = report(tmp_path, [*good, *late, *bad, *cut, *others, *local]).totals.whole
    assert (whole.answered, whole.bad, whole.gone, whole.refused) == (1995, 10, 1, 1)
    assert whole.availability == pytest.approx(1995 / 2005)
    assert whole.error_budget_left == pytest.approx(1 - (10 / 2005) / 0.005)
    assert whole.in_time == pytest.approx(1 - 5 / 2007)
    assert whole.first_tokens.quantile(0.5) == pytest.approx(0.2, rel=0.021)
    assert whole.first_tokens.quantile(0.999) == pytest.approx(8.0, rel=0.021)


def test_lines_outside_the_time_and_lines_of_others_are_left_out(tmp_path: Path) -> None:
    lines = [request(-1), request(0), request(30 * 86_400 + 1), "words", '{"at": "2026-01-02T00:00:00 no', "{}"]
    assert report(tmp_path, lines).totals.whole.answered == 1


def test_several_files_are_one_and_packed_ones_are_unpacked(tmp_path: Path) -> None:
    plain, packed = tmp_path / "b.log", tmp_path / "a.log.gz"
    plain.write_text(request(100) + "\n")
    packed.write_bytes(gzip.compress((request(1) + "\n" + request(2) + "\n").encode()))
    assert [event.at for event in reading.read([packed, plain], START, END)] == [
        (START + timedelta(seconds=seconds)).timestamp() for seconds in (1, 2, 100)
    ]


@pytest.mark.parametrize("name", ["none.log", "bad.log.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.log.gz").write_bytes(b"not packed")
    with pytest.raises(ArrieroError, match=name):
        list(reading.read([tmp_path / name], START, END))


def test_a_burst_of_errors_is_one_incident(tmp_path: Path) -> None:
    good = [request(number * 10) for number in range(360)]
    bad = [request(900 + number, outcome="failed", status=502) for number in range(0, 600, 20)]
    single = [request(2000, outcome="failed", status=502)]
    [incident] = report(tmp_path, [*good, *bad, *single]).incidents
    assert (incident.kind, incident.start, incident.end) == (
        "errors",
        (START + timedelta(seconds=900)).timestamp(),
        (START + timedelta(seconds=1500)).timestamp(),
    )
    assert incident.what == "30 of 90 requests failed or were cut"


def test_a_site_is_down_while_none_of_its_targets_answers(tmp_path: Path) -> None:
    lines = [
        request(1, target="a-1"), request(1, target="a-2"), request(1, target="b-1", site="b"),
        turn(10, "a-1", "up"), turn(10, "a-2", "up"), turn(10, "b-1", "up"),
        turn(20, "a-1", "down"), turn(30, "a-2", "suspect"), turn(40, "a-2", "down"),
        turn(100, "a-1", "up"),
        turn(200, "b-1", "draining"),
        turn(300, "a-1", "down"),
    ]  # fmt: skip
    first, second = report(tmp_path, lines).incidents
    began = START.timestamp()
    assert (first.what, first.start - began, (first.end or 0) - began) == ("no target of a answered", 40, 100)
    assert (second.what, second.start - began, second.end) == ("no target of a answers", 300, None)


def test_a_process_that_died_is_an_incident(tmp_path: Path) -> None:
    [incident] = report(tmp_path, [json.dumps({"at": at(5), "event": "worker.lost", "requests": 3})]).incidents
    assert incident.what == "a gateway's process died with 3 requests open"


@given(st.lists(st.floats(0.0005, 1000), min_size=1, max_size=200), st.integers(1, 100))
def test_a_quantile_is_within_two_percent(values: list[float], part: int) -> None:
    spread = Spread()
    for value in values:
        spread.add(value)
    true = sorted(values)[max(0, -(-part * len(values) // 100) - 1)]
    found = spread.quantile(part / 100)
    assert found is not None
    assert true * 0.999 <= found <= true * 1.0201


@pytest.mark.parametrize("days", [0.01, 1, 30, 365, 4000])
def test_rows_are_as_many_as_a_plot_can_show(days: float) -> None:
    totals = Totals(0.0, days * 86_400)
    assert days * 86_400 / totals.row_seconds <= ROWS_MOST


def test_names_that_clients_make_up_are_counted_together(tmp_path: Path) -> None:
    totals = report(tmp_path, (request(number, model=f"made-up-{number}") for number in range(NAMES_LIMIT + 9))).totals
    assert len(totals.models) == NAMES_LIMIT + 1
    assert totals.models["other"].answered == 9


HOSTILE = "<script>x</script>|[a](http://b)`"


def release(number: int) -> Release:
    when = START + timedelta(days=number)
    return Release(number, 1, "llm", when, "who", "c0ffee", {}, "acme/llm:1", "", (), {}, (), state="done")


def whole(tmp_path: Path) -> Report:
    lines = [request(3600 * number, model=HOSTILE if number % 5 == 0 else "m:latest") for number in range(700)]
    lines += [request(90_000 + number, outcome="failed", status=502) for number in range(20)]
    spent = {"a": Money(Decimal("70.5")), "b": Money(Decimal("1.29"))}
    return report(tmp_path, lines, (release(2), release(40)), Cost(spent))


class Tags(HTMLParser):
    """What a page is made of; raises nothing, so what is open at the end is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    files = page.files(whole(tmp_path))
    tags = Tags()
    tags.feed(files["report.html"])
    assert tags.open == []
    assert (tags.addresses, "script" in tags.seen) == ([], False)
    assert tags.seen >= {"table", "svg", "polyline"}
    for name in ("requests", "errors", "first-token", "tokens"):
        assert f"({name}.svg)" in files["report.md"]
        assert files[f"{name}.svg"].startswith("<svg xmlns=")


def test_the_markdown_says_it_all_and_no_name_breaks_it(tmp_path: Path) -> None:
    text = page.files(whole(tmp_path))["report.md"]
    assert text.startswith("# llm, 2026-01-01 00:00 to 2026-01-31 00:00 UTC\n")
    assert "- Availability: 97.22% (promised 99.5%; -456% of the error budget is left)" in text
    assert "- Cost: $71.79, $9,970.83 a million tokens" in text
    assert "| 2 | 2026-01-03 00:00 | who | acme/llm:1 | done |" in text
    assert "| 2026-01-02 01:00 | 0:05:00 | 20 of 21 requests failed or were cut |" in text
    rows = [line for line in text.splitlines() if "script" in line]
    assert [line.replace("\\|", "").count("|") for line in rows] == [9]
    assert "\\<script\\>" in rows[0]


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    files = page.files(report(tmp_path, []))
    assert "- Availability: - (promised" in files["report.md"]
    assert "Nothing was released." in files["report.md"]
    assert "unknown" in files["report.md"]


def test_what_is_not_known_is_no_nought(tmp_path: Path) -> None:
    cost = Cost({"a": Money(Decimal(1)), "b": None}, ("azure: cannot be read",))
    found = report(tmp_path, [request(1)], cost=cost)
    assert found.cost.whole is None
    assert found.as_json()["spent"] == {"a": "1", "b": None}
    assert "Not known: azure: cannot be read" in page.files(found)["report.md"]


SPEC = "name: llm\nimage: acme/llm:1\nmodels: [llama2]\nsites: {here: {cloud: local, hosts: [127.0.0.1]}}\n"


def test_the_verb_writes_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "arriero.yaml").write_text(SPEC)
    now = datetime.now(UTC)
    (tmp_path / "old.log").write_text(request((now - START).total_seconds() - 60) + "\n")
    assert main.run(["report", "--since", "1h", "--log", "old.log", "--out", "out", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "out/report.json").read_text())
    assert (said["whole"]["answered"], list(said["sites"])) == (1, ["a"])
    assert (tmp_path / "out/report.html").exists()
    assert main.run(["report", "--since", "1h"]) == 1
    assert "name one with --log" in capsys.readouterr().err
    assert main.run(["report", "--since", "soon", "--log", "old.log"]) == 1
    assert "--since" in capsys.readouterr().err
