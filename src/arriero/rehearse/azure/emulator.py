"""The emulated Azure as the stage holds it: started, stopped, put under faults, asked for its servers."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

from arriero.clock import Clock, SystemClock
from arriero.errors import Problem, Refused
from arriero.rehearse.azure import apps, blobs, identity, log_store, private_names, router, vaults
from arriero.rehearse.azure.alerting import Alerting
from arriero.rehearse.azure.answers import Answer, ArmError, Request, refused
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.front_doors import FrontDoors
from arriero.rehearse.azure.identity import CLIENT, TENANT, Identity
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.log import RequestLog, is_writing, named
from arriero.rehearse.azure.log_store import LogStore
from arriero.rehearse.azure.needs import needs_of
from arriero.rehearse.azure.reconciler import Reconciler
from arriero.rehearse.azure.schemas import judging_version
from arriero.rehearse.azure.secrets import Seal
from arriero.rehearse.azure.server import Proxy
from arriero.rehearse.azure.state import State
from arriero.rehearse.azure.world import SUBSCRIPTION, World
from arriero.rehearse.certificates import server_context
from arriero.rehearse.emulator import ContainerRow, Fault
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Meter
from arriero.rehearse.naming import NameServer
from arriero.rehearse.permissions import Need, Permits
from arriero.rehearse.planted import Figures
from arriero.rehearse.probing import pace_of
from arriero.rehearse.processes import Processes, Server
from arriero.rehearse.tripwire import Tripwire

MANAGEMENT = "management.azure.com"
_OF_A_REGION = ("lose", "zone", "storm", "slow-storage", "no-images", "no-objects")
_TOO_OLD = "Server failed to authenticate the request. Request date header too old."
_CUT = ArmError(503, "ServiceUnavailable", "The service is currently unavailable.", {"Retry-After": "1"})


class AzureEmulator:
    """Keeps its files in `folder`/azure and adds to `folder`/requests.jsonl; `port` is its proxy's, 0 a free one."""

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        latency: Latency,
        port: int = 0,
        clock: Clock | None = None,
        tripwire: Tripwire | None = None,
    ) -> None:
        self._folder = folder / "azure"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        clock = clock or SystemClock()
        hosts = (MANAGEMENT, identity.HOST, log_store.HOST, f"*{blobs.SUFFIX}", f"*{vaults.SUFFIX}")
        context, self._authority = server_context(self._folder, hosts)
        self._identity = Identity.kept_in(self._folder, clock)
        self._log = RequestLog(folder / "requests.jsonl", clock)
        self._meter = Meter("azure", self._folder / "meter.json")
        state = State(self._folder / "state.json", Seal(self._folder))
        self._doors = FrontDoors(folder, processes, clock, pace_of(latency))
        self._world = World(state, clock, latency, self._meter, Figures(folder), address=self._doors.address)
        self._faults = Faults(lambda: self._world.now)
        self._permits = Permits(folder)
        self._tripwire = tripwire or Tripwire()
        self._blobs = blobs.Blobs(self._folder / "blobs", self._world)
        self._vaults = vaults.Vaults(self._world, self._identity, self._permits)
        self._logs = LogStore(self._folder / "workspaces", self._world)
        self._reconciler = Reconciler(self._world, processes, self._faults, self._logs, self._doors)
        self._processes, self._names = processes, NameServer(partial(private_names.addresses, state))
        self._alerting = Alerting(self._world, self._reconciler.servers, self._logs)
        self._proxy = Proxy(port, hosts, context, self._respond, self._log.refused_host, self._is_resolved)

    @property
    def port(self) -> int:
        """The proxy's port on 127.0.0.1."""
        return self._proxy.port

    def start(self) -> None:
        self._world.state.start()
        self._doors.start()
        self._names.start(self._processes.address("names.azure"))
        self._reconciler.resolver = self._names.address
        self._reconciler.start()
        self._alerting.start()
        self._proxy.start()

    def stop(self) -> None:
        """Stops serving and every server process; what was created stays on disk for the next start."""
        self._proxy.stop()
        self._alerting.stop()
        self._reconciler.stop()
        self._doors.stop()
        self._names.stop()
        self._world.state.stop()
        self._meter.keep()
        self._log.close()

    def environment(self) -> Mapping[str, str]:
        """The variables that lead unmodified SDKs and modules here; nothing else can be reached through the proxy."""
        (self._folder / "config").mkdir(exist_ok=True)
        proxy = f"http://127.0.0.1:{self.port}"
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "REQUESTS_CA_BUNDLE": str(self._authority),
            "AZURE_CONFIG_DIR": str(self._folder / "config"),
            "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_SECRET": self._identity.key,
            "AZURE_CLIENT_SECRET": self._identity.key,
            "AZURE_TENANT": TENANT,
            "AZURE_TENANT_ID": TENANT,
        }

    def apply(self, fault: Fault) -> list[str]:
        """Plays the fault, until the end if it has none; the same again with `until` in the past ends it.

        `target` is a group's name. Raises Refused where there is no server to reach.
        """
        if fault.kind == "no-spot":
            raise Refused(Problem("no target of Container Instances is Spot", "choose a site of aws", key="--kind"))
        with self._world.state.lock:
            if fault.kind == "skew" or fault.kind in _OF_A_REGION:
                return self._disaster(fault)
            if fault.kind not in ("refuse", "throttle") and not self._reach(fault):
                where = f"of {fault.target} in {fault.region}" if fault.target else f"in {fault.region}"
                raise Refused(Problem(f"no server {where} runs", "see: arriero status"))
            if fault.kind == "kill":
                return self._kill(fault)
            self._faults.add(fault)
            if fault.kind == "evict":
                return self._evict(fault)
            where = fault.target or fault.region
            return [
                f"{fault.kind}: {where}: {server.spec.container} (pid {server.pid})" for server in self._reach(fault)
            ] or [f"{fault.kind}: {where}: its API"]

    def containers(self) -> list[ContainerRow]:
        return self._reconciler.rows()

    def _disaster(self, fault: Fault) -> list[str]:
        """Groups that name no zone are in one that nobody sees: every second of them is in the one that goes."""
        groups = sorted({name for name, _ in self._reconciler.servers(fault.region)})
        if fault.kind in ("zone", "storm"):
            half = groups[: (len(groups) + 1) // 2]
            return [
                line for name in half for line in self._evict(replace(fault, kind="evict", target=name, until=None))
            ]
        self._faults.add(fault)
        is_over = fault.until is not None and fault.until <= self._world.now
        killed = self._kill(fault) if fault.kind == "lose" and not is_over else []
        return [*killed, f"{fault.kind}: {fault.region}{' is over' if is_over else ''}"]

    def _reach(self, fault: Fault) -> list[Server]:
        return [server for _, server in self._reconciler.servers(fault.region, fault.target)]

    def _kill(self, fault: Fault) -> list[str]:
        done = []
        for group, server in self._reconciler.servers(fault.region, fault.target):
            server.kill()
            done.append(f"kill: {group}: {server.spec.container} (pid {server.pid})")
        return done

    def _evict(self, fault: Fault) -> list[str]:
        """Its containers get SIGTERM and the grace; it comes back when the fault is over, as if moved elsewhere."""
        groups = [(apps.shape(self._world, key), run) for key, run in self._world.state.runs.items()]
        hit = [
            (group, run)
            for group, run in groups
            if group["location"] == fault.region and fault.target in ("", group["name"]) and run.phase == "running"
        ]
        done = []
        for group, run in hit[: ceil(len(hit) * fault.share)]:
            run.phase, run.after_stop = "stopping", "evicted" if fault.until else "pending"
            group["properties"]["provisioningState"] = "Repairing"
            done.append(f"evict: {group['name']}")
        self._world.state.changed()
        return done

    def _respond(self, request: Request) -> Answer:
        if not is_writing(request):
            return self._answer(request)
        said = " ".join(("azure", *named(request)))
        passed, number = self._tripwire.begins(said)
        answer = self._answer(request) if passed else refused(_CUT)
        self._tripwire.ends(said, number)
        return answer

    def _answer(self, request: Request) -> Answer:
        region = ""
        try:
            if request.host == identity.HOST:
                answer = self._identity.answer(request)
            elif request.host.endswith(blobs.SUFFIX):
                return self._blob(request)
            elif request.host.endswith(vaults.SUFFIX):
                return self._secret(request)
            elif request.host == log_store.HOST:
                return self._question(request)
            else:
                time.sleep(self._world.latency.seconds("arm.call"))
                answer, region = self._manage(request)
        except ArmError as error:
            answer = refused(error)
            region = self._region(request)
        except Exception:  # noqa: BLE001
            # A slip of ours is an answer, too: SDKs try a closed connection again and again.
            traceback.print_exc()
            answer = refused(ArmError(500, "InternalServerError", "The emulated Azure made a mistake; see its log."))
        self._log.request(request, region, answer.status, _judged(request), needs_of(request))
        return answer

    def _blob(self, request: Request) -> Answer:
        time.sleep(self._world.latency.seconds("arm.call"))
        with self._world.state.lock:
            region = self._blobs.region(request)
            if self._faults.has_no_objects(region):
                answer = blobs.refusal(503, "ServerBusy", "The server is busy.")
            elif self._faults.is_skewed():
                answer = blobs.refusal(403, "AuthenticationFailed", _TOO_OLD)
            else:
                answer = self._blobs.answer(request)
        self._log.request(request, region, answer.status, needs=needs_of(request))
        return answer

    def _secret(self, request: Request) -> Answer:
        time.sleep(self._world.latency.seconds("arm.call"))
        with self._world.state.lock:
            region, needs = self._vaults.region(request), self._vaults.needs(request)
            cut = _CUT if self._faults.is_lost(region) else None
            answer = refused(cut) if cut else self._vaults.answer(request)
        self._log.request(request, region, answer.status, needs=needs)
        return answer

    def _question(self, request: Request) -> Answer:
        """To a workspace of Log Analytics, which is lost with its region."""
        time.sleep(self._world.latency.seconds("arm.call"))
        with self._world.state.lock:
            workspace = self._logs.asked(request) or {}
            region, needs = workspace.get("location", ""), needs_of(request, workspace.get("id", ""))
            try:
                self._identity.check(request, log_store.AUDIENCE)
                self._check_permissions(needs)
                answer = refused(_CUT) if self._faults.is_lost(region) else self._logs.answer(request)
            except ArmError as error:
                answer = refused(error)
        self._log.request(request, region, answer.status, needs=needs)
        return answer

    def _is_resolved(self, host: str) -> bool:
        return not host.endswith(vaults.SUFFIX) or self._vaults.is_there(host)

    def _manage(self, request: Request) -> tuple[Answer, str]:
        if not self._reconciler.is_alive:
            raise ArmError(500, "InternalServerError", "The emulated Azure has broken down; its log says why.")
        self._identity.check(request)
        self._check_permissions(needs_of(request))
        region = self._region(request)
        return router.answer(self._world, self._faults, request), region

    def _check_permissions(self, needs: Iterable[Need]) -> None:
        """Words: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting"""
        role = self._permits.now().azure
        denied = next((need for need in needs if role and not role.allows(need)), None)
        if denied:
            message = (
                f"The client '{CLIENT}' with object id '{CLIENT}' does not have authorization to perform action"
                f" '{denied.action}' over scope '{denied.resource}' or the scope is invalid. If access was recently"
                " granted, please refresh your credentials."
            )
            raise ArmError(403, "AuthorizationFailed", message)

    def _region(self, request: Request) -> str:
        with self._world.state.lock:
            return router.region(self._world, request)


def _judged(request: Request) -> str:
    """By which version's schema the body of a PUT was judged, or that nothing judged it."""
    wanted = ResourceId.parse(request.path)
    if request.method != "PUT" or wanted is None:
        return ""
    return judging_version(wanted.type, request.query.get("api-version", "")) or "unjudged"
