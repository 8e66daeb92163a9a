from __future__ import annotations

from dataclasses import replace

import pytest

from arriero.plan.compare import compare
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.place import definition_hash, plan
from arriero.plan.wanted import local
from arriero.spec.model import ResolvedSite, Spec


def spec(**site: object) -> Spec:
    own = {"cloud": "local", "hosts": ["127.0.0.1"], "scale": {"min": 2, "max": 4}, **site}
    data = {"name": "llm", "image": "acme/llm:1", "models": [{"name": "llama2:latest"}], "sites": {"office": own}}
    return Spec.model_validate(data)


def office(**site: object) -> ResolvedSite:
    return spec(**site).site("office")


def found(*servers: Resource) -> SiteFacts:
    return SiteFacts("office", "local", "", resources=servers, count=len(servers))


NOTHING = found()
DIGEST = definition_hash(local.definition(office()))


def wish(site: ResolvedSite, facts: SiteFacts = NOTHING, release: int = 1, count: int = 2) -> tuple[Resource, ...]:
    return local.wanted(site, facts, release, count, definition_hash(local.definition(site)))


def test_servers_are_numbered_and_carry_what_tells_them_apart() -> None:
    servers = wish(office())
    assert [server.name for server in servers] == ["llm-office-r1-1", "llm-office-r1-2"]
    assert servers[0].tags == {
        "arriero-service": "llm",
        "arriero-site": "office",
        "arriero-release": "1",
        "arriero-definition": DIGEST,
    }


def test_loopback_hosts_give_the_range_that_is_not_the_edges() -> None:
    assert {server.properties["host"] for server in wish(office())} == {"127.0.1.0/24"}
    both = office(hosts=["127.0.0.1", "192.168.7.7"])
    assert [server.properties["host"] for server in wish(both)] == ["127.0.1.0/24", "192.168.7.7"]


def test_where_it_listens_is_not_part_of_a_servers_environment() -> None:
    assert "OLLAMA_HOST" not in local.environment(office())
    assert local.environment(office())["ARRIERO_MODELS"] == "llama2:latest"


def test_what_stands_as_wished_is_kept_and_only_what_lacks_is_made() -> None:
    standing = wish(office())[1]
    servers = wish(office(), found(standing), count=3)
    assert [server.name for server in servers] == ["llm-office-r1-2", "llm-office-r1-1", "llm-office-r1-3"]


def test_a_dead_server_is_started_under_its_own_name() -> None:
    one, two = wish(office())
    dead = replace(one, properties={**one.properties, "running": False})
    facts = found(dead, two)
    (change,) = compare("office", wish(office(), facts), facts.resources, local.IMMUTABLE)
    assert (change.action, change.name) == ("replace", "llm-office-r1-1")


def test_of_too_many_the_running_ones_stay() -> None:
    one, two = wish(office())
    dead = replace(one, properties={**one.properties, "running": False})
    assert [server.name for server in wish(office(), found(dead, two), count=1)] == [two.name]


def test_drift_in_the_same_release_makes_a_new_name_beside_the_old() -> None:
    one, two = wish(office())
    drifted = replace(one, properties={**one.properties, "environment": {"X": "1"}})
    facts = found(drifted, two)
    changes = compare("office", wish(office(), facts), facts.resources, local.IMMUTABLE)
    assert [(change.action, change.name) for change in changes] == [
        ("create", "llm-office-r1-3"),
        ("remove", "llm-office-r1-1"),
    ]


@pytest.mark.parametrize(
    ("site", "release"),
    [({}, 1), ({"environment": {"X": "1"}}, 2), ({"ollama": {"num_parallel": 8}}, 2), ({"scale": {"min": 3}}, 1)],
)
def test_only_a_change_of_the_definition_is_a_new_release(site: dict[str, object], release: int) -> None:
    facts = Facts("llm", {"office": found(*wish(office()))})
    assert plan(spec(**site), facts).sites[0].release == release


def test_the_image_is_no_part_of_a_local_server() -> None:
    other = office().model_copy(update={"image": "acme/llm:2"})
    assert local.definition(other) == local.definition(office())
