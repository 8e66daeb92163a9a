"""`examples/nginx-in-a-container`: what it would register at AWS and put at Azure, and Debian's nginx started by the
very commands of both, as nobody, in a temporary folder of its own, with nothing but what those containers get.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from arriero.cli import main
from arriero.clock import SystemClock
from arriero.rehearse.azure import schemas
from behind import Behind
from self_signed import issue, shown
from way_in import key_and_hashes

EXAMPLE = Path(__file__).parents[2] / "examples" / "nginx-in-a-container"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
IMAGE = re.compile(r"nginx@sha256:[0-9a-f]{64}")
NOBODY = 65534
GATEWAYS = "10.0.1.5:11434, 10.0.2.5:11434"
Start = Callable[[str, Path], tuple[list[str], dict[str, str]]]


def read(name: str) -> Any:
    return json.loads((EXAMPLE / name).read_text())


def ready_task(configuration: str) -> dict[str, Any]:
    """As the documented jq writes it."""
    task: dict[str, Any] = read("task.json")
    [program] = re.findall(r"jq --rawfile c front/nginx.conf '([^']+)'", documented())
    words = ["jq", "--arg", "c", configuration, program, str(EXAMPLE / "task.json")]
    if shutil.which("jq"):
        return dict(json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout))
    task["containerDefinitions"][0]["environment"][0]["value"] = configuration
    return task


def documented() -> str:
    return (EXAMPLE.parents[1] / "docs" / "ingress.md").read_text()


def exported(folder: Path, others: Mapping[str, str] | None = None) -> str:
    """What `arriero export nginx` writes for the example, with other words in its spec."""
    text = (EXAMPLE / "arriero.yaml").read_text()
    for old, new in (others or {}).items():
        assert old in text
        text = text.replace(old, new)
    (folder / "arriero.yaml").write_text(text)
    key_and_hashes(folder)
    assert main.run(["export", "nginx", "-f", str(folder / "arriero.yaml"), "--out", str(folder / "front")]) == 0
    return (folder / "front" / "nginx.conf").read_text()


def group_of(values: Mapping[str, str]) -> dict[str, Any]:
    """The template's one resource, with parameters as Azure puts them in."""

    def put(found: Any) -> Any:
        if isinstance(found, dict):
            return {name: put(value) for name, value in found.items()}
        if isinstance(found, list):
            return [put(each) for each in found]
        if isinstance(found, str) and found.startswith("["):
            name = re.fullmatch(r"\[(?:base64\()?parameters\('(\w+)'\)\)?\]", found)
            return values[name[1]] if name else "eastus"
        return found

    [resource] = read("group.json")["resources"]
    return dict(put(resource))


def test_aws_would_take_the_task(tmp_path: Path) -> None:
    task = ready_task(exported(tmp_path))
    model = botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
    report = ParamValidator().validate(task, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    [container] = task["containerDefinitions"]
    assert IMAGE.fullmatch(container["image"])
    # ECS takes no more of it all.
    assert len(json.dumps(task).encode()) < 64 * 1024
    # What is secret is named, and nowhere said.
    assert {entry["name"] for entry in container["secrets"]} == {"CERTIFICATE", "KEY"}
    assert [entry["name"] for entry in container["environment"]] == ["CONFIGURATION"]


def test_azure_would_take_the_group(tmp_path: Path) -> None:
    values = {"configuration": exported(tmp_path), "certificate": "c", "key": "k", "subnet": "/subscriptions/s"}
    group = group_of(values)
    schemas.check(group["type"], group["apiVersion"], (group["name"],), group)
    [container] = group["properties"]["containers"]
    assert IMAGE.fullmatch(container["properties"]["image"])
    template, given = read("group.json")["parameters"], read("group.parameters.json")["parameters"]
    assert set(template) == {*given, "configuration"}
    secret = {name for name, entry in template.items() if entry["type"] == "securestring"}
    assert secret == {name for name, entry in given.items() if "reference" in entry} == {"certificate", "key"}


def at_aws(configuration: str, volume: Path) -> tuple[list[str], dict[str, str]]:
    """The command, and all of its environment; nothing is mounted."""
    [container] = ready_task(configuration)["containerDefinitions"]
    given = {entry["name"]: entry["value"] for entry in container["environment"]}
    given |= {name: (volume / file).read_text() for name, file in (("CERTIFICATE", "tls.crt"), ("KEY", "tls.key"))}
    for file in volume.iterdir():
        file.unlink()
    return [*container["entryPoint"], *container["command"]], given


def at_azure(configuration: str, volume: Path) -> tuple[list[str], dict[str, str]]:
    """The command, which has its files in a volume, and no environment."""
    (volume / "nginx.conf").write_text(configuration)
    [container] = group_of({"configuration": "", "certificate": "", "key": "", "subnet": ""})["properties"][
        "containers"
    ]
    return container["properties"]["command"], {}


@contextlib.contextmanager
def contained(command: list[str], given: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs it as nobody, with a /tmp of its own that is empty but for the volume, and no environment but `given`.

    What it says goes to `said`, which it may open anew, as container runtimes let it.
    """
    prepare = (
        f"mount --bind {folder / 'volume'} /mnt; mount -t tmpfs -o mode=1777 tmpfs /tmp; "
        "if [ -e /mnt/nginx.conf ]; then mkdir /tmp/front; cp /mnt/* /tmp/front; chmod 644 /tmp/front/*; fi; "
        f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all "$@"'
    )
    with (folder / "said").open("ab") as said:
        os.chown(folder / "said", NOBODY, NOBODY)
        running = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", prepare, "sh", *command],
            env={"PATH": f"{os.environ['PATH']}:/usr/sbin", **given},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd="/",
            start_new_session=True,
        )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.fixture
def one() -> Iterator[Behind]:
    with Behind("one").served() as behind:
        yield behind


@pytest.mark.story
@pytest.mark.wide
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx)")
@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")
@pytest.mark.parametrize("at", [at_aws, at_azure])
def test_its_command_serves_with_nothing_but_that_and_lets_streams_end(at: Start, tmp_path: Path, one: Behind) -> None:
    port, volume = free_port(), tmp_path / "volume"
    volume.mkdir()
    issue(volume, 7)
    command, given = at(exported(tmp_path, {"8443": str(port), GATEWAYS: one.address}), volume)
    with contained(command, given, tmp_path) as running:
        assert until(lambda: shown(port) == 7), (tmp_path / "said").read_text()
        opened = ask(port, "POST", "/api/generate")
        assert (ask(port, "GET", "/api/version").read(), opened.read(3)) == (b"one", b"one")
        running.send_signal(signal.SIGTERM)
        assert until(lambda: not is_open(port))
        assert running.poll() is None
        one.go_on.set()
        assert opened.read() == b"end"
        assert running.wait(10) == 0
        lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
        assert {line["path"] for line in lines} == {"/api/version", "/api/generate"}


def ask(port: int, method: str, path: str) -> http.client.HTTPResponse:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    connection.request(method, path, b"{}" if method == "POST" else None, {"Host": "llm.example.com"})
    return connection.getresponse()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], bool]) -> bool:
    """Whether it is so within ten seconds; who refuses a connection is asked again."""
    clock = SystemClock()
    deadline = clock.monotonic() + 10
    while clock.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if is_so():
                return True
        clock.sleep(0.02)
    return False
