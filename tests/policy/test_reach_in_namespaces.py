"""The ways in that a check tells are exactly those that a packet filter leaves open.

The groups of a case's facts become nftables rules in a network namespace with listeners on three ports: a security
group accepts what it names and drops the rest, an NSG goes by priority and ends in Azure's own rules. Namespaces inside
and outside the site's network scan it, and what they find is held against what `reach` says. The translation into
nftables is this file's own, from the clouds' documentation; nothing of `arriero.policy` takes part in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from policy_case import as_wished, parts

from arriero.plan import place
from arriero.plan.model import SiteFacts
from arriero.policy.reach import ways
from arriero.policy.way import Way
from arriero.spec.load import load

CASES = Path(__file__).parents[1] / "cases/policy"
TARGET, NETWORK = "10.64.1.5", "10.64.0.0/16"
# Who carries a security group is known by an address here, as EC2 knows it by network interfaces; one is a gateway's
# at both clouds. 10.8.0.7 comes over a VPN.
GATEWAY, VPN = "10.64.64.4", "10.8.0.0/24"
BASE = "llm-aws-east"
CARRIED = {"group:llm-aws-east-gateway": GATEWAY}
SCANNERS = {"inside": ("10.64.2.9", GATEWAY), "outside": ("198.51.100.10", "8.8.8.8", "10.8.0.7")}
PORTS = (22, 443, 11434)
NAMES = {
    "aws-east": [
        "as-wished",
        "the-port-opened-to-everybody",
        "another-port-opened-to-everybody",
        "a-range-outside-comes-through-the-internet-gateway",
        "without-a-route-nobody-comes-from-outside",
        "without-public-addresses-nobody-comes-from-outside",
        "a-private-site-lets-in-its-gateway-alone",
        "a-private-site-and-a-vpn",
        "a-private-site-opened-by-hand",
    ],
    "azure-east": [
        "as-wished",
        "a-rule-of-an-nsg-for-everybody",
        "a-rule-of-an-nsg-for-another-port",
        "a-rule-behind-a-denial-opens-nothing",
        "an-nsg-without-its-denial",
        "a-subnet-without-its-nsg",
        "a-private-site-lets-in-its-gateway-alone",
        "a-private-site-and-a-vpn",
        "a-private-site-opened-by-hand",
    ],
}
LISTEN = f"""\
import selectors, socket
ready = selectors.DefaultSelector()
for port in {PORTS}:
    listener = socket.create_server(("{TARGET}", port), backlog=64)
    ready.register(listener, selectors.EVENT_READ)
print("listening", flush=True)
while True:
    for key, _ in ready.select():
        key.fileobj.accept()[0].close()
"""
SCAN = f"""\
import asyncio, json, sys
async def is_open(source, port):
    try:
        opened = asyncio.open_connection("{TARGET}", port, local_addr=(source, 0))
        (await asyncio.wait_for(opened, 2))[1].close()
        return True
    except (OSError, TimeoutError):
        return False
async def scan():
    asked = [[source, port] for source in sys.argv[1:] for port in {PORTS}]
    answers = await asyncio.gather(*(is_open(*each) for each in asked))
    print(json.dumps([each for each, answer in zip(asked, answers) if answer]))
