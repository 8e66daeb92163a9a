"""What the spec says of its gateway reaches the gateway's settings, and what keeps it from serving is said first."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from arriero.control.settings import GatewaySettings
from arriero.deploy import edge
from arriero.deploy.gateway_settings import Places, settings_of
from arriero.deploy.project import Project
from arriero.gateway import config
from arriero.spec import docs
from arriero.spec.load import load
from arriero.spec.model import Spec

START = """\
name: llm
image: acme/ollama
models: [llama2]
sites: {a: {cloud: aws, region: us-east-1}}
"""
# Said by nobody in the spec: names and places of this program, and the side of the targets.
OTHERS = {"targets_ca", "targets_certificate", "targets_key", "targets_name"}
OTHERS |= {"targets_dns", "targets_site", "targets_resolver"}


def spec_of(folder: Path, gateway: str) -> Spec:
    (folder / "arriero.yaml").write_text(START + gateway)
    return load(folder / "arriero.yaml", None, {}).spec


def places(folder: Path) -> Places:
    return Places("127.0.0.1:1", "127.0.0.1:2", "token", "targets.json", "k.json", lambda name: str(folder / name))


def test_every_setting_of_the_reference_page_arrives(tmp_path: Path) -> None:
    (tmp_path / "arriero.yaml").write_text(docs.section("gateway"))
    settings = settings_of(load(tmp_path / "arriero.yaml", None, {}).spec, places(tmp_path))
    plain = GatewaySettings("llm", "127.0.0.1:1", "127.0.0.1:2", "token", "targets.json")
    said = {field.name for field in fields(plain) if getattr(settings, field.name) != getattr(plain, field.name)}
    unsaid = {"service", "listen", "control", "admin_token_file", "targets_file", "access_log"} | OTHERS
    as_by_default = {"workers", "limits_when_away"}
    assert said == {field.name for field in fields(plain)} - unsaid - as_by_default
    assert settings.keys_file == str(tmp_path / "keys.json")
    assert (settings.limits.queue_seconds, settings.limits.drain_seconds) == (300.0, 30.0)


def test_what_the_spec_gives_is_what_the_gateway_takes(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "gateway: {origins: ['*'], limits: {queue: 7, body: 1MiB}, prices: {in_per_million: 1}}\n")
    settings = settings_of(spec, places(tmp_path))
    settings.write(tmp_path / "gateway.json")
    assert config.load(tmp_path / "gateway.json") == settings
    assert (settings.limits.queue_length, settings.limits.body_bytes) == (7, 2**20)
    assert settings.keys_file == "k.json"


def test_what_keeps_it_from_serving_is_said_before_anything_is_done(tmp_path: Path) -> None:
    project = Project(tmp_path / "arriero.yaml")
    spec = spec_of(tmp_path, "gateway: {address: 0.0.0.0, tls: {certificate: tls.crt, key: tls.key}}\n")
    (tmp_path / "tls.crt").touch()
    assert [str(problem) for problem in edge.obstacles(project, spec)] == [
        f"gateway.tls.key: there is no file tls.key; put it at {tmp_path}/tls.key, or correct the path",
        "gateway.address: 0.0.0.0 can be reached from other machines, and there are no API keys; "
        "make one with: arriero keys add NAME, or listen on 127.0.0.1",
    ]
    named = spec_of(tmp_path, "gateway: {address: 0.0.0.0, keys: mine.json}\n")
    assert [str(problem) for problem in edge.obstacles(project, named)] == [
        "gateway.keys: there is no file mine.json; make a key with: arriero keys add NAME"
    ]
    (tmp_path / "mine.json").touch()
    assert edge.obstacles(project, named) == ()
