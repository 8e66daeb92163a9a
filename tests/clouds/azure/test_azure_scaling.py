"""More container groups, copied and named as a deployment would, and fewer, by name; against the emulated Azure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure_sites import REF, Azure, planned, site
from test_facts import make_group, make_parent

from arriero.clouds.azure import scaling
from arriero.clouds.scaling import Throttled


def allowed() -> None:
    """The lease holds."""


def test_copies_are_what_a_plan_wants_and_go_by_name(azure: Azure) -> None:
    make_parent(azure)
    make_group(azure, 1)
    with azure.entered():
        standing = scaling.read(REF)
        assert (standing.count, standing.creates, standing.obstacle) == (1, True, "")
        assert scaling.start(REF, standing, 2, allowed) == ["llm-azure-east-r1-2", "llm-azure-east-r1-3"]
    found = azure.read()
    groups = [resource for resource in found.resources if resource.kind == "azure.container_group"]
    assert len(groups) == found.count == 3
    assert all(dict(group.properties) == dict(groups[0].properties) for group in groups)
    assert all(dict(group.tags) == dict(groups[0].tags) for group in groups)
    assert len(planned(site(deploy={"hung_after": "1m"}), found, count=3).wanted) > 3
    with azure.entered():
        scaling.stop(REF, scaling.read(REF), ["llm-azure-east-r1-2"], allowed)
        left = {target.id for target in scaling.read(REF).targets}
        assert left == {"llm-azure-east-r1-1", "llm-azure-east-r1-3"}
        assert scaling.read(REF).count == 2
        scaling.stop(REF, scaling.read(REF), ["llm-azure-east-r1-2"], allowed)  # what is gone is gone


def test_without_a_group_there_is_nothing_to_copy(azure: Azure) -> None:
    make_parent(azure)
    with azure.entered():
        standing = scaling.read(REF)
    assert (standing.count, standing.targets) == (0, ())
    assert standing.obstacle == "no container group stands to make another one from; run arriero up"


def test_without_the_right_no_group_is_asked_for(azure: Azure) -> None:
    def refused() -> None:
        raise PermissionError

    make_parent(azure)
    make_group(azure, 1)
    with azure.entered(), pytest.raises(PermissionError):
        scaling.start(REF, scaling.read(REF), 1, refused)
    with azure.entered():
        assert scaling.read(REF).count == 1


@pytest.mark.parametrize(("told", "seconds"), [("17", 17.0), ("", 60.0), ("soon", 60.0)])
def test_a_quota_says_how_long_to_wait(told: str, seconds: float) -> None:
    class Refusing:
        def put(self, *_: Any) -> None:
            error = HttpResponseError("too many")
            error.status_code = 429
            error.response = SimpleNamespace(headers={"Retry-After": told})  # type: ignore[assignment]
            raise error

    refusing: Any = Refusing()
    with pytest.raises(Throttled) as caught:
        scaling._put(refusing, REF, "llm-azure-east-r1-2", {})
    assert caught.value.wait_seconds == seconds
