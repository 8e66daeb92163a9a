"""More container groups, copied and named as a deployment would, and fewer, by name; against the emulated Azure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure_sites import REF, Azure, allowed, planned, site, wait_for
from test_facts import make_group, make_parent

from arriero.clouds.azure import groups, scaling
from arriero.clouds.azure.asking import ask
from arriero.clouds.scaling import Standing, Throttled
from arriero.plan.model import TargetFacts


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


def test_the_last_group_rests_and_is_what_the_next_ones_are_made_from(azure: Azure) -> None:
    make_parent(azure)
    for number in (1, 2):
        make_group(azure, number)
    names = ["llm-azure-east-r1-1", "llm-azure-east-r1-2"]
    with azure.entered():
        scaling.stop(REF, scaling.read(REF), names, allowed)
        assert wait_for(lambda: scaling.read(REF).count == 0)
        standing = scaling.read(REF)
        assert (standing.targets, standing.obstacle, standing.lingers) == ((), "", True)
        [resting] = [each for each in azure.read().resources if each.kind == "azure.container_group"]
        assert (resting.name, resting.details["is_at_rest"]) == (names[0], True)
        assert scaling.start(REF, standing, 2, allowed) == names
        assert scaling.read(REF).count == 2
    found = azure.read()
    assert [each.details["is_at_rest"] for each in found.resources if each.kind == "azure.container_group"] == [
        False
    ] * 2


def test_of_two_releases_the_last_of_the_newer_one_rests() -> None:
    asked: list[str] = []
    standing = Standing("azure-east", 1, tuple(TargetFacts(f"r{n}", "azure-east", "ready", release=n) for n in (9, 10)))
    resting: list[dict[str, Any]] = []
    with_calls = SimpleNamespace(
        act=lambda path, _: asked.append(f"POST {path.rpartition('containerGroups/')[2]}"),
        delete=lambda path, _: asked.append(f"DELETE {path.rpartition('containerGroups/')[2]}"),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scaling, "connect", lambda: with_calls)
        patched.setattr(scaling, "_items", lambda _: resting)
        scaling.stop(REF, standing, ["r9", "r10"], allowed)
        scaling.stop(REF, standing, ["r9"], allowed)
        properties = {"provisioningState": "Succeeded", "instanceView": {"state": "Stopped"}}
        containers = [{"name": "ollama", "properties": {}}]
        resting.append({"name": "r10-2", "properties": {**properties, "containers": containers}})
        scaling.stop(REF, standing, ["r9", "r10"], allowed)
    assert asked == ["DELETE r9", "POST r10/stop", "DELETE r9", "DELETE r9", "DELETE r10"]


def test_a_group_at_rest_beside_others_is_started_before_another_is_made(azure: Azure) -> None:
    make_parent(azure)
    for number in (1, 2):
        make_group(azure, number)
    with azure.entered():
        scaling.connect().act(scaling._path(REF, "llm-azure-east-r1-1") + "/stop", groups.VERSION)
        assert wait_for(lambda: scaling.read(REF).count == 1)
        assert scaling.read(REF).obstacle == ""
        assert scaling.start(REF, scaling.read(REF), 2, allowed) == ["llm-azure-east-r1-1", "llm-azure-east-r1-3"]


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
    def refused() -> None:
        error = HttpResponseError("too many")
        error.status_code = 429
        error.response = SimpleNamespace(headers={"Retry-After": told})  # type: ignore[assignment]
        raise error

    with pytest.raises(Throttled) as caught:
        ask(REF, refused)
    assert caught.value.wait_seconds == seconds
