"""A rehearsal never reaches a real account, whatever the user's own environment says.

The environment is polluted with everything that leads SDKs and modules to real clouds. Then the names of the variables
that children get are held against a list, and packets are counted: in a network namespace whose only way out is an
interface of ours, with a default route, so that a packet for the outside would pass its counter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import LIMIT_SECONDS, Command, Place

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, by: hand}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
OUTSIDE = "203.0.113.10"  # RFC 5737: documentation only
# What a child of a rehearsal gets: from the user's own environment only what leads nowhere…
PASSED_ON = {
    "PATH", "LANG", "LC_ALL", "TERM", "TZ", "USER", "LOGNAME", "COLUMNS", "NO_COLOR", "VIRTUAL_ENV",
}  # fmt: skip
# … and from the stage where its clouds are, and its stand-ins for credentials.
OF_THE_STAGE = {
    "HOME", "ARRIERO_OLLAMA", "ARRIERO_ACCOUNTS",
    "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "HTTPS_PROXY", "https_proxy", "REQUESTS_CA_BUNDLE", "AZURE_CONFIG_DIR",
    "AZURE_SUBSCRIPTION_ID", "AZURE_CLIENT_ID", "AZURE_SECRET", "AZURE_CLIENT_SECRET", "AZURE_TENANT",
    "AZURE_TENANT_ID",
}  # fmt: skip


@dataclass(kw_only=True)
class Enclosed(Place):
    """A place whose commands all run in one network namespace, under a polluted environment."""

    namespace: int
    pollution: dict[str, str]

    def arriero(self, *arguments: str, **environment: str) -> Command:
        ended = self.run([sys.executable, "-m", "arriero", *arguments])
        return Command(ended.returncode, ended.stdout, ended.stderr)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "--net", f"--target={self.namespace}", *command],
            cwd=self.folder,
            env={**os.environ, **self.pollution},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    def packets_out(self) -> int:
        """Packets for the outside so far: sent, failed and dropped ones (columns 10 to 12 of /proc/net/dev)."""
        table = Path(f"/proc/{self.namespace}/net/dev").read_text()
        line = next(line for line in table.splitlines() if line.lstrip().startswith("way-out:"))
        return sum(map(int, line.partition(":")[2].split()[8:12][1:]))

    def call_out(self) -> None:
        """One packet for the outside, as proof that such packets are counted."""
        code = f"import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ({OUTSIDE!r}, 443))"
        assert self.run([sys.executable, "-c", code]).returncode == 0


def pollution(folder: Path) -> dict[str, str]:
    """Every variable and folder that leads SDKs, Ansible or HTTP clients to a real cloud, as a user may have them."""
    home = folder / "home"
    write(home / ".aws/config", "[profile real]\nregion = us-east-1\nendpoint_url = https://203.0.113.10\n")
    write(
        home / ".aws/credentials", f"[real]\naws_access_key_id = AKIA{'A' * 16}\naws_secret_access_key = {'s' * 40}\n"
    )
    write(
        home / ".azure/azureProfile.json", '{"subscriptions": [{"id": "real", "isDefault": true, "state": "Enabled"}]}'
    )
    write(home / ".azure/msal_token_cache.json", '{"AccessToken": {}}')
    write(home / ".ansible.cfg", "[defaults]\nremote_tmp = /nowhere\n")
    proxies = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), f"http://{OUTSIDE}"
    )
    ours = dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_STS"), f"https://{OUTSIDE}")
    return {
        **proxies,
        **ours,
        "NO_PROXY": "*",
        "no_proxy": "*",
        "HOME": str(home),
        "AWS_PROFILE": "real",
        "AWS_DEFAULT_PROFILE": "real",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_CONFIG_FILE": str(home / ".aws/config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / ".aws/credentials"),
        "AWS_ACCESS_KEY_ID": "AKIA" + "B" * 16,
        "AWS_SECRET_ACCESS_KEY": "b" * 40,
        "AWS_SESSION_TOKEN": "c" * 40,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / ".aws/config"),
        "AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/real",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{OUTSIDE}/credentials",
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
        "AZURE_CONFIG_DIR": str(home / ".azure"),
        "AZURE_CLIENT_ID": "99999999-9999-9999-9999-999999999999",
        "AZURE_CLIENT_SECRET": "d" * 40,
        "AZURE_SUBSCRIPTION_ID": "99999999-9999-9999-9999-999999999999",
        "AZURE_AUTHORITY_HOST": f"https://{OUTSIDE}",
        "AZURE_CLOUD_ENVIRONMENT": "AzureUSGovernment",
        "IDENTITY_ENDPOINT": f"http://{OUTSIDE}/msi",
        "IDENTITY_HEADER": "e" * 40,
        "MSI_ENDPOINT": f"http://{OUTSIDE}/msi",
        "ANSIBLE_CONFIG": str(home / ".ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "json",
        "OLLAMA_HOST": f"{OUTSIDE}:11434",
        "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    }


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Nothing is deployed here."""
    there = Place(tmp_path_factory.mktemp("polluted"))
    write(there.folder / "arriero.yaml", SPEC)
    try:
        yield there
    finally:
        there.arriero("rehearse", "stop")


