"""The emulated AWS as the stage holds it: moto behind our door, and the reconciler that makes ECS real.

One process holds one emulated AWS, for moto's backends belong to the process. Threads: the server's (one a connection),
the reconciler, the keeper of snapshots, the faults; all are started and ended here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from arriero.clock import Clock, SystemClock
from arriero.rehearse.aws import cloud_map, elb_gaps, patches, refusals
from arriero.rehearse.aws.agent import Agent
from arriero.rehearse.aws.alarming import Alarming
from arriero.rehearse.aws.attaching import Attaching
from arriero.rehearse.aws.autoscaling import AutoScaler
from arriero.rehearse.aws.balancers import Balancers
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.aws.faults import Faults
from arriero.rehearse.aws.reconciler import Reconciler
from arriero.rehearse.aws.refusals import Answer
from arriero.rehearse.aws.requests import RequestLog
from arriero.rehearse.aws.server import Door, Server
from arriero.rehearse.aws.state import Keeper, Snapshots
from arriero.rehearse.emulator import ContainerRow, Fault
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Meter
from arriero.rehearse.minutes import Minutes
from arriero.rehearse.naming import NameServer
from arriero.rehearse.permissions import Need, Permits
from arriero.rehearse.planted import Figures
from arriero.rehearse.probing import pace_of
from arriero.rehearse.processes import Processes
from arriero.rehearse.processes import Server as ServerProcess
from arriero.rehearse.tripwire import Tripwire

ACCESS_KEY_ID = "AKIASTAGESTANDIN0001"
SECRET_ACCESS_KEY = "a-stand-in-of-the-stage"
_GRACE_SECONDS = 2.0


class AwsEmulator:
    """The emulated AWS of the stage in `folder`, served at 127.0.0.1:`port` (0: any free one, see `port`)."""

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        latency: Latency,
        port: int,
        clock: Clock | None = None,
        tripwire: Tripwire | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._processes = processes
        self._world = threading.RLock()
        self._log = RequestLog(folder / "requests.jsonl", clock)
        self._snapshots = Snapshots(folder / "aws.state", self._world)
        self._keeper = Keeper(self._snapshots)
        self._faults = Faults(
            self._world, clock, lambda: [one for one in processes.mounting() if one.spec.cloud == "aws"]
        )
        self._permits = Permits(folder)
        self._figures = Figures(folder)
        self._meter = Meter("aws", folder / "aws.meter.json")
        self._balancers = Balancers(folder, processes, clock, pace_of(latency))
        self._attaching = Attaching(self._balancers)
        self._reconciler = Reconciler(
            self._world,
            processes,
            latency,
            self._faults.holds,
            self._keeper.mark,
            self._meter,
            clock,
            self._balancers,
            self._attaching,
            self._faults,
        )
        self._names = NameServer(self._addresses)
        self._minutes = Minutes()
        self._scaler = AutoScaler(
            self._world, self._reconciler.running_in, self._written, clock, latency.minute_seconds, self._minutes
        )
        self._alarming = Alarming(self._figures, self._minutes, clock, latency.minute_seconds)
        agent = Agent(self._world, self._reconciler.find, self._written)
        self._door = Door(
            self._world, self._log, self._judge, self._written, latency, clock, agent, tripwire or Tripwire()
        )
        self._wanted_port = port
        self._server: Server | None = None

    @property
    def port(self) -> int:
        return self._server.port if self._server else self._wanted_port

    def start(self) -> None:
        """Restores what was there and serves. An ArrieroError says why it cannot."""
        patches.fill_the_gaps()
        patches.bill_by(self._meter)
        patches.watch_by(self._figures, self._minutes)
        patches.copy_images_by(self._faults.has_no_images)
        patches.judge_alarms_by(self._alarming)
        elb_gaps.fill(self._balancers, self._attaching)
        cloud_map.fill_the_gaps()
        if self._snapshots.load():
            with self._world:
                self._reconciler.lose_all_tasks()
        self._server = Server(self._door, self._wanted_port)
        self._names.start(self._processes.address("names.aws"))
        self._reconciler.resolver = self._names.address
        self._reconciler.agent_url = f"http://{self._processes.home()}:{self._server.port}/ecs-agent"
        for part in (self._keeper, self._faults, self._balancers, self._reconciler, self._scaler, self._server):
            part.start()

    def stop(self) -> None:
        """Ends serving and all server processes of this cloud; the state is on disk then."""
        if self._server is None:
            return
        for part in (self._server, self._scaler, self._reconciler, self._balancers, self._faults, self._keeper):
            part.stop()
        self._names.stop()
        self._meter.keep()
        self._log.close()
        _end([server for server in self._processes.all() if server.spec.cloud == "aws"])
        self._server = None

    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def apply(self, fault: Fault) -> list[str]:
        done = self._faults.play(fault, self._reconciler)
        self._reconciler.wake()
        return done

    def containers(self) -> list[ContainerRow]:
        return [
            ContainerRow(
                target=server.spec.target,
                container=server.spec.container,
                cloud="aws",
                region=server.spec.region,
                address=server.address,
                pid=server.pid,
                engine=server.engine,
            )
            for server in self._processes.all()
            if server.spec.cloud == "aws"
        ]

    def _judge(self, call: Call, needs: tuple[Need, ...]) -> Answer | None:
        """Answers in moto's place: calls without our stand-in credentials, forbidden ones, and those a fault hits."""
        if not call.key:
            return refusals.unsigned(call)
        if call.key != ACCESS_KEY_ID:
            return refusals.stranger(call)
        policies = self._permits.now().aws
        denied = next((need for need in needs if policies and not policies.allows(need)), None)
        return refusals.denied(call, denied) if denied else self._faults.answer(call)

    def _addresses(self, name: str) -> tuple[str, ...] | None:
        with self._world:
            return cloud_map.addresses(name)

    def _written(self) -> None:
        self._keeper.mark()
        self._reconciler.wake()


def _end(servers: list[ServerProcess]) -> None:
    """SIGTERM to all, a short while for all together, SIGKILL to the rest: a stage that stops does not wait 30 s."""
    for server in servers:
        server.thaw()
        server.stop()
    deadline = time.monotonic() + _GRACE_SECONDS
    for server in servers:
        if server.wait(max(0.0, deadline - time.monotonic())) is None:
            server.kill()
            server.wait(5)
