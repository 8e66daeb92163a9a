"""Names of users' own for Front Doors of the emulated Azure, and WAF policies before them: what is refused, approved,
served, and given up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_front_doors import ENDPOINT, PROFILE, ROUTE, STANDARD, Doors, ask, opened, put, refused, route, says

from arriero.clock import ManualClock
from arriero.rehearse.azure import front_door_names
from arriero.rehearse.azure.world import SUBSCRIPTION, World
from way_in import connected_as

HOST = "llm.example.com"
NAME, POLICY = f"{PROFILE}/customDomains/llm-example-com", f"{PROFILE}/securityPolicies/guard"
RULES = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/waf/providers/Microsoft.Network/"
    "frontDoorWebApplicationFirewallPolicies/llm"
)


def name(host: str = HOST, **more: Any) -> dict[str, Any]:
    return {"properties": {"hostName": host, **more}}


def policy(*domains: str, rules: str = RULES) -> dict[str, Any]:
    associations = [{"domains": [{"id": each} for each in domains], "patternsToMatch": ["/*"]}]
    told = {"type": "WebApplicationFirewall", "wafPolicy": {"id": rules}, "associations": associations}
    return {"properties": {"parameters": told}}


@pytest.fixture
def profile(world: World) -> World:
    put(world, PROFILE, STANDARD)
    put(world, ENDPOINT, {"location": "Global", "properties": {"enabledState": "Enabled"}})
    return world


def about(world: World) -> dict[str, Any]:
    found: dict[str, Any] = ask(world, "GET", NAME).body["properties"]
    return found


def prove(world: World, text: str) -> None:
    (world.figures.folder / "records.json").write_text(json.dumps({f"_dnsauth.{HOST}": text}))
    front_door_names.look(world)


def test_a_name_is_approved_once_its_token_is_in_the_dns(profile: World) -> None:
    made = put(profile, NAME, name())["properties"]
    assert (made["domainValidationState"], made["tlsSettings"]["minimumTlsVersion"]) == ("Pending", "TLS12")
    token = made["validationProperties"]["validationToken"]
    prove(profile, "another")
    assert about(profile)["domainValidationState"] == "Pending"
    prove(profile, token)
    assert about(profile)["domainValidationState"] == "Approved"
    again = put(
        profile, NAME, name(tlsSettings={"certificateType": "ManagedCertificate", "minimumTlsVersion": "TLS10"})
    )
    assert again["properties"]["domainValidationState"] == "Approved"
    assert again["properties"]["validationProperties"]["validationToken"] == token
    assert "approved already" in refused(profile, "POST", f"{NAME}/refreshValidationToken")


def test_one_that_waits_for_more_than_a_week_needs_another_token(profile: World, clock: ManualClock) -> None:
    token = put(profile, NAME, name())["properties"]["validationProperties"]["validationToken"]
    clock.sleep(8 * 86400)
    prove(profile, "another")
    assert about(profile)["domainValidationState"] == "TimedOut"
    prove(profile, token)
    assert about(profile)["domainValidationState"] == "TimedOut"
    assert ask(profile, "POST", f"{NAME}/refreshValidationToken").status == 200
    renewed = about(profile)["validationProperties"]["validationToken"]
    assert renewed != token
    prove(profile, renewed)
    assert about(profile)["domainValidationState"] == "Approved"


def test_names_that_cannot_be_are_refused(profile: World) -> None:
    put(profile, NAME, name())
    assert "can't be changed" in refused(profile, "PUT", NAME, name("other.example.com"))
    assert "in use by another" in refused(profile, "PUT", f"{PROFILE}/customDomains/again", name("LLM.example.com"))
    assert "wildcard" in refused(profile, "PUT", f"{PROFILE}/customDomains/all", name("*.example.com"))


def test_a_firewall_stands_before_what_is_there_and_once(profile: World) -> None:
    assert "none of this subscription" in refused(profile, "PUT", POLICY, policy(ENDPOINT, rules="/subscriptions/x"))
    assert "is not there" in refused(profile, "PUT", POLICY, policy(ENDPOINT, NAME))
    put(profile, NAME, name())
    made = put(profile, POLICY, policy(ENDPOINT, NAME))["properties"]["parameters"]
    assert [each["isActive"] for each in made["associations"][0]["domains"]] == [True, True]
    assert "security policy 'guard'" in refused(profile, "PUT", f"{PROFILE}/securityPolicies/two", policy(NAME))
    assert "is in use by" in refused(profile, "DELETE", NAME)
    put(profile, POLICY, policy(ENDPOINT))
    assert ask(profile, "DELETE", NAME).status == 202


@pytest.fixture
def doors(tmp_path: Path, world: World, clock: ManualClock) -> Iterator[Doors]:
    with opened(tmp_path, world, clock) as found:
        yield found


def asked(doors: Doors) -> int:
    """As a client asks whose DNS leads the name there."""
    connection = connected_as(doors.folder / "doors" / doors.host / HOST / "ca.pem", HOST, doors.host)
    connection.request("GET", "/")
    return connection.getresponse().status


def test_a_name_serves_with_a_certificate_of_its_own_once_it_is_approved(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")))
    token = put(doors.world, NAME, name())["properties"]["validationProperties"]["validationToken"]
    put(doors.world, ROUTE, route(customDomains=[{"id": NAME}]))
    doors.doors.settle(doors.world.state)
    assert doors.asked(Host=HOST).status == 404
    assert "is in use by" in refused(doors.world, "DELETE", NAME)
    prove(doors.world, token)
    doors.doors.settle(doors.world.state)
    assert asked(doors) == 200
    assert doors.asked().status == 200
    [named, own] = doors.heard
    assert b"Host: llm.example.com\r\n" in named  # what the origin wants to hear
    assert f"X-Forwarded-Host: {HOST}\r\n".encode() in named
    assert f"X-Forwarded-Host: {doors.host}\r\n".encode() in own
    put(doors.world, ROUTE, route())
    doors.doors.settle(doors.world.state)
    assert doors.asked(Host=HOST).status == 404


def test_a_route_has_names_that_are_there(doors: Doors) -> None:
    doors.before(doors.server("east", says(b"hello")))
    body = route(customDomains=[{"id": NAME}])
    assert "is not there" in refused(doors.world, "PUT", ROUTE, body)
