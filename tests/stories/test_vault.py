"""Logins that stand in a vault and nowhere else: each verb and Ansible find them, and nobody else does.

A rehearsal reads no vault. So this one is left, with an environment that leads to the stage's clouds without a login.
The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import Onlooker, Place, open_spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
accounts: {aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}
credentials: {vault: [vault.yml]}
scale: {min: 1}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
FLEET = "plugin: arriero.fleet.fleet\n"
PASSWORD = "planted-password-51c0"
AWS_SECRET = "planted-aws-secret-51c0"
LOGINS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
OPTION = ("--vault-password-file", "password")


@pytest.fixture(scope="module")
def vaulted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Its stage is up, and the environment leads there; `hidden` is what only the vault says."""
    for place in open_spec(tmp_path_factory.mktemp("vaulted"), SPEC):
        assert place.arriero("rehearse", "start").code == 0
        found = place.arriero("env", "--json", ARRIERO_REHEARSE="1").json["environment"]
        write_vault(place, {**found, "AWS_SECRET_ACCESS_KEY": AWS_SECRET})
        hidden = (*LOGINS, "AZURE_SECRET", "AZURE_TENANT")
        place.always = {n: "" if n in hidden else v for n, v in found.items() if n != "ARRIERO_ACCOUNTS"}
        yield place


def write_vault(place: Place, found: dict[str, str]) -> None:
    (place.folder / "fleet.arriero.yml").write_text(FLEET)
    (place.folder / "password").write_text(PASSWORD)
    (place.folder / "vault.yml").write_text("".join(f"{name.lower()}: '{found[name]}'\n" for name in LOGINS))
    program = Path(sys.executable).with_name("ansible-vault")
    command = [program, "encrypt", "--vault-password-file=password", "vault.yml"]
    subprocess.run(
        command, cwd=place.folder, check=True, capture_output=True, env={**os.environ, "HOME": found["HOME"]}
    )


def azure_secret(place: Place) -> str:
    return (place.stage / "azure/client.secret").read_text().strip()


def test_without_its_password_nothing_is_done_and_the_line_is_named(vaulted: Place) -> None:
    plan = vaulted.arriero("plan")
    assert plan.code == 1
    assert plan.err.startswith("arriero.yaml:5: credentials.vault: the vault's password is not known; give ")
    (vaulted.folder / "wrong").write_text("wrong")
    wrong = vaulted.arriero("up", "--yes", "--vault-password-file", "wrong")
    assert wrong.code == 1
    assert "the password does not open" in wrong.err
    assert wrong.err.startswith("arriero.yaml:5: credentials.vault[0]: ")


def test_up_and_every_look_and_down_use_the_vault_and_show_nothing_of_it(vaulted: Place) -> None:
    secrets = [PASSWORD, AWS_SECRET, azure_secret(vaulted)]
    said, codes = "", {}
    with Onlooker() as onlooker:
        for verb in ("plan", "up --yes", "plan", "status", "doctor", "logs", "ask Hello", "env"):
            options = () if verb.startswith("ask") else OPTION
            ended = vaulted.arriero(*verb.split(), *options)
            codes[verb] = ended.code
            said += ended.out + ended.err
        holders = vaulted.files_with(secrets)
        codes["down"] = vaulted.arriero("down", "--purge", "--yes", *OPTION).code
    assert codes == {"plan": 0, "up --yes": 0, "status": 0, "doctor": 0, "logs": 0, "ask Hello": 0, "env": 0, "down": 0}
    assert "Acting on the accounts of your environment and of vault.yml." in said
    assert [secret for secret in secrets if secret in said] == []
    assert [secret for secret in secrets if any(secret.encode() in line for line in onlooker.seen)] == []
    assert any(b"ansible-playbook" in line for line in onlooker.seen)
    assert any(b"ansible-vault" in line for line in onlooker.seen)
    assert holders == {PASSWORD: set(), AWS_SECRET: set(), azure_secret(vaulted): {"stage/azure/client.secret"}}


def test_the_stage_was_asked_by_both_clouds_modules(vaulted: Place) -> None:
    writers = {call["cloud"] for call in vaulted.calls() if call["writes"] and "Ansible" in call["client"]}
    assert writers == {"aws", "azure"}


def test_plain_ansible_is_run_inside_and_refused_outside(vaulted: Place) -> None:
    listing = ("ansible-inventory", "-i", "fleet.arriero.yml", "--graph")
    inside = vaulted.arriero("env", *OPTION, "--", *listing)
    assert inside.code == 0, inside.err
    assert "|--aws-east" in inside.out
    assert "|--azure-east" in inside.out
    outside = subprocess.run(
        [Path(sys.executable).with_name(listing[0]), *listing[1:]],
        cwd=vaulted.folder, env={**os.environ, **vaulted.always}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outside.returncode != 0
    assert "in a vault, which is not open here; run it as: arriero env --" in " ".join(outside.stderr.split())
