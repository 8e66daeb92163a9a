"""A site gives its role to its partner, by hand and when its region is lost, and gets it back by hand.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2, by: hand}
ledger: {authority: azure}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus, role: standby}
failover:
  pairs: [{sites: [aws-east, azure-east], rpo: 0s}]
  after: 8s
  quiet: 30s
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("failover"), SPEC)


def roles(place: Place) -> dict[str, str]:
    found: dict[str, str] = place.arriero("status", "--json").json["pairs"][0]["roles"]
    return found


def answers_at(place: Place) -> str:
    told = place.arriero("ask", "Who is there?")
    assert told.code == 0, told.err
    return told.err.split(" at ")[-1].split()[0].strip(".,")


def events(place: Place, kind: str) -> list[dict[str, Any]]:
    lines = (place.folder / ".arriero/edge/controller.log").read_text().splitlines()
    return [each for line in lines if line.startswith("{") and (each := json.loads(line))["event"] == kind]


def test_a_pair_is_told_with_its_promise_and_its_price(place: Place) -> None:
    assert place.arriero("up", "--yes").code == 0
    plan = place.arriero("plan")
    assert plan.code == 0
    assert (
        "pair aws-east + azure-east: aws-east active, azure-east standby, warm (1 target kept, $170.24 a month); "
        "RTO 5s, RPO 0s promised"
    ) in plan.out
    assert "pair: aws-east active + azure-east standby; RTO 5s, RPO 0s promised" in place.arriero("status").out
    assert answers_at(place) == "aws-east"


def test_by_hand_requests_move_and_neither_plan_nor_up_undo_it(place: Place) -> None:
    moved = place.arriero("failover", "--yes", "--json")
    assert moved.code == 0, moved.err
    assert moved.json["roles"] == {"aws-east": "standby", "azure-east": "active"}
    assert wait_for(lambda: answers_at(place) == "azure-east", 15)
    assert roles(place) == {"aws-east": "standby", "azure-east": "active"}
    plan = place.arriero("plan")
    assert (plan.code, plan.out.index("azure-east:") < plan.out.index("aws-east:")) == (0, True), plan.out
    up = place.arriero("up", "--yes")
    assert "Nothing to do" in up.out, up.out
    assert answers_at(place) == "azure-east"
    assert place.arriero("lock", "status", "--json").json["authority"] == "azure"


def test_what_can_t_be_is_refused_in_words(place: Place) -> None:
    words = {
        ("failover", "aws-east"): "SITE: aws-east is the standby; azure-east serves; name the active site, or take a "
        "change back: arriero failback",
        ("failover", "nowhere"): "SITE: there is no site nowhere; choose from aws-east, azure-east",
        ("failback", "nowhere"): "SITE: there is no site nowhere; choose from aws-east, azure-east",
        ("failover", "azure-east"): "this acts, and there is no terminal to ask at; add --yes",
    }
    for asked, said in words.items():
        refused = place.arriero(*asked)
        assert (refused.code, refused.err.splitlines()[-1]) == (1, said)


def test_back_is_back_and_asked_again_is_nothing(place: Place) -> None:
    back = place.arriero("failback", "--yes")
    assert back.code == 0, back.err
    assert wait_for(lambda: answers_at(place) == "aws-east", 15)
    again = place.arriero("failback", "--yes")
    assert (again.code, again.out) == (0, "Every site has the role that the spec gives it.\n")


def test_traffic_alone_moves_without_the_ledger(place: Place) -> None:
    fault = ("rehearse", "fault", "--site", "azure-east", "--kind", "no-objects", "--for")
    assert place.arriero(*fault, "600").code == 0
    moved = place.arriero("failover", "--yes")
    assert moved.code == 1
    assert "failover: requests of this machine's gateway have moved; roles are not recorded" in moved.err
    assert "the ledger's authority store can't be reached" in moved.err.splitlines()[-1]
    assert wait_for(lambda: answers_at(place) == "azure-east", 15)
    assert place.arriero("failback", "--traffic", "--yes").code == 0
    assert wait_for(lambda: answers_at(place) == "aws-east", 15)
    assert place.arriero(*fault, "0").code == 0


def test_a_lost_region_s_role_goes_by_itself_and_stays_gone(place: Place) -> None:
    assert wait_for(lambda: place.arriero("status").code == 0, 60)
    lost = place.arriero("rehearse", "fault", "--site", "aws-east", "--kind", "lose", "--for", "60")
    assert lost.code == 0, lost.err
    assert answers_at(place) == "azure-east"
    # After the change by hand a moment ago roles rest for half a minute.
    assert wait_for(lambda: roles(place) == {"aws-east": "standby", "azure-east": "active"}, 90)
    (changed,) = events(place, "roles.changed")
    assert changed["text"].startswith("no target of aws-east has answered for ")
    assert wait_for(lambda: place.states() == {"aws-east": "ready", "azure-east": "ready"}, 120)
    assert answers_at(place) == "azure-east"
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    assert len(events(place, "roles.changed")) == 1


def test_who_is_dead_gets_no_role_back(place: Place) -> None:
    assert place.arriero("rehearse", "fault", "--site", "aws-east", "--kind", "lose", "--for", "600").code == 0
    back = place.arriero("failback", "--yes")
    assert back.code == 1
    assert back.err.splitlines()[-1].startswith("sites.aws-east: aws-east can't be read: ")
    assert place.arriero("rehearse", "fault", "--site", "aws-east", "--kind", "lose", "--for", "-1").code == 0
    assert wait_for(lambda: place.states()["aws-east"] == "ready", 60)
    assert place.arriero("failback", "--yes").code == 0
