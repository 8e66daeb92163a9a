"""Who gets through to what runs on the emulated Azure, by the network security groups that are stored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from arriero.rehearse.azure import firewalls
from arriero.rehearse.azure.world import World
from arriero.rehearse.namespaces import JOINED, Rule

BASE = "/subscriptions/s/resourcegroups/llm/providers"
NETWORK = f"{BASE}/microsoft.network/virtualnetworks/llm"
GUARD = f"{BASE}/microsoft.network/networksecuritygroups/llm"
GROUPS, APP = f"{BASE}/microsoft.containerinstance/containergroups", f"{BASE}/microsoft.app/containerapps/edge"
AROUND = f"{BASE}/microsoft.app/managedenvironments/edge"
TARGET, NEIGHBOUR, REPLICA = f"{GROUPS}/one", f"{GROUPS}/two", f"{APP}/revisions/r/replicas/a"
DEFAULTS = (
    {"direction": "Inbound", "priority": 65000, "access": "Allow", "sourceAddressPrefix": "VirtualNetwork"},
    {"direction": "Inbound", "priority": 65001, "access": "Allow", "sourceAddressPrefix": "AzureLoadBalancer"},
    {"direction": "Inbound", "priority": 65500, "access": "Deny", "sourceAddressPrefix": "*"},
)


def group(address: str, subnet: str = "targets") -> dict[str, Any]:
    subnets = [{"id": f"{NETWORK}/subnets/{subnet}"}] if subnet else []
    ports = [{"port": 11434}]
    return {"properties": {"subnetIds": subnets, "ipAddress": {"ip": address, "ports": ports}}}


def world(*rules: dict[str, Any], **more: Any) -> World:
    """Two groups in one subnet, and a replica of an app in another one of the same network."""
    given = [{"properties": {"destinationPortRange": "*", **each}} for each in DEFAULTS]
    resources = {
        f"{NETWORK}/subnets/targets": {
            "properties": {"addressPrefix": "10.64.0.0/24", "networkSecurityGroup": {"id": GUARD}}
        },
        f"{NETWORK}/subnets/edges": {"properties": {"addressPrefix": "10.64.64.0/18"}},
        GUARD: {"properties": {"defaultSecurityRules": given}},
        TARGET: group("127.9.1.1"),
        NEIGHBOUR: group("127.9.1.2"),
        AROUND: {
            "properties": {
                "staticIp": "127.9.1.9",
                "vnetConfiguration": {"infrastructureSubnetId": f"{NETWORK}/subnets/edges"},
            }
        },
        APP: {"properties": {"environmentId": AROUND}},
        REPLICA: {"properties": {"ipAddress": {"ip": "127.9.1.3"}}},
        **more,
    }
    for number, rule in enumerate(rules):
        told = {"direction": "Inbound", "priority": 100 + number, "destinationPortRange": "11434", **rule}
        resources[f"{GUARD}/securityrules/r{number}"] = {"properties": told}
    state = SimpleNamespace(resources=resources, runs=dict.fromkeys((TARGET, NEIGHBOUR, REPLICA)))
    return cast(World, SimpleNamespace(state=state, find=lambda key: resources.get(key.lower())))


def told(made: World, key: str = TARGET) -> list[Rule]:
    return list(firewalls.rules(made, key))


def test_azures_own_rules_let_in_the_network_and_what_is_joined() -> None:
    assert [str(rule) for rule in told(world()) if rule.lets] == [
        f"ip saddr {source} tcp dport 0-65535 accept"
        for source in ("127.9.1.1/32", "127.9.1.2/32", "127.9.1.3/32", *JOINED)
    ]


def test_rules_count_by_their_priority_and_name_who_is_where() -> None:
    made = world(
        {"access": "Allow", "sourceAddressPrefix": "10.64.64.0/18"},
        {"access": "Deny", "sourceAddressPrefix": "*", "destinationPortRange": "*"},
    )
    assert told(made)[:2] == [
        Rule("127.9.1.3/32", (11434, 11434)),
        Rule("10.64.64.0/18", (11434, 11434)),
    ]
    assert not any(rule.lets for rule in told(made)[2 : 2 + 3 + len(JOINED)])


def test_what_comes_from_the_internet_reaches_no_private_address() -> None:
    opened = [{"access": "Allow", "sourceAddressPrefix": each} for each in ("Internet", "198.51.100.0/24")]
    closed = {"access": "Deny", "sourceAddressPrefix": "*", "destinationPortRange": "*"}
    assert not any(rule.lets for rule in told(world(*opened, closed))[: 3 + len(JOINED)])


def test_several_sources_and_ports_are_each_with_each() -> None:
    rule = {"access": "Allow", "sourceAddressPrefixes": ["10.8.0.0/24", "10.9.0.0/24"]}
    made = world({**rule, "destinationPortRanges": ["22", "80-90"]})
    assert told(made)[:4] == [
        Rule(source, ports) for ports in ((22, 22), (80, 90)) for source in ("10.8.0.0/24", "10.9.0.0/24")
    ]


def test_another_protocol_opens_nothing() -> None:
    made = world({"access": "Allow", "protocol": "Udp", "sourceAddressPrefix": "10.8.0.0/24"})
    assert told(made) == told(world())


def test_a_group_in_no_network_is_reached_by_everybody_at_its_ports() -> None:
    assert told(world(**{TARGET: group("127.9.1.1", subnet="")})) == [Rule("0.0.0.0/0", (11434, 11434))]


def test_replicas_are_reached_through_their_ingress_alone() -> None:
    assert told(world(), REPLICA) == [Rule("127.9.1.9/32")]
    assert list(firewalls.doors(world())) == [("127.9.1.9", (Rule("0.0.0.0/0"),))]


def test_a_virtual_machine_is_where_its_interface_is() -> None:
    machine, interface = (
        f"{BASE}/microsoft.compute/virtualmachines/vm",
        f"{BASE}/microsoft.network/networkinterfaces/vm",
    )
    configuration = {"subnet": {"id": f"{NETWORK}/subnets/targets"}, "privateIPAddress": "127.9.1.7"}
    made = world(
        {"access": "Allow", "sourceAddressPrefix": "10.64.0.0/24"},
        **{
            machine: {"properties": {"networkProfile": {"networkInterfaces": [{"id": interface}]}}},
            interface: {"properties": {"ipConfigurations": [{"properties": configuration}]}},
        },
    )
    made.state.runs[machine] = cast(Any, None)
    assert told(made, machine) == told(made)
    assert Rule("127.9.1.7/32", (11434, 11434)) in told(made)
