"""Front Doors of the emulated Azure: what they refuse, what they send on, to whom, and when they cut.

Behind them are servers of the test's own, with the certificates that the stage gives load balancers; time limits are
those of a given clock.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_azure import eventually

from arriero.catalog import catalog
from arriero.catalog.prices import EVERYWHERE
from arriero.clock import ManualClock
from arriero.rehearse.azure import front_door_plan, resources, router
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.front_doors import FrontDoors, Samples
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import SUBSCRIPTION, World
from arriero.rehearse.certificates import server_context
from arriero.rehearse.processes import Processes

RG = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
PROFILE = f"{RG}/providers/Microsoft.Cdn/profiles/llm"
ENDPOINT, GROUP = f"{PROFILE}/afdEndpoints/llm", f"{PROFILE}/originGroups/sites"
ROUTE = f"{ENDPOINT}/routes/everything"
STANDARD = {"location": "Global", "sku": {"name": "Standard_AzureFrontDoor"}}
PROBING = {"probePath": "/readyz", "probeProtocol": "Https", "probeRequestType": "GET", "probeIntervalInSeconds": 30}
SAMPLES = {"sampleSize": 4, "successfulSamplesRequired": 3, "additionalLatencyInMilliseconds": 50}

Talk = Callable[[socket.socket, bytes], None]


def ask(world: World, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
    raw = json.dumps(body).encode() if body is not None else b""
    resource = ResourceId.parse(path)
    assert resource
    return resources.answer(world, Request.of(method, "h", f"{path}?api-version=2024-02-01", {}, raw), resource)


def put(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = ask(world, "PUT", path, body)
    assert answer.status in (200, 201)
    return answer.body


def refused(world: World, method: str, path: str, body: dict[str, Any] | None = None) -> str:
    with pytest.raises(ArmError) as error:
        ask(world, method, path, body)
    return error.value.message


def origin(host: str, **more: Any) -> dict[str, Any]:
    return {"properties": {"hostName": host, "enforceCertificateNameCheck": False, **more}}


def route(**more: Any) -> dict[str, Any]:
    about = {"originGroup": {"id": GROUP}, "patternsToMatch": ["/*"], "httpsRedirect": "Enabled"}
    return {"properties": {**about, "supportedProtocols": ["Http", "Https"], "linkToDefaultDomain": "Enabled", **more}}


@pytest.mark.parametrize("tier", ["Standard", "Premium"])
def test_its_base_fee_is_billed_at_a_price_that_is_known(world: World, tier: str) -> None:
    put(world, PROFILE, {**STANDARD, "sku": {"name": f"{tier}_AzureFrontDoor"}})
    items = front_door_plan.billed(world.state.resources[PROFILE.lower()])
    assert items == {f"front_door.{tier.lower()}": 1.0}
    assert all(catalog.price("azure", EVERYWHERE, item) for item in items)


def test_what_no_front_door_can_be_is_refused(world: World) -> None:
    verizon = {**STANDARD, "sku": {"name": "Standard_Verizon"}}
    assert "none of Standard_AzureFrontDoor" in refused(world, "PUT", PROFILE, verizon)
    slow = {**STANDARD, "properties": {"originResponseTimeoutSeconds": 300}}
    assert "from 16 to 240" in refused(world, "PUT", PROFILE, slow)
    made = put(world, PROFILE, STANDARD)
    assert (made["location"], made["properties"]["originResponseTimeoutSeconds"]) == ("Global", 60)
    premium = {**STANDARD, "sku": {"name": "Premium_AzureFrontDoor"}}
    assert "can't become" in refused(world, "PUT", PROFILE, premium)
    again = put(world, PROFILE, {**STANDARD, "properties": {"originResponseTimeoutSeconds": 240}})
    assert again["properties"]["frontDoorId"] == made["properties"]["frontDoorId"]


def test_how_far_it_is_is_told_in_its_group_by_what_it_is_about(world: World) -> None:
    put(world, PROFILE, STANDARD)
    making = ask(world, "PUT", ENDPOINT, {"location": "Global", "properties": {"enabledState": "Enabled"}})
    where = making.headers["Azure-AsyncOperation"].removeprefix("https://h")
    named = rf"{RG}/providers/Microsoft.Cdn/operationresults/[0-9a-f-]+/profileresults/llm/afdendpointresults/llm\?"
    assert re.match(named, where, re.IGNORECASE)
    told = router.answer(world, Faults(lambda: world.now), Request.of("GET", "h", where, {}, b""))
    assert told.body["status"] in ("InProgress", "Succeeded")
    unknown = where.replace(where.split("/operationresults/")[1].split("/")[0], "none")
    with pytest.raises(ArmError, match="not found"):
        router.answer(world, Faults(lambda: world.now), Request.of("GET", "h", unknown, {}, b""))


def test_a_route_leads_somewhere_and_goes_on_doing_so(world: World) -> None:
    put(world, PROFILE, STANDARD)
    put(world, ENDPOINT, {"location": "Global", "properties": {"enabledState": "Enabled"}})
    put(world, GROUP, {"properties": {"loadBalancingSettings": SAMPLES, "healthProbeSettings": PROBING}})
    assert "no origin that is enabled" in refused(world, "PUT", ROUTE, route())
    for name in ("east", "west"):
        put(world, f"{GROUP}/origins/{name}", origin("127.0.0.1"))
    put(world, ROUTE, route())
    assert ask(world, "DELETE", f"{GROUP}/origins/east").status == 202
    del world.state.resources[f"{GROUP}/origins/east".lower()]
    assert "a route leads to it" in refused(world, "DELETE", f"{GROUP}/origins/west")
    assert "a route leads to it" in refused(world, "DELETE", GROUP)


def test_an_origin_is_judged_by_its_last_answers() -> None:
    samples = Samples(4, 3)
    assert samples.state == "initial"
    states = []
    for is_good in (True, True, False, True, False, True, True, True):
        samples.take(is_good=is_good)
        states.append(samples.state)
    assert states == ["healthy", "healthy", "unhealthy", "healthy", "unhealthy", "unhealthy", "healthy", "healthy"]


class Doors:
    """A Front Door before servers of the test's own, on their own addresses, by a clock that stands still."""

    def __init__(self, folder: Path, world: World, clock: ManualClock) -> None:
        self.folder, self.world, self.clock = folder, world, clock
        self.processes = Processes(folder, {"PATH": "/nowhere"})
        self.doors = FrontDoors(folder, self.processes, clock, pace=1000)
        object.__setattr__(world, "address", self.doors.address)
        self.doors.start()
        self.heard: list[bytes] = []
        self._open: list[socket.socket] = []

    def close(self) -> None:
        self.doors.stop()
        for door in self._open:
            door.shutdown(socket.SHUT_RDWR)
            door.close()
        self.processes.close()

    def server(self, name: str, talk: Talk, ready: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        """An origin that talks in https; what it is asked about its health it answers by `ready`."""
        address = self.processes.address(f"alb.{name}")
        folder = self.folder / "balancers" / address
        folder.mkdir(parents=True)
        context = server_context(folder, (address,))[0]
        door = socket.create_server((address, 0))
        self._open.append(door)

        def run() -> None:
            while True:
                try:
                    raw, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(raw,), daemon=True).start()

        def answer(raw: socket.socket) -> None:
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    head = head_of(connection)
                    if head.startswith(b"GET /readyz "):
                        assert b"X-FD-HealthProbe: 1\r\n" in head
                        connection.sendall(b"HTTP/1.1 %d Answer\r\n\r\n" % (200 if ready() else 503))
                    else:
                        self.heard.append(head)
                        talk(connection, head)
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        return {"host": address, "port": door.getsockname()[1]}

    def before(self, *servers: dict[str, Any], seconds: int = 240, **more: Any) -> None:
        put(self.world, PROFILE, {**STANDARD, "properties": {"originResponseTimeoutSeconds": seconds}})
        put(self.world, ENDPOINT, {"location": "Global", "properties": {"enabledState": "Enabled"}})
        put(self.world, GROUP, {"properties": {"loadBalancingSettings": SAMPLES, "healthProbeSettings": PROBING}})
        for number, server in enumerate(servers, 1):
            about = {"httpsPort": server["port"], "originHostHeader": "llm.example.com", "priority": number, **more}
            about |= {"weight": server["weight"]} if "weight" in server else {}
            put(self.world, f"{GROUP}/origins/o{number}", origin(server["host"], **about))
        put(self.world, ROUTE, route())
        self.doors.settle(self.world.state)

    @property
    def host(self) -> str:
        return str(self.world.state.resources[ENDPOINT.lower()]["properties"]["hostName"])

    @property
    def id(self) -> str:
        return str(self.world.state.resources[PROFILE.lower()]["properties"]["frontDoorId"])

    def health(self, number: int) -> str:
        return self.doors.health(f"{GROUP}/origins/o{number}".lower())

    def asked(self, path: str = "/", **headers: str) -> http.client.HTTPResponse:
        context = ssl.create_default_context(cafile=str(self.folder / "doors" / self.host / "ca.pem"))
        for port in (443, 10443):
            connection = http.client.HTTPSConnection(self.host, port, timeout=10, context=context)
            try:
                connection.connect()
            except ConnectionRefusedError:
                continue
            connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            return connection.getresponse()
        raise AssertionError("nobody listens")


