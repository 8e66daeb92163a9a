"""A four-site service whose deployers are killed at their writing calls, and what is looked at afterwards.

The stage counts and kills (`arriero.rehearse.tripwire`). A point is the n-th writing call of a deployment, before it is
carried out or before its answer leaves. A deployment of a new release dies there. What comes of it then is the point's
way out: another machine runs `up` with the same wish, which is resumed, or with the former one, which undoes; or it is
overtaken by the deployment of yet another wish, which dies at a point of its own. So points make a chain, at whose end
all is looked at. The other machine has a state folder of its own and knows of the first one nothing but the clouds and
the ledger. Clients ask through the first one's gateway all the while.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import boto3
from places import Command, Place, free_port, open_spec

from arriero.rehearse.stage import Stage
from arriero.rehearse.tripwire import Crash, Tripped, Victim, When

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import watcher

CLIENTS = 2
PAUSE_SECONDS = 0.1
UP_SECONDS = 300.0
# A dead one's lease is waited for at most points.
LEASE_SECONDS = 5
LEASES = 3
SITES = {
    "aws-east": ("aws", "us-east-1"),
    "aws-west": ("aws", "us-west-2"),
    "azure-east": ("azure", "eastus"),
    "azure-eu": ("azure", "westeurope"),
}
SPEC = """\
name: fleet
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ledger: {lease: @LEASEs}
scale: {min: 1, by: hand}
gateway: {port: @PORT}
sites:
""" + "".join(f"  {name}: {{cloud: {cloud}, region: {region}}}\n" for name, (cloud, region) in SITES.items())
VICTIMS: tuple[Victim, ...] = ("deployer", "machine", "ansible")
WHENS: tuple[When, ...] = ("before", "after")
Way = Literal["resumed", "overtaken", "undone"]
WAYS: tuple[Way, ...] = ("resumed", "overtaken", "overtaken", "undone")
# Of points in one chain: where something is wrong at its end, each of them may be why.
LONGEST = 4


@dataclass(frozen=True)
class Point:
    """`call` counts a deployment's writing calls from 1."""

    call: int
    when: When
    victim: Victim
    way: Way

    @classmethod
    def numbered(cls, number: int) -> Point:
        """The points of a deployment, one after the other: two for each call, victims and ways out in turn."""
        call, late = divmod(number, 2)
        return cls(call + 1, WHENS[late], VICTIMS[(call + late) % 3], WAYS[(call // 3 + late) % 4])

    def __str__(self) -> str:
        return f"{self.when} call {self.call}, {self.victim} killed, {self.way}"


def chains(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Points in their order, as many together as overtake one another."""
    chain: list[int] = []
    for number in numbers:
        chain.append(number)
        if Point.numbered(number).way != "overtaken" or len(chain) == LONGEST:
            yield chain
            chain = []
    if chain:
        yield chain


@dataclass(frozen=True)
class Played:
    """What came of a point: `said` is what the one that came next said of it; `problems` is empty where all was as it
    should be.
    """

    point: Point
    tripped: Tripped
    seconds: float
    asked: int
    said: str
    problems: tuple[str, ...]


@dataclass
class Asking:
    """Clients that ask without a pause worth the name; an answer that is not whole and right is lost."""

    port: int
    expected: str = ""
    asked: int = 0
    lost: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[Asking]:
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    async def _all(self) -> None:
        first = await watcher.ask(self.port, self._question(0))
        self.expected = first.text()
        if first.outcome() not in ("complete", "wrong"):
            self.lost.append(f"the first one: {first.error}")
        await asyncio.gather(*(self._one(place) for place in range(CLIENTS)))

    async def _one(self, place: int) -> None:
        while not self._over.is_set():
            self.asked += 1
            answer = await watcher.ask(self.port, self._question(self.asked))
            if (outcome := answer.outcome()) != "complete":
                said = bytes(answer.body[-200:]).decode(errors="replace")
                at = time.strftime("%H:%M:%S")
                self.lost.append(f"{at} {outcome}: {answer.status} {answer.target} {answer.error} {said}")
            await asyncio.sleep(PAUSE_SECONDS)

    def _question(self, seed: int) -> watcher.Question:
        return watcher.Question("/api/generate", "llama2", "Tell me of the sea", 8, self.expected, seed)


@dataclass
class Fleet:
    """Two machines with one stage: `first` has the gateway, `second` a state folder of its own."""

    first: Place
    second: Place
    stage: Stage
    asking: Asking
    spec: str
    wish: int = 0
    wishes: int = 0
    numbers: int = 1
    clean: Mapping[str, Any] = field(default_factory=dict)

    def says(self, wish: int) -> None:
        self.wish, self.wishes = wish, max(wish, self.wishes)
        for place in (self.first, self.second):
            (place.folder / "arriero.yaml").write_text(f"{self.spec}environment: {{OLLAMA_DEBUG: 'wish {wish}'}}\n")

    def count(self) -> tuple[int, list[str]]:
        """A clean deployment: how many writing calls it makes, and which. What stands then is what all must come to."""
        former = len(self.first.calls())
        self.says(self.wishes + 1)
        deployer = self._begin(Crash(0, 0, "before", "deployer"))
        ended = _ended(deployer)
        assert ended.code == 0, ended.err
        calls = [call for call in self.first.calls()[former:] if call["writes"]]
        self.clean, self.numbers = self.standing(), self.numbers + 1
        return self.stage.tripped().calls, [f"{call['cloud']} {call['action']} {call['name']}" for call in calls]

    def play(self, chain: Sequence[Point]) -> list[Played]:
        """The points one after the other. The last one's way out is what the chain's end is: where it is to be
        overtaken, by a deployment that nobody kills.
        """
        before, stood, played = self.numbers, self.wish, list[Played]()
        for place, point in enumerate(chain):
            start, asked, lost = time.monotonic(), self.asking.asked, len(self.asking.lost)
            self.says(self.wishes + 1)
            died = _ended(self._begin(Crash(0, point.call, point.when, point.victim)))
            tripped = self.stage.tripped()
            problems = [f"a traceback: {died.err[-3000:]}"] if "Traceback" in died.err else []
            said = _way_out(died.err)
            if played:
                played[-1] = replace(played[-1], said=said)
            if place == len(chain) - 1:
                said, more = self._end(point.way, stood, before + place + 2, died)
                problems += more
            problems += [f"lost: {line}" for line in self.asking.lost[lost:]]
            seconds = round(time.monotonic() - start, 1)
            played.append(Played(point, tripped, seconds, self.asking.asked - asked, said, tuple(problems)))
        return played

    def _end(self, way: Way, stood: int, most: int, died: Command) -> tuple[str, list[str]]:
        """Lets a deployment come to its end after one that `died`; what it said, and what is not as it should be.

        `most` releases there may be then.
        """
        if way != "resumed":
            self.says(stood if way == "undone" else self.wishes + 1)
        second = self._again()
        problems = [] if second.code == 0 else [f"the last up ended with {second.code}: {second.err[-1500:]}"]
        if "Traceback" in second.err:
            problems.append(f"a traceback: {second.err[-3000:]}")
        problems += self._found(most, is_kept=way == "undone" and died.code == 1)
        return _way_out(second.err + second.out), problems

    def _again(self) -> Command:
        """`up` from the second machine. Where a whole machine stands still for longer than a lease, `up` says that it
        has lost it, and what to do: run it again.
        """
        for _ in range(LEASES):
            second = self.second.arriero("up", "--yes", "--no-gateway")
            if second.code == 0 or "is lost: the authority store" not in second.err:
                break
        return second

    def standing(self) -> dict[str, Any]:
        """What stands in both clouds, as they themselves say; the numbers of releases and revisions left out."""
        return {**self._of_aws(), **self._of_azure()}

    def _found(self, most: int, is_kept: bool) -> list[str]:
        """What is not as a clean deployment leaves it.

        `is_kept`: a deployer that lived has written down that it failed, and what was there may stand untouched.
        """
        questions = (["plan"], ["status", "--json"], ["history", "--json"], ["lock", "status", "--json"])
        with ThreadPoolExecutor(len(questions)) as pool:
            plan, status, history, lock = pool.map(lambda words: self.second.arriero(*words), questions)
        problems = [] if plan.code == 0 else [f"plan: {plan.out}{plan.err}"]
        problems += [f"{site['name']} is {site['state']}" for site in status.json["sites"] if site["state"] != "ready"]
        numbers = [release["release"] for release in history.json["releases"]]
        if numbers != list(range(1, len(numbers) + 1)) or len(numbers) > most:
            problems.append(f"the numbers are {numbers}, and {most} at most can be")
        self.numbers = len(numbers)
        last = history.json["releases"][-1]
        if last["state"] != "done" and not (is_kept and last["state"] == "failed" and plan.code == 0):
            problems.append(f"release {last['release']} is {last['state']}")
        if any(len(release["stores"]) != 2 for release in history.json["releases"]):
            problems.append("a release is in one store only")
        if lock.json["unfinished"] or lock.json["holder"] or lock.json["unread"] or lock.json["only_in_the_other"]:
            problems.append(f"the lease: {lock.out}")
        return problems + self._differences()

    def _differences(self) -> list[str]:
        """A cloud goes on ending what was retired for a moment after `up` has ended; so it is asked for a while."""
        end = time.monotonic() + 20
        while (now := self.standing()) != self.clean and time.monotonic() < end:
            time.sleep(0.5)
        names = sorted(name for name in {*now, *self.clean} if now.get(name) != self.clean.get(name))
        return [f"{name} is {now.get(name)}, after a clean run {self.clean.get(name)}" for name in names]

    def _begin(self, crash: Crash) -> subprocess.Popen[str]:
        """A deployer, which has not made its first call when it is counted on."""
        deployer = subprocess.Popen(
            [sys.executable, "-m", "arriero", "up", "--yes"],
            cwd=self.first.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.stage.crash(Crash(deployer.pid, crash.call, crash.when, crash.victim))
        return deployer

    def _of_aws(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        told = self.stage.endpoints(os.environ).environment
        for site, (cloud, region) in SITES.items():
            if cloud != "aws":
                continue
            ask = {
                "region_name": region,
                "endpoint_url": told["AWS_ENDPOINT_URL"],
                "aws_access_key_id": told["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": told["AWS_SECRET_ACCESS_KEY"],
            }
            ecs, ec2 = boto3.client("ecs", **ask), boto3.client("ec2", **ask)
            cluster = f"fleet-{site}"
            arns = ecs.list_services(cluster=cluster)["serviceArns"]
            services = ecs.describe_services(cluster=cluster, services=arns)
            found[site] = {
                "services": [(s["serviceName"], s["desiredCount"], s["runningCount"]) for s in services["services"]],
                "rollouts": [d["rolloutState"] for s in services["services"] for d in s["deployments"]],
                "tasks": len(ecs.list_tasks(cluster=cluster)["taskArns"]),
                "groups": sorted(g["GroupName"] for g in ec2.describe_security_groups()["SecurityGroups"]),
                "networks": len(ec2.describe_vpcs()["Vpcs"]),
                "subnets": len(ec2.describe_subnets()["Subnets"]),
            }
        return found

    def _of_azure(self) -> dict[str, Any]:
        state = json.loads((self.stage.folder / "azure" / "state.json").read_text())
        names = [re.sub(r"-r\d+-", "-rN-", key) for key in state["resources"]]
        return dict.fromkeys(names, "there") | {"how many in azure": len(names)}


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Release 1 stands at four sites, and is asked."""
    (folder / "first").mkdir()
    spec = SPEC.replace("@PORT", str(free_port())).replace("@LEASE", str(LEASE_SECONDS))
    for first in open_spec(folder / "first", spec):
        up = first.arriero("up", "--yes")
        assert up.code == 0, up.err
        second = Place(folder / "second")
        (second.folder / ".arriero").mkdir(parents=True)
        (second.folder / ".arriero" / "stage").symlink_to(first.stage)
        stage = Stage(first.stage)
        _lead_through_the_stage(first, stage)
        url = first.arriero("status", "--json").json["gateway"]["url"]
        asking = Asking(int(url.rpartition(":")[2]))
        with asking.going_on():
            yield Fleet(first, second, stage, asking, spec)


def sample(count: int, wanted: int, seed: int) -> list[int]:
    """An even sample of a deployment's points, shifted by the seed; all of them where that many are wanted."""
    wanted = min(wanted, count)
    shift = random.Random(seed).randrange(count)
    return [(shift + place * count // wanted) % count for place in range(wanted)]


def _lead_through_the_stage(first: Place, stage: Stage) -> None:
    """Orders to the gateway pass the stage from now on, as calls to clouds do."""
    edge = first.folder / ".arriero" / "edge"
    record = json.loads((edge / "edge.json").read_text())
    settings = json.loads((edge / "gateway.json").read_text())
    door = stage.door(record["control_url"].removeprefix("http://"))
    record["control_url"], settings["control"] = f"http://{door}", door
    (edge / "edge.json").write_text(json.dumps(record))
    (edge / "gateway.json").write_text(json.dumps(settings))


def _ended(deployer: subprocess.Popen[str]) -> Command:
    said, _ = deployer.communicate(timeout=UP_SECONDS)
    return Command(deployer.returncode, "", said)


def _way_out(said: str) -> str:
    found = re.search(r"it is resumed|what it left is undone by release \d+|stands there by now|Nothing to do", said)
    return found[0] if found else "began anew"
