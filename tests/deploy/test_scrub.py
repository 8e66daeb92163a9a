"""Known secrets do not get past the scrubber."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from arriero.deploy.scrub import Scrubber


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_SECRET",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "REGISTRY_PASSWORD",
        "STORAGE_ACCOUNT_KEY",
        "db_passwd",
    ],
)
def test_the_value_of_a_secret_is_taken_out(name: str) -> None:
    assert Scrubber({name: "hunter2hunter2"})("login hunter2hunter2 refused") == "login ••• refused"


@pytest.mark.parametrize("name", ["AWS_REGION", "ANSIBLE_VAULT_PASSWORD_FILE", "TOKEN_URL", "HOME"])
def test_what_is_no_secret_stays(name: str) -> None:
    assert Scrubber({name: "us-east-1"})("in us-east-1") == "in us-east-1"


def test_a_secret_within_another_leaves_nothing_of_either() -> None:
    scrub = Scrubber({"A_SECRET": "abcdef", "B_SECRET": "abcdefghij"})
    assert scrub("abcdefghij abcdef") == "••• •••"


def test_a_value_too_short_to_be_one_mauls_no_words() -> None:
    assert Scrubber({"A_SECRET": "a"})("a banana") == "a banana"


@pytest.mark.parametrize(
    "written",
    [str, json.dumps, lambda text: json.dumps(text, ensure_ascii=False), quote, lambda text: quote(text, safe="")],
)
def test_a_secret_with_signs_is_taken_out_however_it_is_written(written: Callable[[str], str]) -> None:
    secret = 'p"ä/ss\\word+='
    left = Scrubber({"A_SECRET": secret})(f"said {written(secret)}.")
    assert left.replace('"', "") == "said •••."
