from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.clouds.azure.connection import Login
from arriero.errors import CloudError


def test_the_login_is_found_under_both_of_its_names() -> None:
    sdk = {"AZURE_CLIENT_SECRET": "s3cret", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
    ansible = {"AZURE_SECRET": "s3cret", "AZURE_TENANT": "t", "AZURE_CLIENT_ID": "c"}
    found = [Login.from_environment({**names, "AZURE_SUBSCRIPTION_ID": "0"}) for names in (sdk, ansible)]
    assert found[0] == found[1]
    assert "s3cret" not in repr(found)


def test_without_a_subscription_in_the_environment_the_cli_names_it(tmp_path: Path) -> None:
    known = [{"id": "first", "isDefault": False}, {"id": "second", "isDefault": True}]
    # The Azure CLI writes its profile with a byte order mark.
    (tmp_path / "azureProfile.json").write_text(json.dumps({"subscriptions": known}), "utf-8-sig")
    assert Login.from_environment({"AZURE_CONFIG_DIR": str(tmp_path)}).subscription == "second"


@pytest.mark.parametrize("profile", [None, "", "[]", '{"subscriptions": []}'])
def test_without_any_subscription_it_is_said_what_to_do(profile: str | None, tmp_path: Path) -> None:
    if profile is not None:
        (tmp_path / "azureProfile.json").write_text(profile)
    with pytest.raises(CloudError, match="no Azure subscription is chosen; set AZURE_SUBSCRIPTION_ID"):
        Login.from_environment({"AZURE_CONFIG_DIR": str(tmp_path)})
