"""A service on the stage's clouds whose every secret is a mark, lived through from its first plan to its end.

The logins stand in a vault alone, so the environment leads to the stage's clouds without one, as in `test_vault.py`;
and it leads there over a wiretap, which keeps each message.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from places import Command, Place, free_port, wait_for
from whereabouts import Finding, Marks, Watch, in_files
from wiretap import Wiretap, tapped

from arriero.plan import stores
from key_vault import MANAGEMENT, VAULT, Hand

sys.path.insert(0, str(Path(__file__).parents[1] / "observe"))
from log_receiver import Receiver, receiving

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm:1
models: [llama2]
accounts: {{aws: "123456789012", azure: {subscription}}}
credentials: {{vault: [vault.yml], password_file: password}}
secrets: {{hf_token: "${{HF_TOKEN}}"}}
scale: {{min: 1, max: 2, by: hand}}
deploy: {{ready_within: 60s}}
gateway: {{shared_limits: {{store: "valkey://127.0.0.1:{closed}/0", password_file: valkey.password}}}}
logs: {{ship: {{to: loki, url: "{loki}", headers_file: loki.headers}}}}
sites:
  aws-east:
    cloud: aws
    region: us-east-1
    environment_from:
      FROM_MANAGER: {manager}
      FROM_SSM: {ssm}
    registry_login: {login}
"""
AZURE = """\
  azure-east:
    cloud: azure
    region: eastus
    scale:
      by: cloud
      track: {{cpu: 60%}}
      alerts: {{url: "http://127.0.0.1:{alerts}/alerts", key_file: alerts.key, port: {alerts}}}
    environment_from:
      FROM_VAULT: {vault}/secrets/token
    registry_login: {vault}/secrets/registry
"""
LOGINS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
EXPORTS = ("docker", "jenkins", "iam", "alarms", "gateway", "terraform")
LOOKS = (
    "plan --json", "status --json", "logs", "doctor", "history --json", "show 1 --json", "cost --json", "check --json",
    "lock status", "keys list --json", "config --json", "env --json",
    "env -- ansible-inventory -i fleet.arriero.yml --list",
)  # fmt: skip
REFERENCES = ("manager", "ssm", "login")
CONTROL = ("/status", "/state", "/load", "/targets", "/trial", "/figures", "/releases")


@dataclass
class Life:
    """What was found of a service that came, changed and went. Its repr shows no mark."""

    place: Place = field(repr=False)
    marks: Marks
    ended: list[tuple[str, int]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list, repr=False)
    findings: set[Finding] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    inside: list[dict[str, set[str]]] = field(default_factory=list)
    files: int = 0
    messages: set[str] = field(default_factory=set)

    def run(self, words: str, **environment: str) -> Command:
        done = self.place.arriero(*words.split(), **environment)
        self.ended.append((words, done.code))
        self.said += [(f"output of {words}", done.out), (f"complaints of {words}", done.err)]
        return done

    def complaints(self) -> str:
        """What was said on stderr, as it may be shown."""
        return "\n".join(f"{w}: {self.marks.without(t)[-400:]}" for w, t in self.said if t and w.startswith("compl"))

    def look(self) -> None:
        """At all files that are there now, and at what the servers of targets have in their environment."""
        folder = self.place.folder
        self.files = max(self.files, sum(path.is_file() for path in folder.rglob("*")))
        self.findings |= set(in_files(self.marks, [folder], folder))
        self.inside.append(_targets(self.marks))


