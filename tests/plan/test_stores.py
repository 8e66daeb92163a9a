"""Which clouds hold a store of the ledger, which one decides, and under which number a release goes."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.plan import stores
from arriero.plan.model import LastRelease, StoreFacts
from arriero.plan.place import Recorded, next_release
from arriero.spec.model import Spec

AWS = {"cloud": "aws", "region": "us-east-1"}
AZURE = {"cloud": "azure", "region": "eastus"}
LOCAL = {"cloud": "local", "hosts": ["127.0.0.1"]}
STANDBY = {"role": "standby"}


def spec(*sites: dict[str, Any], **more: Any) -> Spec:
    named = {f"s{n}": site for n, site in enumerate(sites)}
    return Spec.model_validate({"name": "llm", "image": "acme/llm", "models": ["llama2"], "sites": named, **more})


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (spec(AWS, AZURE), ("aws", "azure")),
        (spec({**AWS, **STANDBY}, AZURE), ("azure", "aws")),
        (spec(LOCAL, {**AZURE, **STANDBY}), ("azure",)),
        (spec(LOCAL), ("local",)),
        (spec(AWS, AZURE, ledger={"authority": "azure"}), ("azure", "aws")),
    ],
)
def test_the_first_active_site_that_is_in_a_cloud_decides_unless_the_spec_says_otherwise(
    wish: Spec, expected: tuple[str, ...]
) -> None:
    assert stores.clouds(wish) == expected


def test_names_of_stores_are_what_the_clouds_allow() -> None:
    assert stores.name("aws", "llm", "123456789012") == "arriero-llm-123456789012"
    account = stores.name("azure", "a-service-of-24-letters", "00000000-0000-0000-0000-000000000001")
    assert account.isalnum()
    assert account.islower()
    assert len(account) <= 24


def test_a_store_that_is_there_as_wished_needs_nothing() -> None:
    for cloud in ("aws", "azure"):
        resources = stores.wanted(cloud, "llm", "x", "r")  # type: ignore[arg-type]
        found = {cloud: StoreFacts(cloud, "x", "r", resources)}  # type: ignore[arg-type]
        assert stores.plans(spec(AWS), found)[0].changes == ()  # type: ignore[arg-type]
    (empty,) = stores.plans(spec(AWS), {"aws": StoreFacts("aws", "x", "us-east-1")})
    assert [change.action for change in empty.changes] == ["create"]


@pytest.mark.parametrize(
    ("wish", "tags", "last", "expected"),
    [
        ({"a": "1"}, {}, None, 1),
        ({"a": "1"}, {}, LastRelease(4, {"a": "1"}), 4),  # begun, and nothing came of it: it is resumed
        ({"a": "2"}, {}, LastRelease(4, {"a": "1"}), 5),  # begun, and no longer what is wished
        ({"a": "1"}, {"a": Recorded(3, "0")}, LastRelease(4, {"a": "1"}), 4),
        ({"a": "1", "b": "1"}, {"a": Recorded(4, "1")}, LastRelease(4, {"a": "1"}), 4),  # a new site joins
        ({"a": "1"}, {"a": Recorded(7, "0")}, LastRelease(4, {"a": "1"}), 8),  # the authority was moved
    ],
)
def test_a_release_is_joined_while_it_is_what_is_wished(
    wish: dict[str, str], tags: dict[str, Recorded], last: LastRelease | None, expected: int
) -> None:
    assert next_release(wish, tags, last) == expected
