"""Which ports answer at an address besides the one that should."""

from __future__ import annotations

import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address

# What is most often left open by mistake beside a model server: shells, container engines, stores, dashboards,
# exporters, debuggers, other model servers, and the neighbours of Ollama's own port.
LIKELY = (
    21, 22, 23, 25, 53, 80, 81, 111, 135, 139, 143, 389, 443, 445, 631, 873, 1433, 1521, 2049, 2181, 2375, 2376, 2379,
    2380, 3000, 3001, 3128, 3306, 3389, 4000, 4040, 4194, 4317, 4318, 4443, 5000, 5001, 5432, 5555, 5601, 5672, 5678,
    5900, 5984, 5985, 6000, 6006, 6379, 6443, 7000, 7474, 7860, 8000, 8001, 8008, 8080, 8081, 8082, 8086, 8088, 8090,
    8200, 8265, 8443, 8500, 8787, 8888, 9000, 9042, 9090, 9091, 9092, 9093, 9100, 9115, 9200, 9300, 9400, 9411, 9999,
    10000, 10250, 10255, 11211, 11433, 11434, 11435, 11436, 15672, 16686, 27017, 50051, 50070, 61208,
)  # fmt: skip
KNOCK_SECONDS = 1.0
# No server of ours ever listens there: what answers is the machine's own, on all of its addresses.
NOBODYS = "127.255.255.254"


def opened(host: str, ports: Collection[int] = LIKELY) -> tuple[int, ...]:
    """Those ports of `ports` that accept a connection. On loopback the machine's own are left out: they answer at every
    address of it, and belong to no target.
    """
    with ThreadPoolExecutor(max_workers=48, thread_name_prefix="knock") as pool:
        found = [
            port for port, is_open in zip(ports, pool.map(lambda p: knock(host, p), ports), strict=True) if is_open
        ]
    if not _is_loopback(host):
        return tuple(found)
    return tuple(port for port in found if not knock(NOBODYS, port))


def knock(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(KNOCK_SECONDS)
        return probe.connect_ex((host, port)) == 0


def _is_loopback(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"
