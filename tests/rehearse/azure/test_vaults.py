"""Key Vault on the stage: who gets a value, in which words others are refused, and that no file holds it in clear."""

from __future__ import annotations

import json

import pytest
import requests
from running_azure import Azure

from key_vault import GROUP, MANAGEMENT, VAULT, Hand

VALUE = "planted-in-key-vault-31d7"
SECRET = f"{VAULT}/secrets/hf"


@pytest.fixture
def hand(azure: Azure) -> Hand:
    made = Hand(azure.environment())
    made.make_vault()
    return made


def code(answer: requests.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], (error.get("innererror") or {}).get("code", "")


def test_versions_come_one_after_the_other_and_only_a_get_tells_a_value(hand: Hand) -> None:
    first = hand.ask("PUT", SECRET, {"value": "first"}).json()["id"]
    second = hand.ask("PUT", SECRET, {"value": VALUE}).json()["id"]
    assert hand.ask("GET", SECRET).json()["value"] == VALUE
    assert hand.ask("GET", first).json()["value"] == "first"
    listed = hand.ask("GET", f"{SECRET}/versions").json()
    assert [each["id"] for each in listed["value"]] == [first, second]
    assert listed["nextLink"] is None
    assert VALUE not in json.dumps(listed)
    assert hand.ask("PATCH", second, {"attributes": {"enabled": False}}).json()["attributes"]["enabled"] is False
    assert code(hand.ask("GET", SECRET)) == (403, "Forbidden", "SecretDisabled")
    assert code(hand.ask("GET", f"{SECRET}/{'0' * 32}")) == (404, "SecretNotFound", "")
    assert code(hand.ask("GET", f"{VAULT}/secrets/none")) == (404, "SecretNotFound", "")
    assert hand.ask("GET", f"{VAULT}/secrets/none/versions").json()["value"] == []


def test_many_versions_come_in_pages(hand: Hand) -> None:
    made = [f"{SECRET}/{hand.keep('hf', str(number))}" for number in range(30)]
    page = hand.ask("GET", f"{SECRET}/versions").json()
    rest = hand.ask("GET", page["nextLink"]).json()
    assert [each["id"] for each in (*page["value"], *rest["value"])] == made


def test_who_has_no_token_is_told_where_to_get_one_and_for_what(hand: Hand) -> None:
    challenge = (
        f'Bearer authorization="https://login.microsoftonline.com/{hand.environment["AZURE_TENANT"]}", '
        'resource="https://vault.azure.net"'
    )
    without = hand.ask("GET", SECRET, audience="")
    foreign = hand.ask("GET", SECRET, audience=MANAGEMENT)
    for answer in (without, foreign):
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)
    assert "AKV10022: Invalid audience" in foreign.text
    assert hand.ask("GET", hand.managed(GROUP), version="2022-09-01").status_code == 401


def test_a_role_must_hold_the_data_action_where_the_secret_is(azure: Azure, hand: Hand) -> None:
    hand.ask("PUT", SECRET, {"value": VALUE})
    folder = azure.folder / "permissions"
    folder.mkdir()
    action = "Microsoft.KeyVault/vaults/secrets/readMetadata/action"
    scope = hand.managed(GROUP).removeprefix(MANAGEMENT)
    role = {"Actions": ["*"], "DataActions": [action], "AssignableScopes": [scope]}
    (folder / "azure-secrets-role.json").write_text(json.dumps(role))
    assert hand.ask("GET", f"{SECRET}/versions").status_code == 200
    denied = hand.ask("GET", SECRET)
    assert code(denied) == (403, "Forbidden", "ForbiddenByRbac")
    assert "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'" in denied.text
    assert VALUE not in denied.text


def test_a_vault_that_is_closed_to_public_networks_answers_nobody(hand: Hand) -> None:
    hand.ask("PUT", SECRET, {"value": VALUE})
    vault = hand.managed(f"{GROUP}/providers/Microsoft.KeyVault/vaults/llm-vault")
    closed = {"properties": {"publicNetworkAccess": "Disabled"}}
    assert hand.ask("PATCH", vault, closed, "2023-07-01", MANAGEMENT).status_code == 200
    for url in (SECRET, f"{SECRET}/versions"):
        assert code(hand.ask("GET", url)) == (403, "Forbidden", "ForbiddenByConnection")


def test_a_vault_that_nobody_made_has_no_name_in_dns(hand: Hand) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        hand.ask("GET", "https://other.vault.azure.net/secrets/hf")


def test_no_file_holds_a_value_and_it_is_there_after_a_restart(azure: Azure, hand: Hand) -> None:
    hand.ask("PUT", SECRET, {"value": VALUE})
    azure.restart()
    files = [path for path in azure.folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if VALUE.encode() in path.read_bytes()] == []
    assert Hand(azure.environment()).ask("GET", SECRET).json()["value"] == VALUE