class Hooks:
    """Takes what is posted to Slack, and refuses what is posted to the other webhook; keeps all of it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                heard.append((self.path, f"{self.headers}{body}"))
                self.send_response(200 if "/slack/" in self.path else 400)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hooks:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def lived(place: Place) -> Iterator[Life]:
    """The life, told once it is over."""
    life = Life(place, Marks())
    with receiving() as loki, Hooks() as hooks:
        found = opened(life, loki.url)
        clear = dict(place.always)
        with tapped(found["AWS_ENDPOINT_URL"], found["HTTPS_PROXY"], place.stage / "azure") as wire:
            place.always |= {"AWS_ENDPOINT_URL": wire.aws, "HTTPS_PROXY": wire.azure, "https_proxy": wire.azure}
            folders = [place.folder / ".arriero/runs", place.folder / "tmp"]
            with Watch(life.marks, program, folders, place.folder) as watch:
                _live(life, Hand(found), hooks)
            place.always = clear
        life.findings |= set(watch.findings())
        life.programs = watch.programs
        _heard(life, wire, loki, hooks)
    yield life


def opened(life: Life, loki: str) -> dict[str, str]:
    """The stage is up, the spec and its files lie there, every mark where it is kept; the stage's own environment."""
    place, ports = life.place, [free_port() for _ in range(2)]
    values = {"loki": loki, "closed": ports[0], "alerts": ports[1], "vault": VAULT, "subscription": SUBSCRIPTION}
    early = {name: f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf" for name in REFERENCES}
    spec = place.folder / "arriero.yaml"
    spec.write_text(SPEC.format(**values, **early))
    place.always = {"TMPDIR": str(place.folder / "tmp"), "HF_TOKEN": life.marks.plant("variable")}
    for name in ("tmp", "out"):
        (place.folder / name).mkdir()
    assert place.arriero("rehearse", "start").code == 0
    found: dict[str, str] = place.arriero("env", "--json", ARRIERO_REHEARSE="1").json["environment"]
    life.marks.know("Azure login", found["AZURE_CLIENT_SECRET"])
    values |= _kept(life.marks, found)
    spec.write_text((SPEC + AZURE).format(**values))
    (place.folder / "aws-only.yaml").write_text(SPEC.format(**values))
    (place.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
    _write_files(life, found)
    hidden = (*LOGINS, "AZURE_SECRET", "AZURE_TENANT")
    clear = {name: "" if name in hidden else value for name, value in found.items() if name != "ARRIERO_ACCOUNTS"}
    place.always = {**clear, **place.always}
    return found


def _kept(marks: Marks, found: Mapping[str, str]) -> dict[str, Any]:
    """Each cloud keeps what is its own; the references that the spec needs."""
    hand = Hand(found)
    hand.make_vault()
    hand.keep("token", marks.plant("Key Vault"))
    hand.keep("registry", _login(marks.plant("Azure registry")))
    keys = {key.lower(): found[key] for key in LOGINS[:2]}
    where = {"region_name": "us-east-1", "endpoint_url": found["AWS_ENDPOINT_URL"], **keys}
    secrets, parameters = boto3.client("secretsmanager", **where), boto3.client("ssm", **where)
    manager = secrets.create_secret(Name="llm/manager", SecretString=marks.plant("Secrets Manager"))["ARN"]
    registry = secrets.create_secret(Name="llm/registry", SecretString=_login(marks.plant("AWS registry")))["ARN"]
    parameters.put_parameter(Name="/llm/ssm", Value=marks.plant("SSM"), Type="SecureString")
    return {"manager": manager, "login": registry, "ssm": parameters.get_parameter(Name="/llm/ssm")["Parameter"]["ARN"]}


def _write_files(life: Life, found: Mapping[str, str]) -> None:
    """The user's own; the vault is encrypted as users do it."""
    folder, marks = life.place.folder, life.marks
    logins = {**found, "AWS_SECRET_ACCESS_KEY": marks.plant("AWS login")}
    for name, text in {
        "password": marks.plant("vault password"),
        "alerts.key": marks.plant("alerts key"),
        "valkey.password": marks.plant("store password"),
        "loki.headers": f"Authorization: Bearer {marks.plant('log header')}\n",
        "vault.yml": "".join(f"{name.lower()}: {json.dumps(logins[name])}\n" for name in LOGINS),
    }.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    program = Path(sys.executable).with_name("ansible-vault")
    command = [program, "encrypt", "--vault-password-file=password", "vault.yml"]
    environment = {**os.environ, "HOME": found["HOME"]}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)


def _live(life: Life, hand: Hand, hooks: Hooks) -> None:
    """Its first plan, two releases, a way back, three failures and its end."""
    folder, marks = life.place.folder, life.marks
    for words in ("plan", "config", "up --yes"):
        life.run(words)
    keys = _keys(life)
    _know_what_was_made(life, hand)
    life.look()
    _used(life, keys)
    for words in LOOKS:
        life.run(words)
    for kind in EXPORTS:
        life.run(f"export {kind} --out out/{kind}")
    life.run("export terraform --out out/terraform -f aws-only.yaml")
    slack, webhook = (f"{hooks.url}/{name}/{marks.plant(f'{name} address', '')}" for name in ("slack", "webhook"))
    told = {"SLACK_WEBHOOK_URL": slack, "ARRIERO_WEBHOOK_URL": webhook}
    life.run("notify failure", **told)  # by the proxy, which lets nobody but the clouds through
    life.run("notify success", **told, HTTPS_PROXY="", https_proxy="")
    hand.keep("token", marks.plant("Key Vault, later"))
    for words in ("plan", "up --yes --json"):
        life.run(words)
    life.look()
    spec = folder / "arriero.yaml"
    second = spec.read_text().replace("ollama-llm:1", "ollama-llm:2")
    spec.write_text(second)
    for words in ("up --yes", "rollback --yes", "logs"):
        life.run(words)
    spec.write_text(second.replace("ollama-llm:2", "ollama-llm:exit-1"))
    life.run("up --yes")
    hand.keep("registry", f"puller:{marks.plant('broken registry')}")
    spec.write_text(second)
    (folder / "wrong").write_text("wrong")
    for words in ("up --yes --json", "history", "show 4", "plan --vault-password-file wrong", "logs"):
        life.run(words)
    _used(life, keys)
    life.look()
    life.run("down --purge --yes")
    life.look()


def _keys(life: Life) -> dict[str, str]:
    """The text of each key, by its name."""
    found = {}
    for name, words in {
        "former": "add app --requests-a-minute 600", "user": "rotate app --overlap 1h",
        "admin": "add boss --role admin", "viewer": "add looker --role viewer",
    }.items():  # fmt: skip
        done = life.place.arriero("keys", *words.split())
        found[name] = done.out.split()[-1]
        life.marks.know(f"{name} key", found[name].split("_", 2)[2])
        verb = f"keys {words.split()[0]}"
        life.said += [(f"output of {verb}", done.out), (f"complaints of {verb}", done.err)]
    return found


def _know_what_was_made(life: Life, hand: Hand) -> None:
    """The control port's token, and the key with which blobs of the ledger are read and written."""
    life.marks.know("control token", (life.place.folder / ".arriero/edge/token").read_text().strip())
    group, account = stores.group_name("llm"), stores.name("azure", "llm", SUBSCRIPTION)
    path = f"/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{account}/listKeys"
    told = hand.ask("POST", hand.managed(path), None, "2023-05-01", MANAGEMENT)
    life.marks.know("ledger key", told.json()["keys"][0]["value"])


def _used(life: Life, keys: Mapping[str, str]) -> None:
    """Asked through the gateway by each key and by a wrong one, validated, and looked at by its control port."""
    edge = json.loads((life.place.folder / ".arriero/edge/edge.json").read_text())
    # A gateway takes new keys up within two seconds.
    assert wait_for(lambda: _answer(edge["url"], "/api/tags", keys["user"])[0] == 200, 20)
    for key in (*keys.values(), "", f"{keys['user']}x"):
        for path in ("/", "/api/tags", "/v1/models", "/metrics", "/api/generate"):
            life.said.append(("answer of the gateway", _answer(edge["url"], path, key)[1]))
    token = (life.place.folder / ".arriero/edge/token").read_text().strip()
    for path in CONTROL:
        status, said = _answer(edge["control_url"], path, token)
        assert status == 200
        life.said.append(("answer of the control port", said))
    life.run("ask Hello --json", ARRIERO_KEY=keys["user"])
    # It looks at the gateway's figures, too.
    life.run("validate --json --save out/v.json --junit out/v.xml", ARRIERO_KEY=keys["admin"])


def _answer(url: str, path: str, key: str) -> tuple[int, str]:
    """The status, and the head and the body as text."""
    connection = http.client.HTTPConnection(url.rpartition("/")[2], timeout=30)
    body = json.dumps({"model": "llama2", "prompt": "Hello", "stream": False}) if path == "/api/generate" else None
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("POST" if body else "GET", path, body, headers)
        answer = connection.getresponse()
        return answer.status, f"{answer.headers}{answer.read().decode()}"
    finally:
        connection.close()


def _heard(life: Life, wire: Wiretap, loki: Receiver, hooks: Hooks) -> None:
    """What was said to the clouds, to the receiver of logs and to whom builds are told."""
    for message in wire.messages:
        life.messages.add(message.place)
        life.findings |= set(life.marks.findings(message.place, message.place, bytes(message.data)))
    life.said += [("lines sent to Loki", str(got)) for got in loki.got]
    life.said += [("headers sent to Loki", str(head)) for head in loki.heads]
    for path, said in hooks.heard:
        name = path.split("/")[1]
        life.said += [(f"address of a message to {name}", path), (f"message to {name}", said)]
    for where, text in life.said:
        life.findings |= set(life.marks.findings(where, where, text.encode()))


def program(line: bytes, environment: bytes, folder: str) -> str:
    """What a process is, in a word."""
    variables = {part.partition(b"=")[0] for part in environment.split(b"\0")}
    if b"ARRIERO_PARENT" in variables:
        kind = "sidecar" if b"rehearse.beside" in line else "Ollama"
        return f"the {kind} at {'Azure' if 'llm-azure-east' in folder else 'AWS'}"
    if b"ansible-vault" not in line and (b"ANSIBLE_LOCAL_TEMP" in variables or b"ansible-" in line):
        return "Ansible"
    for sign, name in (
        (b"ansible-vault", "ansible-vault"),
        (b"arriero.rehearse", "the stage"),
        (b"arriero.gateway", "the gateway"),
        (b"arriero.deploy.guard", "the guard of a run"),
        (b"\0controller\0run", "the controller"),
        (b"-m\0arriero\0", "the command line"),
        (b"arriero.deploy.with_credentials", "Ansible"),
    ):
        if sign in line:
            return name
    return f"another program, {Path(line.split(bytes(1))[0].decode(errors='replace')).name}"


def _targets(marks: Marks) -> dict[str, set[str]]:
    """By what they are, the marks that the servers of targets have in their environment now."""
    found: dict[str, set[str]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line, held = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            what = program(line, held, str((process / "cwd").readlink()))
        except OSError:
            continue
        if what.startswith("the Ollama") and (names := {name for name, _, _ in marks.find(held)}):
            found.setdefault(what, set()).update(names)
    return found


def _login(password: str) -> str:
    return json.dumps({"username": "puller", "password": password})
