"""Clients that stream from a gateway, and count for themselves what was lost or cut; one that asks a single time."""

from __future__ import annotations

import http.client
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from places import Place, wait_for


@dataclass
class Burst:
    """Clients that stream without a pause until they are told to end; independent of the product's own counts."""

    port: int
    answers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int) -> None:
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(self._stream(f"Tell story {number} at length"))
            except (OSError, http.client.HTTPException, ValueError, KeyError, AssertionError) as error:
                self.faults.append(repr(error))

    def _stream(self, prompt: str) -> str:
        """The target that answered, once the stream has come to its own end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        body = {"model": "llama2", "prompt": prompt, "options": {"num_predict": 120}}
        connection.request("POST", "/api/generate", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        last = json.loads(answer.read().splitlines()[-1])
        assert last["done"] is True, last
        assert not [key for key in last if "migrat" in key or key == "error"], last
        target = answer.getheader("X-Arriero-Target")
        connection.close()
        return str(target)


def ask(port: int, request: str) -> tuple[int, str]:
    """Under this id: the status, and the site that answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        body = {"model": "llama2", "prompt": f"Tell {request}", "options": {"num_predict": 4}, "stream": False}
        connection.request("POST", "/api/generate", json.dumps(body), {"X-Request-Id": request})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Arriero-Site", "")
    finally:
        connection.close()


def figure(url: str, name: str) -> float:
    """What the gateway tells of it, summed over its labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        rows = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, rows))


def counts(place: Place) -> dict[str, int]:
    """Targets that are ready, by site."""
    sites = place.arriero("status", "--json").json["sites"]
    return {site["name"]: sum(target["state"] == "ready" for target in site["targets"]) for site in sites}


def brought_up(place: Place) -> Iterator[Burst]:
    """Brings the spec up; clients for its gateway, which are ended at last."""
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    url = place.arriero("status", "--json").json["gateway"]["url"]
    made = Burst(int(url.rpartition(":")[2]))
    yield made
    made.end()


def up_keeps(place: Place, running: dict[str, int]) -> None:
    up = place.arriero("up", "--yes")
    assert "Nothing to do" in up.out, up.out
    assert counts(place) == running


def goes_in(place: Place, burst: Burst, running: dict[str, int], seconds: float) -> Burst:
    """Ends the burst; one request at a time goes on, so that whoever leaves leaves beside traffic. Nothing was lost."""
    burst.end()
    few = Burst(burst.port)
    few.start(1)
    try:
        assert wait_for(lambda: counts(place) == running, seconds), controller_events(place)[-8:]
    finally:
        few.end()
    assert burst.faults == few.faults == []
    return few


def controller_events(place: Place) -> list[dict[str, Any]]:
    lines = (place.folder / ".arriero/edge/controller.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
