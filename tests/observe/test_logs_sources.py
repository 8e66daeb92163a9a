"""Lines of the gateway's file, of local servers' files, and of sidecars that answer in all ways."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from arriero.clouds.local.logs import timed
from arriero.observe.logs import sources
from arriero.plan.model import TargetFacts

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def told(number: int) -> str:
    return json.dumps({"at": AT.isoformat(), "event": "request", "id": f"r-{number}", "boot": "b", "seq": number})


def ids(entries: object) -> list[str]:
    return [entry.request for entry in entries if entry is not None]  # type: ignore[attr-defined]


def test_a_gateways_file_is_read_on_from_where_it_was_read_to(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = sources.GatewayFile(path)
    assert file.fresh() == []
    path.write_text(told(1) + "\n" + told(2)[:30])
    assert ids(file.fresh()) == ["r-1"]
    with path.open("a") as more:
        more.write(told(2)[30:] + "\nno line of ours\n")
    assert ids(file.fresh()) == ["r-2"]
    assert file.fresh() == []


@pytest.mark.parametrize("how", ["moved", "cut"])
def test_a_file_that_begins_anew_is_read_from_its_start(tmp_path: Path, how: str) -> None:
    path = tmp_path / "access.log"
    path.write_text("".join(told(number) + "\n" for number in (1, 2)))
    file = sources.GatewayFile(path)
    assert ids(file.fresh()) == ["r-1", "r-2"]
    if how == "moved":
        path.rename(tmp_path / "access.log.1")
    path.write_text(told(3) + "\n")
    assert ids(file.fresh()) == ["r-3"]


def test_a_huge_file_is_read_from_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    one = told(1) + " " * 1000 + "\n"
    path.write_text(one * 5000 + told(2) + "\n")
    found = ids(sources.GatewayFile(path).fresh())
    assert found[-1] == "r-2"
    assert len(found) <= sources.READ_BYTES // len(one) + 1


def test_a_local_line_has_its_own_time_or_that_of_the_one_before() -> None:
    written = datetime(2026, 2, 1, tzinfo=UTC)
    ours = '{"at": "2026-01-01T12:00:01.000+00:00"}'
    texts = ["no time", "time=2026-01-01T13:00:00.500+01:00 level=INFO", "more of it", ours]
    assert [at for at, _ in timed(texts, written)] == [
        datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC),
    ]
    assert timed(["none", "time=never x"], written) == [(written, "none"), (written, "time=never x")]
    gin = "[GIN] 2026/01/01 - 12:00:00 | 200 |"
    [(at, _)] = timed([gin], written)
    assert at == datetime(2026, 1, 1, 12).astimezone(UTC)


@contextmanager
def answering(status: int, kind: str, body: bytes) -> Iterator[TargetFacts]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield TargetFacts("a-1", "a", "ready", f"127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


LINES = "application/x-ndjson"


def test_a_sidecars_lines_come_with_signs_of_life() -> None:
    body = f"{told(1)}\n\nnothing of ours\n{told(2)}\n".encode()
    with answering(200, LINES, body) as target:
        found = list(sources.followed(target))
        assert [entry.seq if entry else None for entry in found] == [1, None, None, 2]
        assert found[0] is not None
        assert (found[0].site, found[0].target, found[0].at) == ("a", "a-1", AT)
        assert [entry.seq for entry in sources.kept(target)] == [1, 2]


@pytest.mark.parametrize(("status", "kind"), [(404, "text/plain"), (403, LINES), (200, "text/html")])
def test_who_tells_no_lines_is_no_source(status: int, kind: str) -> None:
    with answering(status, kind, b"<html>") as target:
        with pytest.raises(sources.NoLines):
            list(sources.followed(target))
        assert sources.kept(target) == []


def test_a_target_that_is_gone_has_nothing_to_say() -> None:
    with answering(200, LINES, b"") as target:
        pass
    assert sources.kept(target) == []
    with pytest.raises(OSError, match="refused"):
        list(sources.followed(target))
