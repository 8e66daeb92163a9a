"""`ingress.nginx.run: here`: `up` puts nginx before the gateway, the controller keeps it, `down` ends it.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from places import Place, free_port, open_spec, wait_for

from arriero.control import keys as keys_file
from arriero.deploy.nginx import process
from arriero.rehearse.engine import text
from self_signed import issue, shown

pytestmark = [
    pytest.mark.story,
    pytest.mark.wide,
    pytest.mark.long,
    pytest.mark.skipif(process.program() is None, reason="nginx is not installed (Debian: nginx)"),
]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, max: 1}}
sites:
  desk: {{cloud: local, hosts: [127.0.0.1]}}
gateway: {{port: {gateway}, keys: keys.json}}
"""
TOKENS_A_SECOND = 5
NGINX = "ingress: {{nginx: {{run: here, port: {port}, tls: {{certificate: tls.crt, key: tls.key}}{more}}}}}\n"


@dataclass
class Front:
    """A project with an nginx before its gateway, and the key of a client."""

    place: Place
    port: int
    gateway: int
    key: str = ""

    def write(self, more: str | None = "") -> None:
        """The spec: with `more` in the section, or with None without it."""
        section = "" if more is None else NGINX.format(port=self.port, more=more)
        (self.place.folder / "arriero.yaml").write_text(SPEC.format(gateway=self.gateway) + section)

    def up(self) -> str:
        ended = self.place.arriero("up", "--yes")
        assert ended.code == 0, ended.err
        return ended.out + ended.err

    @property
    def told(self) -> Mapping[str, Any]:
        """What `status` says of nginx."""
        found: Mapping[str, Any] = self.place.arriero("status", "--json").json["nginx"]
        return found

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)

    def status_of(self, path: str, key: str | None = None) -> int:
        connection = self.connect()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key if key is None else key}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except OSError:
            return 0
        finally:
            connection.close()


@dataclass
class Stream:
    """One answer on its way, of so many seconds; `begun` is set with its first record, `end` waits for its last one."""

    front: Front
    seconds: int
    begun: threading.Event = field(default_factory=threading.Event)
    records: list[Any] = field(default_factory=list)
    fault: str = ""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self.begun.wait(30), self.fault

    def _read(self) -> None:
        connection = self.front.connect()
        tokens = self.seconds * TOKENS_A_SECOND
        body = {
            "model": "llama2",
            "raw": True,
            "options": {"temperature": 0, "num_predict": tokens},
            "prompt": prompt_for(tokens),
        }
        try:
            connection.request("POST", "/api/generate", json.dumps(body), {"Authorization": f"Bearer {self.front.key}"})
            for line in connection.getresponse():
                self.records.append(json.loads(line))
                self.begun.set()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.fault = repr(error)
        finally:
            connection.close()

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        self._thread.join(60)
        assert not self.fault
        assert self.records[-1]["done"] is True
        assert self.records[-1]["eval_count"] == self.seconds * TOKENS_A_SECOND


def prompt_for(tokens: int) -> str:
    """One whose answer is as long: the stage's engine ends answers by chance, but at temperature 0 always likewise."""
    prompts = (f"Tell story {number} at length" for number in range(10_000))
    return next(one for one in prompts if len(list(islice(text.speak(one, 0), tokens))) == tokens)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with contextlib.contextmanager(open_spec)(tmp_path_factory.mktemp("front"), "") as place:
        place.always["ARRIERO_ENGINE_PROFILE"] = json.dumps({"tokens_per_second": TOKENS_A_SECOND})
        yield Front(place, free_port(), free_port())
    assert left(place) == []


