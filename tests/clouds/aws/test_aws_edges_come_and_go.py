"""A site behind a load balancer gets edges, and loses them again, by the role `aws_site` on the emulated AWS.

One site lives through all tests of this file, in their order.
"""

from __future__ import annotations

import pytest
from aws_site import AwsSite, spec, until
from edges_site import ACCOUNT, CERTIFICATE, HOST, Keyed, asked, processes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

STEPS = ["network", "firewall", "ingress", "names", "edges"]
BARE = spec(
    deploy={"stop_within": "5s"},
    accounts={"aws": ACCOUNT},
    ingress={"alb": {"hosts": [HOST], "certificates": [CERTIFICATE]}},
)


@pytest.fixture(scope="module")
def keyed(site: AwsSite, tmp_path_factory: pytest.TempPathFactory) -> Keyed:
    return Keyed(site, tmp_path_factory.mktemp("keys"))


def test_edges_come_between_a_load_balancer_and_its_targets(site: AwsSite, keyed: Keyed) -> None:
    bare = site.up(BARE)
    assert bare.code == 0, bare.output
    assert asked(site).status == 200
    come = site.up(keyed.wish())
    assert come.code == 0, come.output
    assert site.plan(keyed.wish()).changes == ()
    assert asked(site).status == 401
    assert asked(site, keyed.key).status == 200


def test_a_second_run_changes_nothing(site: AwsSite, keyed: Keyed) -> None:
    variables = {**site.variables(keyed.wish()), "aws_site_steps": STEPS}
    again = site.play("every_site.yml", variables)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_load_balancer_leads_to_targets_again_where_edges_are_taken_away(site: AwsSite) -> None:
    left = site.up(BARE)
    assert left.code == 0, left.output
    assert site.plan(BARE).changes == ()
    until(lambda: not processes(site, "edge"))
    assert asked(site).status == 200
    assert [r.name for r in site.read().resources if r.kind == "aws.names"] == []
    cloud_map = site.client("servicediscovery")
    assert cloud_map.list_namespaces()["Namespaces"] == []


def test_a_removal_leaves_nothing(site: AwsSite) -> None:
    removed = site.down()
    assert removed.code == 0, removed.output
    assert site.read().resources == ()
    until(lambda: not site.aws.containers())