@pytest.fixture
def enclosed(tmp_path: Path) -> Iterator[Enclosed]:
    if os.geteuid() != 0:
        pytest.skip("a network namespace with an interface in it takes root")
    if missing := [tool for tool in ("unshare", "nsenter", "ip") if not shutil.which(tool)]:
        pytest.skip(f"not installed here: {', '.join(missing)}")
    write(tmp_path / "arriero.yaml", SPEC)
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec sleep 3600"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"up\n"
        there = Enclosed(folder=tmp_path, namespace=holder.pid, pollution=pollution(tmp_path))
        give_a_way_out(there)
        try:
            yield there
        finally:
            there.arriero("down", "--purge", "--yes")
            there.arriero("rehearse", "stop")
    finally:
        holder.kill()
        holder.wait()


def give_a_way_out(there: Enclosed) -> None:
    """An interface with a default route, behind a neighbour taken for granted: so each packet for outside is sent."""
    commands = (
        "ip link set lo up",
        "ip link add way-out type veth peer name beyond",
        "sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
        "ip address add 192.0.2.2/24 dev way-out",
        "ip link set way-out up",
        "ip link set beyond up",
        "ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev way-out nud permanent",
        "ip route add default via 192.0.2.1 dev way-out",
    )
    for command in commands:
        done = there.run(command.split())
        assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.story
def test_what_a_child_gets_is_on_the_list_and_from_the_stage(place: Place, tmp_path: Path) -> None:
    planted = pollution(tmp_path)
    shown = place.arriero("env", "--json", **planted)
    assert shown.code == 0, shown.err
    environment = shown.json["environment"]
    foreign = {name for name in environment if not name.startswith("ANSIBLE_")} - PASSED_ON - OF_THE_STAGE
    assert foreign == set()
    assert {name: value for name, value in environment.items() if planted.get(name) == value} == {}
    assert OUTSIDE not in str(environment)
    assert Path(environment["HOME"]).is_relative_to(place.stage)


@pytest.mark.story
def test_a_plan_under_a_polluted_environment_asks_the_stage_alone(place: Place, tmp_path: Path) -> None:
    plan = place.arriero("plan", **pollution(tmp_path))
    assert plan.code == 2, plan.err
    assert "2 sites" in plan.out
    assert {call["cloud"] for call in place.calls()} == {"aws", "azure"}


@pytest.mark.story
@pytest.mark.wide
def test_no_packet_leaves_while_a_site_of_each_cloud_comes_and_goes(enclosed: Enclosed) -> None:
    enclosed.call_out()
    before = enclosed.packets_out()
    assert before > 0, "the counter counts nothing"
    plan = enclosed.arriero("plan")
    assert plan.code == 2, plan.err
    up = enclosed.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert enclosed.arriero("ask", "Is anybody out there?").code == 0
    down = enclosed.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err
    assert enclosed.packets_out() == before
    enclosed.call_out()
    assert enclosed.packets_out() > before
