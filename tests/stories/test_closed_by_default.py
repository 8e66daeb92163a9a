"""Closed by default, tried by who is outside: a private site at each cloud, edges before both, and each target in a
network namespace that lets in what the stored security groups and network security groups let in.

Three namespaces scan every address of the stage at every port that anything listens on: one on the internet, one that a
VPN joins to the networks, and a target of each site. The tests of this file go on from one another, on one stage. It
takes root, and a network namespace of its own for all that it starts.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from places import Place, open_spec, wait_for

from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import connected, connected_by_name, key_and_hashes

MISSING = [
    name for name in ("ip", "nft", "nsenter", "ss") if subprocess.call(["sh", "-c", f"command -v {name}>/dev/null"])
]
pytestmark = [
    pytest.mark.story,
    pytest.mark.wide,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0 or bool(MISSING), reason=f"needs root, and the programs {MISSING} as well"),
]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
INTERNET, STRANGER, VPN = "198.51.100.10", "192.0.2.10", "10.8.0.7"
NEXT_HOP, NEW_NETWORK = "169.254.1.1", 0x40000000
ALLOWED = "198.51.100.0/24"
OLLAMA = 11434
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
network: private
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
sites:
  east: {{cloud: aws, region: us-east-1}}
  west: {{cloud: azure, region: westeurope}}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates: [arn:aws:acm:us-east-1:123456789012:certificate/0a1b]
    scheme: internet-facing
    allow_from: [{allowed}]
    edges: {{keys: ['{arn}']}}
  edges: {{keys: {secret}, identity: {identity}}}
"""
# Tries each address and port, and says which ones take a connection.
SCAN = """\
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reached(place):
    try:
        socket.create_connection(tuple(place[:2]), timeout=1, source_address=(place[2], 0)).close()
    except OSError:
        return None
    return place[:2]

with ThreadPoolExecutor(64) as pool:
    print(json.dumps([each for each in pool.map(reached, json.load(sys.stdin)) if each]))
"""


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass
class World:
    """A place whose stage is alone in a namespace, to which another one, `outside`, has a leg."""

    place: Place
    outside: str
    key: str
    hand: Hand

    def ask(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.place.arriero("rehearse", "status", "--json").json[kind]
        return found

    def addresses(self, site: str, container: str = "ollama") -> set[str]:
        region = {"east": "us-east-1", "west": "westeurope"}[site]
        return {
            one["address"] for one in self.ask("servers") if (one["region"], one["container"]) == (region, container)
        }

    @property
    def balancer(self) -> str:
        return str(self.client("elbv2").describe_load_balancers()["LoadBalancers"][0]["DNSName"])

    @property
    def around(self) -> dict[str, Any]:
        return self.got("/resourceGroups/llm-west/providers/Microsoft.App/managedEnvironments/llm-west-edge")

    @property
    def edge_host(self) -> str:
        app = self.got("/resourceGroups/llm-west/providers/Microsoft.App/containerApps/llm-west-edge")
        return str(app["configuration"]["ingress"]["fqdn"])

    def got(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.hand.ask("GET", self.hand.managed(path), None, "2025-01-01", MANAGEMENT).json()
        return found["properties"]  # type: ignore[no-any-return]

    def client(self, service: str) -> Any:
        given = self.hand.environment
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name="us-east-1",
            endpoint_url=given["AWS_ENDPOINT_URL"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    def namespaces(self) -> dict[str, str]:
        """Those of targets, by their address."""
        found = {}
        for name in (each["name"] for each in json.loads(run("ip", "-json", "netns"))):
            if re.fullmatch(r"arr[0-9a-f]{8}-\d+-\d+", name):
                told = json.loads(run("ip", "-n", name, "-json", "address", "show", "dev", "home"))
                found.update({each["local"]: name for row in told for each in row["addr_info"]})
        return {address: name for address, name in found.items() if address.startswith(self.block)}

    @property
    def block(self) -> str:
        return self.balancer.rpartition(".")[0].rpartition(".")[0] + "."

    def ports(self) -> set[int]:
        """Every one at which anything listens, in the stage's namespace or in a target's."""
        inside = [("nsenter", f"--net=/run/netns/{name}") for name in self.namespaces().values()]
        listed = [run(*command, "ss", "-Hltn") for command in ((), *inside)]
        return {int(each) for text in listed for each in re.findall(r":(\d+)\s", text)} | {22, 80, 443, OLLAMA}

    def reached(self, source: str, namespace: str) -> set[tuple[str, int]]:
        """What takes a connection from there, of all addresses and ports of the stage."""
        there = {self.balancer, str(self.around["staticIp"]), *self.namespaces(), f"{self.block}0.1"} - {source}
        tried = [(address, port, source) for address in sorted(there) for port in sorted(self.ports())]
        command = ("nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", SCAN)
        return {(str(address), int(port)) for address, port in json.loads(run(*command, text=json.dumps(tried)))}

    def from_outside(self, source: str) -> set[tuple[str, int]]:
        return self.reached(source, self.outside)


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    """The calling thread, and what it starts, is in a new namespace until the end; yields the name of the other one."""
    machine, other = (f"closed{os.getpid()}-{each}" for each in ("machine", "outside"))
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        for name in (machine, other):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/run/netns/{machine}", os.O_RDONLY)
        stack.callback(os.close, before)
        stack.callback(os.close, inside)
        stack.callback(libc.setns, before, NEW_NETWORK)
        assert libc.setns(inside, NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        yield other


@pytest.fixture(scope="module")
def world(outside: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("closed")
    key, hashes = key_and_hashes(tmp_path_factory.mktemp("keys"))
    identity = f"/subscriptions/{SUBSCRIPTION}{IDENTITY}"

    def text(arn: str) -> str:
        return SPEC.format(arn=arn, secret=f"{VAULT}/secrets/llm-keys", identity=identity, allowed=ALLOWED)

    for place in open_spec(folder, text("arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf")):
        place.always["ARRIERO_STAGE_NAMESPACES"] = "1"
        world = World(place, outside, key, Hand(place.environment()))
        arn = str(world.client("secretsmanager").create_secret(Name="llm/keys", SecretString=hashes)["ARN"])
        world.hand.make_vault()
        world.hand.keep("llm-keys", hashes)
        made = world.hand.ask("PUT", world.hand.managed(IDENTITY), {"location": "westeurope"}, "2023-01-31", MANAGEMENT)
        assert made.status_code < 300, made.text
        (place.folder / "arriero.yaml").write_text(text(arn))
        yield world


def test_the_service_comes_up_behind_its_rules(world: World) -> None:
    ended = world.place.arriero("up", "--yes")
    assert ended.code == 0, ended.err
    assert world.place.arriero("plan").code == 0
    join(world)


def join(world: World) -> None:
    """Gives the namespace outside its addresses and a leg, as a router would."""
    leg, sources = f"arrt{os.getpid() % 100000}", (INTERNET, STRANGER, VPN)
    run("ip", "link", "add", leg, "type", "veth", "peer", "name", "home", "netns", world.outside)
    run("ip", "link", "set", leg, "up")
    run("ip", "-n", world.outside, "link", "set", "home", "up")
    routed = "for each in all default home; do echo 0 > $each/rp_filter; echo 1 > $each/route_localnet; done"
    inside = ("nsenter", f"--net=/run/netns/{world.outside}", "sh", "-c")
    run(*inside, f"cd /proc/sys/net/ipv4/conf && {routed}")
    run("ip", "-n", world.outside, "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    for source in sources:
        run("ip", "-n", world.outside, "address", "add", f"{source}/32", "dev", "home")
        run("ip", "route", "add", source, "dev", leg)
    run("ip", "-n", world.outside, "route", "add", NEXT_HOP, "dev", "home")
    run("ip", "-n", world.outside, "route", "add", "default", "via", NEXT_HOP, "dev", "home")


def test_from_outside_nothing_is_reached_but_the_ingress(world: World) -> None:
    balancer, ingress = world.balancer, str(world.around["staticIp"])
    assert world.from_outside(INTERNET) == {(balancer, 443), (balancer, 80), (ingress, 443), (ingress, 80)}


def test_who_is_not_in_allow_from_does_not_reach_the_load_balancer(world: World) -> None:
    ingress = str(world.around["staticIp"])
    assert world.from_outside(STRANGER) == {(ingress, 443), (ingress, 80)}
    assert world.from_outside(VPN) == {(ingress, 443), (ingress, 80)}


def test_a_target_that_was_taken_over_reaches_no_other_one(world: World) -> None:
    """Not its site's edges, nor another site's targets; what has an address on the internet it reaches as all do."""
    for site in ("east", "west"):
        [target] = world.addresses(site)
        edges, others = world.addresses(site, "edge"), world.addresses("west" if site == "east" else "east")
        reached = {address for address, _ in world.reached(target, world.namespaces()[target])}
        assert len(edges) == 2
        assert not reached & (edges | others)


def test_edges_reach_their_targets_at_ollamas_port_and_nowhere_else(world: World) -> None:
    for site in ("east", "west"):
        [target] = world.addresses(site)
        for edge in world.addresses(site, "edge"):
            found = world.reached(edge, world.namespaces()[edge])
            assert {port for address, port in found if address == target} == {OLLAMA}


def test_clients_are_answered_through_both_ingresses(world: World) -> None:
    said = {"Content-Type": "application/json", "Authorization": f"Bearer {world.key}"}
    by_balancer = connected(world.place.stage / "balancers", world.balancer)
    by_ingress = connected_by_name(world.place.stage, world.edge_host, str(world.around["staticIp"]))
    for connection in (by_balancer, by_ingress):
        host = {"Host": "llm.example.com"} if connection is by_balancer else {}
        connection.request("POST", "/api/generate", json.dumps(QUESTION), {**said, **host})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert json.loads(answer.read())["done"] is True


def test_a_port_opened_by_hand_is_reached_seen_as_a_difference_and_closed(world: World) -> None:
    before = world.from_outside(VPN)
    [east], [west] = world.addresses("east"), world.addresses("west")
    open_by_hand(world)
    assert wait_for(lambda: world.from_outside(VPN) == before | {(east, OLLAMA), (west, OLLAMA)}, 20)
    planned = world.place.arriero("plan")
    assert planned.code == 2
    assert "~ security group llm-east: ingress" in planned.out
    assert "~ network security group llm-west: rules" in planned.out
    ended = world.place.arriero("up", "--yes")
    assert ended.code == 0, ended.err
    assert wait_for(lambda: world.from_outside(VPN) == before, 20)
    assert world.place.arriero("plan").code == 0


def open_by_hand(world: World) -> None:
    """11434 for the VPN's range, in the targets' group of either cloud."""
    groups = world.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["llm-east"]}])
    world.client("ec2").authorize_security_group_ingress(
        GroupId=groups["SecurityGroups"][0]["GroupId"],
        IpProtocol="tcp",
        FromPort=OLLAMA,
        ToPort=OLLAMA,
        CidrIp="10.8.0.0/24",
    )
    rule = {
        "protocol": "Tcp",
        "access": "Allow",
        "direction": "Inbound",
        "priority": 110,
        "sourceAddressPrefix": "10.8.0.0/24",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": str(OLLAMA),
    }
    path = "/resourceGroups/llm-west/providers/Microsoft.Network/networkSecurityGroups/llm-west/securityRules/by-hand"
    made = world.hand.ask("PUT", world.hand.managed(path), {"properties": rule}, "2024-05-01", MANAGEMENT)
    assert made.status_code < 300, made.text


def test_down_leaves_no_namespace(world: World) -> None:
    mine = set(world.namespaces().values())
    assert world.place.arriero("down", "--purge", "--yes").code == 0
    assert not mine & {each["name"] for each in json.loads(run("ip", "-json", "netns"))}