def left(place: Place) -> list[str]:
    """What runs in nginx's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == place.folder / ".arriero/nginx":
                found.append(entry.parent.name)
    return found


def test_what_is_missing_is_told_before_anything_is_deployed(front: Front) -> None:
    front.write()
    keys_file.write(front.place.folder / "keys.json", ())
    with socket.create_server(("127.0.0.1", front.port)):
        refused = front.place.arriero("up", "--yes")
    folder = front.place.folder
    assert refused.code == 1
    assert refused.err.splitlines()[-4:] == [
        "arriero.yaml:8: gateway.keys: keys.json holds no API key, and to the gateway whoever comes through nginx is "
        f"this machine; make one with: arriero keys add NAME --keys {folder}/keys.json",
        *(
            f"arriero.yaml:9: ingress.nginx.tls.{key}: there is no file tls.{end}; put it at {folder}/tls.{end}, or "
            "correct the path"
            for key, end in (("certificate", "crt"), ("key", "key"))
        ),
        f"arriero.yaml:9: ingress.nginx.port: somebody listens at 127.0.0.1:{front.port} already; name another port, "
        "or stop what listens there",
    ]
    assert left(front.place) == []


def test_up_puts_it_before_the_gateway(front: Front) -> None:
    issue(front.place.folder, 1)
    (front.place.folder / "keys.json").unlink()
    front.key = front.place.arriero("keys", "add", "app", "--keys", "keys.json", "--json").json["key"]
    plan = front.place.arriero("plan")
    assert plan.code == 2
    url = f"https://127.0.0.1:{front.port}"
    assert f"before the gateway here\n  + nginx {url}: nothing is there\n" in plan.out
    assert "at 1 site and the nginx here. To make them: arriero up" in plan.out
    assert front.place.arriero("plan", "--json").json["nginx"]["action"] == "create"
    assert f"Clients come through nginx at {url}" in front.up()
    assert front.told | {"url": url, "state": "running"} == front.told
    assert [front.status_of("/api/tags"), front.status_of("/api/tags", ""), front.status_of("/metrics")] == [
        200, 401, 404,
    ]  # fmt: skip
    pid = front.told["pid"]
    assert front.place.arriero("plan").code == 0
    assert "Nothing to do" in front.up()
    assert front.told["pid"] == pid
    assert f"nginx {url}" in front.place.arriero("status").out


def test_a_killed_one_is_started_again_and_its_open_streams_go_on(front: Front) -> None:
    pid, stream = front.told["pid"], Stream(front, 12)
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: front.told["state"] == "running" and front.told["pid"] != pid, 30)
    assert stream.is_open, "it ended too soon to show anything"
    assert front.status_of("/api/tags") == 200
    stream.end()
    assert front.place.arriero("plan").code == 0
    log = (front.place.folder / ".arriero/edge/controller.log").read_text()
    assert '"nginx.kept"' in log


def test_a_renewed_certificate_is_taken_up_by_itself(front: Front) -> None:
    assert shown(front.port) == 1
    issue(front.place.folder, 2)
    assert wait_for(lambda: shown(front.port) == 2, 30)
    assert front.place.arriero("plan").code == 0


def test_a_changed_spec_is_taken_up_and_open_streams_go_on(front: Front) -> None:
    pid, stream = front.told["pid"], Stream(front, 25)
    front.write(", limits: {requests_a_minute: 1, burst: 3}")
    plan = front.place.arriero("plan")
    assert plan.code == 2
    assert f"  ~ nginx https://127.0.0.1:{front.port}: its configuration differs: + limit_req_zone" in plan.out
    assert "1 change at the nginx here. To make them: arriero up" in plan.out
    front.up()
    assert stream.is_open, "it ended too soon to show anything"
    assert {front.status_of("/api/tags") for _ in range(6)} == {200, 429}
    stream.end()
    assert front.told["pid"] == pid
    front.write()
    front.up()


def test_it_is_led_to_a_gateway_that_had_to_give_way(front: Front) -> None:
    record = json.loads((front.place.folder / ".arriero/edge/edge.json").read_text())
    os.kill(record["gateway"]["pid"], signal.SIGKILL)
    assert wait_for(lambda: front.status_of("/api/tags") == 502, 10)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", front.gateway))
        other.listen()
        assert "took up its new configuration" in front.up()
        gateway = front.place.arriero("status", "--json").json["gateway"]["url"]
        assert gateway != f"http://127.0.0.1:{front.gateway}"
        assert front.status_of("/api/tags") == 200
        assert front.place.arriero("plan").code == 0


def test_without_its_section_it_goes_and_comes_back_with_it(front: Front) -> None:
    front.write(None)
    plan = front.place.arriero("plan")
    assert plan.code == 2
    assert f"  - nginx https://127.0.0.1:{front.port}: the spec wants none here" in plan.out
    front.up()
    assert (left(front.place), front.status_of("/api/tags")) == ([], 0)
    assert "nginx" not in front.place.arriero("status", "--json").json
    front.write()
    front.up()
    assert front.status_of("/api/tags") == 200


def test_down_lets_open_streams_end_and_leaves_nothing(front: Front) -> None:
    stream = Stream(front, 10)
    down = front.place.arriero("down", "--yes")
    assert down.code == 0, down.err
    stream.end()
    assert (left(front.place), front.status_of("/api/tags")) == ([], 0)
    with socket.create_server(("127.0.0.1", front.port)):
        pass
