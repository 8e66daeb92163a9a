"""Debian's nginx as `up` runs it: open streams outlive what is done to it, and nothing outlives its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arriero.clock import SystemClock
from arriero.clouds.local import process as processes
from arriero.deploy.nginx import here, process
from arriero.deploy.nginx.wanted import Wanted, wanted
from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.pipeline.nginx import files
from arriero.spec.model import Spec
from behind import Behind
from self_signed import issue, shown

pytestmark = [
    pytest.mark.story,
    pytest.mark.wide,
    pytest.mark.skipif(process.program() is None, reason="nginx is not installed (Debian: nginx)"),
]
HOME = Path("../..")


@pytest.fixture
def one() -> Iterator[Behind]:
    with Behind("one").served() as behind:
        yield behind


@pytest.fixture
def two() -> Iterator[Behind]:
    with Behind("two").served() as behind:
        yield behind


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path / "arriero.yaml")
    yield project
    here.stop(project)
    assert standing(project) == []


def standing(project: Project) -> list[str]:
    """What runs in nginx's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == project.nginx.resolve() and processes.find(int(entry.parent.name)):
                found.append(entry.parent.name)
    return found


def wish(project: Project, port: int, behind: Behind, drain_seconds: float = 20.0, **values: Any) -> Wanted:
    spec = Spec.model_validate(
        {
            "name": "llm",
            "image": "acme/llm",
            "models": ["phi"],
            "sites": {"desk": {"cloud": "local", "hosts": ["127.0.0.1"]}},
            "ingress": {"nginx": {"run": "here", "port": port, "without_keys": True, **values}},
        }
    )
    assert spec.ingress.nginx
    [text] = files.files(spec, HOME, behind.address).values()
    return wanted(project, spec, spec.ingress.nginx, text, drain_seconds)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/version")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def stream(port: int) -> http.client.HTTPResponse:
    """One that has begun: its first piece has been read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/api/generate", json.dumps({"model": "phi"}))
    found = connection.getresponse()
    assert found.read(3) in (b"one", b"two")
    return found


def test_an_open_stream_outlives_a_new_configuration(project: Project, one: Behind, two: Behind) -> None:
    port = free_port()
    started = here.ensure(project, wish(project, port, one))
    assert started
    assert (started.action, started.name) == ("create", f"http://127.0.0.1:{port}")
    assert (answer(port), here.ensure(project, wish(project, port, one))) == ("one", None)
    running, opened = here.find(project), stream(port)
    assert running
    changed = here.ensure(project, wish(project, port, two))
    assert changed
    assert (changed.action, changed.reason) == (
        "update",
        f"its configuration differs: + server {two.address} max_fails=2 fail_timeout=5s;",
    )
    assert answer(port) == "two"
    one.go_on.set()
    assert opened.read() == b"end"
    now = here.find(project)
    assert now
    assert now.master == running.master


def test_a_killed_master_is_followed_by_another_and_its_streams_go_on(project: Project, one: Behind) -> None:
    port = free_port()
    here.ensure(project, wish(project, port, one))
    running, opened = here.find(project), stream(port)
    assert running
    assert here.keep(project) == ""
    workers = process.crew(project.nginx, running.master)
    running.master.signal(signal.SIGKILL)
    process.end((running.master,), 5)
    pending = here.pending(project, wish(project, port, one))
    assert here.find(project) is None
    assert pending
    assert pending.reason == "its process has ended"
    assert here.keep(project) == f"nginx had ended and was started again at http://127.0.0.1:{port}"
    now = here.find(project)
    assert now
    assert now.master != running.master
    # Those whose master died serve nobody new, and whoever waits for the end waits for them, too.
    assert set(now.leaving) <= set(workers)
    assert any(worker.is_alive for worker in now.leaving)
    assert answer(port) == "one"
    one.go_on.set()
    assert opened.read() == b"end"
    assert here.pending(project, wish(project, port, one)) is None


def test_a_log_that_is_cut_where_it_stands_is_gone_on_with(project: Project, one: Behind) -> None:
    port, log = free_port(), project.nginx / "access.log"
    here.ensure(project, wish(project, port, one))
    for _ in range(2):
        answer(port)
    _until(lambda: len(log.read_text().splitlines()) == 2)
    os.truncate(log, 0)
    answer(port)
    _until(lambda: log.read_bytes().endswith(b"\n"))
    [line] = log.read_bytes().splitlines()
    assert json.loads(line)["path"] == "/api/version"


def _until(is_so: Callable[[], bool]) -> None:
    """nginx writes a line after its request: five seconds at most."""
    clock = SystemClock()
    deadline = clock.monotonic() + 5
    while not is_so():
        assert clock.monotonic() < deadline
        clock.sleep(0.02)


def test_another_address_of_its_port_is_had_by_a_new_master(project: Project, one: Behind) -> None:
    port = free_port()
    here.ensure(project, wish(project, port, one))
    opened = stream(port)
    moved = wish(project, port, one, address="0.0.0.0", trusted_proxies=["10.0.0.1"])
    assert here.obstacles(project, _nginx(port, "0.0.0.0")) == ()
    changed = here.ensure(project, moved)
    assert changed
    assert changed.action == "replace"
    assert answer(port) == "one"
    one.go_on.set()
    assert opened.read() == b"end"


def _nginx(port: int, address: str) -> Any:
    from arriero.spec.ingress import Nginx

    return Nginx.model_validate({"run": "here", "port": port, "address": address})


def test_what_nginx_does_not_take_changes_nothing(project: Project, one: Behind) -> None:
    port, wrong = free_port(), "events {}\nhttp { kolor red; }\n"
    here.ensure(project, wish(project, port, one))
    before = (project.nginx / "nginx.conf").read_text()
    good = wish(project, port, one)
    with pytest.raises(ArrieroError, match=r'does not take its configuration: unknown directive "kolor"'):
        here.ensure(project, Wanted(wrong, good.url, good.doors, (), 5.0))
    assert (answer(port), (project.nginx / "nginx.conf").read_text()) == ("one", before)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(ArrieroError, match=rf"bind\(\) to 127.0.0.1:{taken} failed \(98: Address already in use\)"):
            here.ensure(project, wish(project, taken, one))
    assert (answer(port), (project.nginx / "nginx.conf").read_text()) == ("one", before)
    assert here.pending(project, good) is None


def test_a_port_that_somebody_took_meanwhile_is_told(project: Project, one: Behind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ArrieroError, match=rf"bind\(\) to 127.0.0.1:{port} failed \(98: Address already in use\)"):
            here.ensure(project, wish(project, port, one))


def test_a_renewed_certificate_is_shown_without_anybody_s_doing(project: Project, one: Behind) -> None:
    port, tls = free_port(), {"certificate": "tls.crt", "key": "tls.key"}
    issue(project.folder, 1)
    here.ensure(project, wish(project, port, one, tls=tls))
    assert (shown(port), here.keep(project)) == (1, "")
    (project.folder / "tls.crt").write_text("half of it")
    with pytest.raises(ArrieroError, match=r"does not take its configuration: cannot load certificate"):
        here.keep(project)
    assert shown(port) == 1
    issue(project.folder, 2)
    assert here.keep(project) == "nginx read its renewed certificates"
    assert shown(port) == 2
    assert here.keep(project) == ""


def test_at_its_end_streams_have_their_time_and_no_more(project: Project, one: Behind) -> None:
    port = free_port()
    here.ensure(project, wish(project, port, one))
    opened = stream(port)
    ending = threading.Thread(target=here.stop, args=(project,))
    ending.start()
    refused = threading.Event()
    while not refused.is_set():
        try:
            answer(port)
        except OSError:
            refused.set()
    assert ending.is_alive()
    one.go_on.set()
    assert opened.read() == b"end"
    ending.join(10)
    assert (standing(project), here.pending(project, None)) == ([], None)
    one.go_on.clear()
    here.ensure(project, wish(project, port, one, drain_seconds=0.2))
    opened = stream(port)
    here.stop(project)
    with pytest.raises(http.client.IncompleteRead):
        opened.read()
    assert standing(project) == []
    # The controller starts none that was ended.
    assert here.keep(project) == ""