asyncio.run(scan())
"""

pytestmark = [
    pytest.mark.wide,
    pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(not (shutil.which("nft") and shutil.which("ip")), reason="nftables or iproute2 is missing"),
]


def run(command: str, *more: str, text: str | None = None) -> str:
    done = subprocess.run(
        [*command.split(), *more], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, str]]:
    """Three namespaces: a target with a leg to each of the other two, and its listeners."""
    made = {each: f"arr{os.getpid()}-{each}" for each in ("target", *SCANNERS)}
    with ExitStack() as stack:
        for name in made.values():
            run(f"ip netns add {name}")
            stack.callback(run, f"ip netns del {name}")
            run(f"ip -n {name} link set lo up")
        run(f"ip -n {made['target']} address add {TARGET}/32 dev lo")
        for leg, addresses in SCANNERS.items():
            join(made["target"], made[leg], leg, addresses)
        listeners = stack.enter_context(
            subprocess.Popen(
                ["ip", "netns", "exec", made["target"], sys.executable, "-c", LISTEN],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(listeners.kill)
        assert listeners.stdout
        assert listeners.stdout.readline() == "listening\n"
        yield made


def join(target: str, scanner: str, leg: str, addresses: tuple[str, ...]) -> None:
    run(f"ip -n {target} link add {leg} type veth peer name home netns {scanner}")
    run(f"ip -n {target} link set {leg} up")
    run(f"ip -n {scanner} link set home up")
    for address in addresses:
        run(f"ip -n {scanner} address add {address}/32 dev home")
        run(f"ip -n {target} route add {address} dev {leg} src {TARGET}")
    run(f"ip -n {scanner} route add {TARGET} dev home")


@pytest.mark.parametrize(("site", "name"), [(site, name) for site, cases in NAMES.items() for name in cases])
def test_a_scan_finds_what_the_check_explains_and_nothing_else(
    site: str, name: str, names: dict[str, str], folder: Path
) -> None:
    case = parts((CASES / f"{name}.case").read_text())
    (folder / "arriero.yaml").write_text(case["spec"])
    facts = as_wished(load(Path("arriero.yaml"), None, {}).spec, case["facts"]).sites[site]
    filtered = ruleset(facts)
    run(f"ip netns exec {names['target']} nft -f -", text=filtered)
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda leg: scanned(names[leg], SCANNERS[leg]), SCANNERS)
        found = {tuple(each) for row in rows for each in row}
    told = {(a, port) for each in SCANNERS.values() for a in each for port in PORTS if is_told(ways(facts), a, port)}
    assert found == told, filtered


@pytest.mark.parametrize("site", NAMES)
def test_a_port_that_was_opened_by_hand_is_a_difference_and_closed_by_the_wish(
    site: str, names: dict[str, str], folder: Path
) -> None:
    """What the plan would set is what the scan of the case as wished finds: the gateway reaches 11434, nobody else."""
    case = parts((CASES / "a-private-site-opened-by-hand.case").read_text())
    (folder / "arriero.yaml").write_text(case["spec"])
    spec = load(Path("arriero.yaml"), None, {}).spec
    opened = as_wished(spec, case["facts"])
    assert scan_of(opened.sites[site], names) > {(GATEWAY, 11434)}
    [planned] = [each for each in place.plan(spec, opened).sites if each.site == site]
    drift = {change.kind for change in planned.changes if "group" in change.kind and change.action == "update"}
    assert drift <= {"aws.security_group", "azure.network_security_group"}
    assert drift
    closed = replace(opened.sites[site], resources=planned.wanted)
    assert scan_of(closed, names) == {(GATEWAY, 11434)}


def scan_of(facts: SiteFacts, names: dict[str, str]) -> set[tuple[Any, ...]]:
    """Who gets through to which port, with the rules of these facts."""
    run(f"ip netns exec {names['target']} nft -f -", text=ruleset(facts))
    return {tuple(each) for leg, addresses in SCANNERS.items() for each in scanned(names[leg], addresses)}


def scanned(namespace: str, addresses: tuple[str, ...]) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(run(f"ip netns exec {namespace} {sys.executable} -c", SCAN, *addresses))
    return found


def is_told(ways_in: tuple[Way, ...], source: str, port: int) -> bool:
    return any(_is_source(way.sources, source) and _is_port(way.ports, port) for way in ways_in)


def _is_source(said: str, source: str) -> bool:
    if said.startswith("what carries security group "):
        return CARRIED.get(f"group:{said.split(' ')[4]}") == source
    if said == "every network that is joined to it":
        return ip_address(source) in ip_network(VPN)
    ranges = re.findall(r"[\d.]+/\d+", said)
    return said == "everybody" or any(ip_address(source) in ip_network(each) for each in ranges)


def _is_port(said: str, port: int) -> bool:
    return said == "every port" or str(port) in re.findall(r"\d+", said)


def ruleset(facts: SiteFacts) -> str:
    rules = aws_rules(facts) if facts.cloud == "aws" else azure_rules(facts)
    lines = "\n".join(("type filter hook input priority 0; policy drop;", "ct state established accept", *rules))
    return f"flush ruleset\ntable inet site {{\nchain input {{\n{lines}\n}}\n}}\n"


def aws_rules(facts: SiteFacts) -> Iterator[str]:
    """Nothing comes from the internet without a public address and a route; what no rule names is dropped."""
    service, table = facts.find("aws.service"), facts.find("aws.route_table", BASE)
    group = facts.find("aws.security_group", BASE)
    assert service
    assert table
    assert group
    network: Any = service.properties["network"]
    if not network["public_ip"] or table.properties["default"] != "internet gateway":
        yield f'iifname "outside" ip saddr != {VPN} drop'
    lines: Any = group.properties["ingress"]
    for line in lines:
        protocol, port, peer = line.split()
        yield f"ip saddr {CARRIED.get(peer, peer)} {protocol} dport {port} accept"


def azure_rules(facts: SiteFacts) -> Iterator[str]:
    """Private addresses are reached from the virtual network and from what is joined to it. NSG rules go by priority,
    Azure's own come last.
    """
    yield f'iifname "outside" ip saddr != {VPN} drop'
    network, guard = facts.find("azure.virtual_network"), facts.find("azure.network_security_group")
    assert network
    assert guard
    subnet: Any = network.properties["subnet"]
    rules: Any = guard.properties["rules"]
    if not subnet["security_group"]:
        yield "accept"
    for line in sorted(rules.values(), key=lambda line: int(line.split()[0])):
        match = re.fullmatch(r"\d+ inbound (allow|deny) (\S+) from (\S+) to \S+:(\S+)", line)
        assert match
        verdict, protocol, sources, ports = match.groups()
        source = "" if sources in ("*", "Internet") else f"ip saddr {{ {sources} }} "
        port = "" if ports == "*" else f"{'tcp' if protocol == '*' else protocol} dport {{ {ports} }} "
        yield f"{source}{port}{'accept' if verdict == 'allow' else 'drop'}"
    yield f"ip saddr {{ {NETWORK}, {VPN} }} accept"
