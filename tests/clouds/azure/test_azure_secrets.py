"""Secrets of container groups from Key Vault: read by version, copied with a group, and made by the role."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure_sites import DIGEST, REF, Azure, planned, site
from test_facts import make_parent

from arriero.clouds import read as clouds
from arriero.clouds.azure import facts, group_secrets, scaling, variables, vaults
from arriero.deploy.settings import OWN_COLLECTIONS
from arriero.errors import CloudError, Problem
from arriero.plan.model import Change, Facts, SiteFacts
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import azure_secrets
from arriero.spec.model import Spec
from key_vault import MANAGEMENT, VAULT, Hand

MODULE = OWN_COLLECTIONS / "ansible_collections/arriero/fleet/plugins/modules/container_group.py"
TOKEN, LOGIN = f"{VAULT}/secrets/hf", f"{VAULT}/secrets/registry"
FIRST, SECOND = "planted-first-91c2", 'planted "zq-second-zq"\n of two lines'
ACCOUNT = {"username": "puller", "password": "planted-password-91c2"}
ASKING = replace(REF, secrets=(LOGIN, TOKEN))
WISH = site(
    image="registry.example.com/acme/llm:1", site={"environment_from": {"HF_TOKEN": TOKEN}, "registry_login": LOGIN}
)
PLANTED = (FIRST, "zq-second-zq", ACCOUNT["password"])


@pytest.fixture
def hand(azure: Azure) -> Hand:
    made = Hand(azure.environment())
    made.make_vault()
    return made


def read(azure: Azure) -> SiteFacts:
    with azure.entered():
        return facts.read_site(ASKING)


def newest(azure: Azure, reference: str = TOKEN) -> str | Problem:
    with azure.entered():
        return vaults.connect().newest(reference)


def test_the_newest_version_that_is_enabled_counts_and_no_value_is_asked_for(azure: Azure, hand: Hand) -> None:
    assert newest(azure, f"{TOKEN}/{'0' * 32}") == "0" * 32
    assert str(newest(azure)).startswith("llm-vault has no secret hf; az keyvault secret set ")
    versions = [hand.keep("hf", value) for value in ("one", "two")]
    with azure.emulator._world.state.lock:
        kept = next(iter(azure.emulator._world.state.secrets.values()))
        kept[0]["created"] -= 60
    assert newest(azure) == versions[1]
    hand.ask("PATCH", f"{TOKEN}/{versions[1]}", {"attributes": {"enabled": False}})
    assert newest(azure) == versions[0]
    hand.ask("PATCH", f"{TOKEN}/{versions[0]}", {"attributes": {"enabled": False}})
    assert str(newest(azure)).startswith("all versions of hf in llm-vault are disabled; ")
    calls = [json.loads(line) for line in (azure.folder / "requests.jsonl").read_text().splitlines()]
    asked = {call["action"] for call in calls if call["client"].startswith("arriero") and "secret" in call["action"]}
    assert asked == {"GET secret versions"}


def test_why_a_vault_does_not_answer_is_said(azure: Azure, hand: Hand) -> None:
    hand.keep("hf", "one")
    (azure.folder / "permissions").mkdir()
    role = {"Actions": ["*"], "DataActions": [], "AssignableScopes": [""]}
    (azure.folder / "permissions/azure-role.json").write_text(json.dumps(role))
    assert newest(azure) == Problem(
        "this login may not read hf in llm-vault: Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        "give it the role Key Vault Secrets User at that secret",
    )
    with azure.entered(), pytest.raises(CloudError, match="secrets/getSecret/action"):
        vaults.connect().value("llm-vault", "hf", "0" * 32)
    assert "can't be reached" in str(newest(azure, TOKEN.replace("llm-vault", "other")))


@pytest.mark.parametrize(
    ("inner", "what"),
    [
        ("ForbiddenByFirewall", "the firewall of llm-vault does not let this machine in"),
        ("ForbiddenByConnection", "llm-vault is closed to public networks"),
        ("AccessDenied", "this login may not read hf in llm-vault: Microsoft.KeyVault/vaults/secrets/getSecret/action"),
    ],
)
def test_a_vault_that_is_closed_is_told_from_a_permission_that_lacks(inner: str, what: str) -> None:
    told = {"error": {"code": "Forbidden", "message": "words", "innererror": {"code": inner}}}
    response = SimpleNamespace(status_code=403, json=lambda: told)
    problem = vaults._problem(response, "llm-vault", "hf", vaults.READ)
    assert problem is not None
    assert problem.what == what


def test_a_former_releases_own_secrets_are_looked_up_for_the_way_back(azure: Azure, hand: Hand) -> None:
    version = hand.keep("hf", "one")
    where = {"cloud": "azure", "region": "eastus", "environment_from": {"HF_TOKEN": TOKEN}}
    given = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"azure-east": where}}
    known = Facts("llm", {"azure-east": replace(azure.read(), secrets={LOGIN: "0" * 32})})
    with azure.entered():
        found = clouds.with_secrets(known, Spec.model_validate(given)).sites["azure-east"].secrets
    assert found == {LOGIN: "0" * 32, TOKEN: version}


def test_a_site_without_secrets_asks_no_vault(azure: Azure) -> None:
    assert azure.read().secrets == {}
    calls = [json.loads(line) for line in (azure.folder / "requests.jsonl").read_text().splitlines()]
    assert not any("secret" in call["action"] for call in calls)


def test_a_copy_of_a_group_has_its_secrets_by_its_tags(azure: Azure, hand: Hand) -> None:
    make_parent(azure)
    version = hand.keep("hf", FIRST)
    hand.keep("hf", SECOND)  # a copy has what its pattern has, whatever came later
    login = hand.keep("registry", json.dumps(ACCOUNT))
    tags = {
        **{"arriero-service": "llm", "arriero-site": "azure-east", "arriero-release": "1"},
        "arriero-secret-HF_TOKEN": f"llm-vault/hf/{version}",
        "arriero-registry-login": f"llm-vault/registry/{login}",
    }
    make_by_hand(hand, "llm-azure-east-r1-1", tags)
    with azure.entered():
        assert scaling.start(REF, scaling.read(REF), 1, lambda: None) == ["llm-azure-east-r1-2"]
    kept = [one for key, one in azure.emulator._world.state.resources.items() if "/containergroups/" in key]
    assert len(kept) == 2
    for each in (each["properties"] for each in kept):
        assert each["containers"][0]["properties"]["environmentVariables"][-1] == {
            "name": "HF_TOKEN",
            "secureValue": FIRST,
        }
        assert each["imageRegistryCredentials"] == [{"server": "registry.example.com", **ACCOUNT}]
    shown = hand.ask("GET", hand.managed(group_path("llm-azure-east-r1-2")), None, "2025-09-01", MANAGEMENT)
    assert {"name": "HF_TOKEN"} in shown.json()["properties"]["containers"][0]["properties"]["environmentVariables"]
    assert not any(text in shown.text for text in PLANTED)


def group_path(name: str) -> str:
    return f"/resourceGroups/llm-azure-east/providers/Microsoft.ContainerInstance/containerGroups/{name}"


def make_by_hand(hand: Hand, name: str, tags: dict[str, str]) -> None:
    whole = group_body(tags)
    made = hand.ask("PUT", hand.managed(group_path(name)), whole, "2025-09-01", MANAGEMENT)
    assert made.status_code < 300, made.text


def group_body(tags: dict[str, str]) -> dict[str, Any]:
    given = [{"name": "A", "value": "b"}, {"name": "HF_TOKEN", "secureValue": FIRST}]
    container = {
        "image": "registry.example.com/acme/llm:1",
        "environmentVariables": given,
        "resources": {"requests": {"cpu": 1, "memoryInGB": 1}},
        "ports": [{"port": 11434}],
    }
    properties = {
        "osType": "Linux",
        "containers": [{"name": "ollama", "properties": container}],
        "ipAddress": {"type": "Public", "ports": [{"port": 11434, "protocol": "TCP"}]},
        "imageRegistryCredentials": [{"server": "registry.example.com", **ACCOUNT}],
    }
    return {"location": "eastus", "tags": tags, "properties": properties}


def test_a_login_that_is_none_is_named_and_not_shown(azure: Azure, hand: Hand) -> None:
    version = hand.keep("registry", f"puller:{ACCOUNT['password']}")
    place = f"llm-vault/registry/{version}"
    properties = {"containers": [], "imageRegistryCredentials": [{"server": "registry.example.com"}]}
    body = {"tags": {azure_secrets.LOGIN_TAG: place}, "properties": properties}
    with azure.entered(), pytest.raises(CloudError) as refused:
        group_secrets.filled(body)
    assert str(refused.value) == (
        f"{place} is no login: not JSON with username and password; mend it in the vault, and run arriero up"
    )


@pytest.mark.parametrize(
    "place", [f"evil.example#/hf/{'0' * 32}", "llm-vault/hf", "llm-vault/hf/", f"llm-vault/../keys/{'0' * 32}"]
)
@pytest.mark.parametrize("is_login", [True, False])
def test_a_tag_leads_to_no_place_but_a_secret_of_a_vault(azure: Azure, place: str, is_login: bool) -> None:
    properties = {
        "containers": [{"name": "ollama", "properties": {"environmentVariables": [{"name": "HF_TOKEN"}]}}],
        "imageRegistryCredentials": [{"server": "registry.example.com"}],
    }
    tag = azure_secrets.LOGIN_TAG if is_login else f"{azure_secrets.VARIABLE_TAG}HF_TOKEN"
    with azure.entered(), pytest.raises(CloudError) as refused:
        group_secrets.filled({"tags": {tag: place}, "properties": properties})
    assert str(refused.value) == (
        f"the tag that says {place!r} names no version of a secret in Key Vault; run arriero up, which makes new groups"
    )
    assert (azure.folder / "requests.jsonl").read_text() == ""


def module(azure: Azure, hand: Hand, versions: dict[str, str]) -> dict[str, Any]:
    """What the module that makes groups answers, run as Ansible runs it."""
    group = group_body({"arriero-service": "llm"})
    del group["properties"]["imageRegistryCredentials"]
    group["properties"]["containers"][0]["properties"]["environmentVariables"].pop()
    secret = {
        "container": "ollama",
        "variable": "HF_TOKEN",
        "vault": "llm-vault",
        "name": "hf",
        "version": versions["hf"],
    }
    login = {
        "server": "registry.example.com",
        "vault": "llm-vault",
        "name": "registry",
        "version": versions["registry"],
    }
    given = {"resource_group": "llm-azure-east", "name": "llm-azure-east-r1-1", "body": group}
    asked = {"ANSIBLE_MODULE_ARGS": {**given, "secrets": [secret], "login": login}}
    collections = f"{sys.prefix}/share/arriero/collections:{OWN_COLLECTIONS}"
    done = subprocess.run(
        [sys.executable, MODULE],
        input=json.dumps(asked),
        env={**azure.environment(), "PYTHONPATH": collections},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not any(text in done.stdout + done.stderr for text in PLANTED)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_module_hands_values_over_once_and_tells_none(azure: Azure, hand: Hand) -> None:
    make_parent(azure)
    versions = {"hf": hand.keep("hf", SECOND), "registry": hand.keep("registry", json.dumps(ACCOUNT))}
    made = module(azure, hand, versions)
    assert (made.get("changed"), made["id"].rpartition("/")[2]) == (True, "llm-azure-east-r1-1"), made
    assert eventually(lambda: variables_of(azure)) == {SECOND}
    [kept] = [one for key, one in azure.emulator._world.state.resources.items() if "/containergroups/" in key]
    assert kept["properties"]["imageRegistryCredentials"] == [{"server": "registry.example.com", **ACCOUNT}]
    assert module(azure, hand, {"hf": "0" * 32, "registry": "0" * 32})["changed"] is False  # what is there stays


def test_why_the_module_could_not_is_said_in_key_vaults_words(azure: Azure, hand: Hand) -> None:
    make_parent(azure)
    versions = {"hf": hand.keep("hf", FIRST), "registry": hand.keep("registry", FIRST)}
    assert module(azure, hand, versions)["msg"].startswith("the secret registry in llm-vault is no login: ")
    empty = {**versions, "registry": hand.keep("registry", "")}
    assert module(azure, hand, empty)["msg"].startswith("the secret registry in llm-vault is no login: ")
    hand.ask("PATCH", f"{TOKEN}/{versions['hf']}", {"attributes": {"enabled": False}})
    said = module(azure, hand, versions)["msg"]
    assert said == "(SecretDisabled) Operation get is not allowed on a disabled secret."


@pytest.mark.parametrize("told", ["not-json", "12", "[1]", '{"username": "puller"}', json.dumps(ACCOUNT)])
def test_words_of_azure_lose_each_value_and_a_logins_password(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.syspath_prepend(f"{sys.prefix}/share/arriero/collections")
    monkeypatch.syspath_prepend(str(OWN_COLLECTIONS))
    spec = importlib.util.spec_from_file_location("tested_group", MODULE)
    assert spec
    assert spec.loader
    group = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(group)
    said = f"(Bad) {SECOND} {json.dumps(SECOND)} {told} {ACCOUNT['password']} is wrong"
    left = "(a secret)" if ACCOUNT["password"] in told else ACCOUNT["password"]
    assert group.without({"": SECOND, "x": told, "y": ""}.values(), said) == (
        f'(Bad) (a secret) "(a secret)" (a secret) {left} is wrong'
    )


@pytest.mark.story
@pytest.mark.wide
@pytest.mark.long
def test_the_role_gives_groups_their_secrets_and_leaves_no_trace_of_them(azure: Azure, hand: Hand) -> None:
    make_network(hand)
    old = hand.keep("hf", FIRST)
    hand.keep("registry", json.dumps(ACCOUNT))
    found = read(azure)
    assert found.secrets[TOKEN] == old
    played = azure.play(role_variables(found, "targets"))
    assert played.code == 0, played.text
    assert variables_of(azure) == {FIRST}
    assert group_changes(azure) == []

    set_back(azure)
    hand.keep("hf", SECOND)
    assert [change.action for change in group_changes(azure)] == ["create", "remove"]
    found = read(azure)
    reasons = wish.removal_reasons(WISH, found, 1, 1, DIGEST)
    assert "the secret hf in llm-vault has a new version: " in reasons["llm-azure-east-r1-1"]
    again = azure.play(role_variables(found, "targets", "retire"))
    assert again.code == 0, again.text
    assert variables_of(azure) == {SECOND}
    assert group_changes(azure) == []
    assert not any(text in played.text + played.errors + again.text + again.errors for text in PLANTED)
    holding = [path for path in files(azure.folder) if any(text.encode() in path.read_bytes() for text in PLANTED)]
    assert holding == []
    told = failing(azure, hand)
    assert "(ForbiddenByRbac) Caller is not authorized" in told
    assert "give the login the role Key Vault Secrets User at that secret" in told


def failing(azure: Azure, hand: Hand) -> str:
    """A login that may see versions and no value: what the role says of it."""
    set_back(azure)
    hand.keep("hf", "third")
    found = read(azure)
    (azure.folder / "permissions").mkdir()
    action = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
    role = {"Actions": ["*"], "DataActions": [action], "AssignableScopes": [""]}
    (azure.folder / "permissions/azure-role.json").write_text(json.dumps(role))
    played = azure.play(role_variables(found, "targets"))
    assert played.code != 0
    return played.text


def make_network(hand: Hand) -> None:
    """What the groups stand in, by hand: the role's own steps for it are played elsewhere."""
    delegation = {"name": "containers", "properties": {"serviceName": wish.DELEGATION}}
    subnet = {"addressPrefix": "10.64.0.0/18", "delegations": [delegation]}
    subnets = [{"name": wish.SUBNET, "properties": subnet}]
    network = {"addressSpace": {"addressPrefixes": ["10.64.0.0/16"]}, "subnets": subnets}
    base = "/resourceGroups/llm-azure-east"
    for path, version, body in (
        (base, "2022-09-01", {"location": "eastus"}),
        (
            f"{base}/providers/Microsoft.Network/virtualNetworks/llm-azure-east",
            "2024-03-01",
            {"location": "eastus", "properties": network},
        ),
    ):
        made = hand.ask("PUT", hand.managed(path), body, version, MANAGEMENT)
        assert made.status_code < 300, made.text


def group_changes(azure: Azure) -> list[Change]:
    changes = planned(WISH, read(azure), count=1).changes
    return [change for change in changes if change.kind == wish.GROUP_KIND]


def role_variables(found: SiteFacts, *steps: str) -> Any:
    values = variables.site_variables(WISH, planned(WISH, found, count=1), found)
    return {**values, "azure_site_steps": list(steps)}


def set_back(azure: Azure) -> None:
    """Key Vault counts seconds, and a test does not wait for them: what is there now is a minute old."""
    with azure.emulator._world.state.lock:
        for versions in azure.emulator._world.state.secrets.values():
            for each in versions:
                each["created"] -= 60


def eventually(read: Callable[[], set[str]], seconds: float = 30) -> set[str]:
    end = time.monotonic() + seconds
    while not (found := read()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def variables_of(azure: Azure) -> set[str]:
    """What the Ollamas that run have as HF_TOKEN."""
    rows = [row for row in azure.emulator.containers() if row.container == "ollama"]
    environments = [Path(f"/proc/{row.pid}/environ").read_text().split("\0") for row in rows]
    return {text.removeprefix("HF_TOKEN=") for each in environments for text in each if text.startswith("HF_TOKEN=")}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