def head_of(connection: ssl.SSLSocket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        if not (piece := connection.recv(65536)):
            return said
        said += piece
    return said


def says(text: bytes) -> Talk:
    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + text)

    return talk


@contextmanager
def opened(folder: Path, world: World, clock: ManualClock) -> Iterator[Doors]:
    doors = Doors(folder, world, clock)
    try:
        yield doors
    finally:
        doors.close()


@pytest.fixture
def doors(tmp_path: Path, world: World, clock: ManualClock) -> Iterator[Doors]:
    with opened(tmp_path, world, clock) as found:
        yield found


def test_it_says_who_it_is_and_takes_away_what_a_client_says_in_its_name(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")))
    assert doors.asked("/api/tags", X_Azure_FDID="another", X_FD_HealthProbe="1").read() == b"hello"
    [head] = doors.heard
    assert head.startswith(b"GET /api/tags HTTP/1.1\r\n")
    assert f"X-Azure-FDID: {doors.id}\r\n".encode() in head
    assert b"Host: llm.example.com\r\n" in head
    assert b"another" not in head
    assert b"x-fd-healthprobe" not in head.lower()


def test_the_first_site_that_is_well_is_asked(doors: Doors) -> None:
    well = [True]
    doors.before(doors.server("east", says(b"east"), lambda: well[0]), doors.server("west", says(b"west")))
    assert {doors.asked().read() for _ in range(4)} == {b"east"}
    well[0] = False
    eventually(lambda: doors.health(1) == "unhealthy")
    assert {doors.asked().read() for _ in range(4)} == {b"west"}
    well[0] = True
    eventually(lambda: doors.health(1) == "healthy")
    assert doors.asked().read() == b"east"


def test_an_origin_that_is_led_elsewhere_is_judged_there(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"former"), lambda: False))
    eventually(lambda: doors.health(1) == "unhealthy")
    doors.before(doors.server("moved", says(b"now")))
    eventually(lambda: doors.health(1) == "healthy")
    assert doors.asked().read() == b"now"


