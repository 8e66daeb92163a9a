"""Container Insights of a cluster, by the role against the emulated AWS: asked for, played, switched off by hand.

One cluster lives through all tests of this file, in their order. Nothing but its own step is played.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_site import BASE, AwsSite, Played, spec
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.story, pytest.mark.wide]

SILENT, ENHANCED = spec(), spec(metrics={"container_insights": "enhanced"})


def up(site: AwsSite, wish: Any, *words: str) -> Played:
    played = site.play("every_site.yml", {**site.variables(wish), "aws_site_steps": ["cluster"]}, *words)
    assert played.code == 0, played.output
    return played


def said(site: AwsSite, wish: Any) -> list[str]:
    return [f"{each.action}: {each.reason}" for each in site.plan(wish).changes if each.kind == "aws.cluster"]


def setting(site: AwsSite) -> str:
    [cluster] = site.client("ecs").describe_clusters(clusters=[BASE], include=["SETTINGS"])["clusters"]
    return str(cluster["settings"][0]["value"])


def settings_made(site: AwsSite) -> int:
    calls = [json.loads(line) for line in (site.folder / "requests.jsonl").read_text().splitlines()]
    return sum(call["action"] == "ecs:UpdateClusterSettings" for call in calls)


def test_a_site_that_asks_for_nothing_sets_nothing_and_takes_what_is_there(site: AwsSite) -> None:
    up(site, SILENT)
    assert (settings_made(site), setting(site), said(site, SILENT)) == (0, "disabled", [])
    site.client("ecs").update_cluster_settings(
        cluster=BASE, settings=[{"name": "containerInsights", "value": "enabled"}]
    )
    assert said(site, SILENT) == []


def test_what_is_asked_for_is_set_once_and_the_plan_is_empty_then(site: AwsSite) -> None:
    assert said(site, ENHANCED) == ["update: container_insights: is enabled, should be enhanced"]
    assert up(site, ENHANCED).changed == 1
    assert (setting(site), said(site, ENHANCED)) == ("enhanced", [])
    before = settings_made(site)
    assert (up(site, ENHANCED).changed, settings_made(site)) == (0, before)


def test_one_that_was_switched_off_by_hand_is_drift_and_is_switched_on_again(site: AwsSite) -> None:
    site.client("ecs").update_cluster_settings(
        cluster=BASE, settings=[{"name": "containerInsights", "value": "disabled"}]
    )
    assert [step.name for step in site.plan(ENHANCED).steps if step.name == "cluster"] == ["cluster"]
    assert said(site, ENHANCED) == ["update: container_insights: is disabled, should be enhanced"]
    looked = up(site, ENHANCED, "--check")
    assert (looked.changed, setting(site)) == (1, "disabled")
    up(site, ENHANCED)
    assert (setting(site), said(site, ENHANCED)) == ("enhanced", [])


def test_it_is_switched_off_by_the_spec(site: AwsSite) -> None:
    off = spec(metrics={"container_insights": "disabled"})
    assert said(site, off) == ["update: container_insights: is enhanced, should be disabled"]
    up(site, off)
    assert (setting(site), said(site, off)) == ("disabled", [])


@pytest.mark.parametrize(
    ("cluster", "name", "value", "code"),
    [
        (BASE, "containerInsights", "on", "InvalidParameterException"),
        (BASE, "insights", "enabled", "InvalidParameterException"),
        ("elsewhere", "containerInsights", "enabled", "ClusterNotFoundException"),
    ],
)
def test_the_stage_refuses_what_ecs_refuses(site: AwsSite, cluster: str, name: str, value: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        site.client("ecs").update_cluster_settings(cluster=cluster, settings=[{"name": name, "value": value}])
    assert caught.value.response["Error"]["Code"] == code


def test_the_stage_tells_settings_only_to_those_who_ask_for_them(site: AwsSite) -> None:
    [cluster] = site.client("ecs").describe_clusters(clusters=[BASE])["clusters"]
    assert not cluster.get("settings")