def test_equals_get_requests_by_their_weights(doors: Doors) -> None:
    east, west = doors.server("east", says(b"east")), doors.server("west", says(b"west"))
    doors.before({**east, "weight": 750}, {**west, "weight": 250}, priority=1)
    eventually(lambda: {doors.health(1), doors.health(2)} == {"healthy"})
    assert sorted(doors.asked().read() for _ in range(8)) == [b"east"] * 6 + [b"west"] * 2


def test_an_answer_that_does_not_begin_in_time_is_cut_and_signs_of_life_keep_one(doors: Doors) -> None:
    go_on = threading.Event()

    def cold(connection: socket.socket, head: bytes) -> None:
        if b"X-Arriero-Warming: events" in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nwarming")
        go_on.wait(10)
        connection.sendall(b" and here it is")

    doors.before(doors.server("east", cold), seconds=60)
    late: list[int] = []
    waiting = threading.Thread(target=lambda: late.append(doors.asked().status))
    waiting.start()
    eventually(lambda: len(doors.heard) == 1)
    time.sleep(0.1)  # so that the request is under way before the clock moves
    doors.clock.elapsed_seconds += 60
    waiting.join(10)
    assert late == [504]
    kept = doors.asked(X_Arriero_Warming="events")
    assert kept.read(7) == b"warming"
    doors.clock.elapsed_seconds += 59
    go_on.set()
    assert kept.read() == b" and here it is"


def test_an_origin_whose_name_is_compared_is_not_reached(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")), enforceCertificateNameCheck=True)
    assert doors.asked().status == 502
    assert doors.heard == []


def test_a_name_that_is_not_its_own_is_404_and_http_is_sent_to_https(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")))
    assert doors.asked(Host="llm.example.org").status == 404
    for port in (80, 10080):
        connection = http.client.HTTPConnection(doors.host, port, timeout=10)
        try:
            connection.request("GET", "/api/tags?a=b")
        except ConnectionRefusedError:
            continue
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Location")) == (307, f"https://{doors.host}/api/tags?a=b")
        return
    raise AssertionError("nobody listens")


def test_an_endpoint_that_goes_leaves_no_listener_and_no_address(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")))
    host = doors.host
    assert doors.asked().status == 200
    eventually(lambda: doors.health(1) == "healthy")
    for key in doors.world.state.under(PROFILE.lower()):
        del doors.world.state.resources[key]
    doors.doors.settle(doors.world.state)
    for port in (443, 80, 10443, 10080):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, port), timeout=5)
    assert doors.doors.health(f"{GROUP}/origins/o1".lower()) == "initial"
