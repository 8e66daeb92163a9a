"""A Front Door that is put before a running service at both clouds, and taken away again, while clients ask at each
site's own door; an environment of edges that was made anew under another name.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from askers import asking
from places import Place, open_spec, wait_for

from key_vault import GROUP, MANAGEMENT, VAULT, Hand
from way_in import connected, connected_by_name, key_and_hashes

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

ACCOUNT = "123456789012"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llm-edge"
PROFILE = "/resourceGroups/llm-front-door/providers/Microsoft.Cdn/profiles/llm"
APPS = "/resourceGroups/llm-west/providers/Microsoft.App"
NETWORKS = "/resourceGroups/theirs/providers/Microsoft.Network/virtualNetworks"
QUESTION = {"model": "llama2", "prompt": "hello", "stream": False}
HOST = "llm.example.com"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
deploy: {{stop_within: 5s}}
sites:
  east: {{cloud: aws, region: us-east-1}}
  west: {{cloud: azure, region: westeurope}}
ingress:
  alb:
    hosts: [llm.example.com]
    certificates: [arn:aws:acm:us-east-1:123456789012:certificate/0a1b]
    scheme: internet-facing
    allow_from: ['0.0.0.0/0']
    edges: {{keys: ['{arn}']}}
  edges: {{keys: {secret}, identity: {identity}}}
"""
DOOR = "  front_door: {}\n"
DUMMY = f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:llm/keys-AbCdEf"


def text(arn: str) -> str:
    identity = f"/subscriptions/{SUBSCRIPTION}{IDENTITY}"
    return SPEC.format(arn=arn, secret=f"{VAULT}/secrets/llm-keys", identity=identity)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("comes"), text(DUMMY))


class Client:
    """Who has a key, and knows each way in: those of the sites, and the Front Door's."""

    def __init__(self, place: Place, key: str, hand: Hand, balancing: Any) -> None:
        self._place, self._key, self._hand, self._balancing = place, key, hand, balancing

    def at_aws(self) -> Callable[[], int]:
        [balancer] = self._balancing.describe_load_balancers(Names=["llm-east"])["LoadBalancers"]
        return lambda: self._asked(connected(self._place.stage / "balancers", balancer["DNSName"]), Host=HOST)

    def at_azure(self) -> Callable[[], int]:
        told = self._place.arriero("status", "--json").json["sites"]
        host = next(site["edges"]["url"] for site in told if site["name"] == "west").removeprefix("https://")
        address = self.got(f"{APPS}/managedEnvironments/llm-west-edge")["staticIp"]
        return lambda: self._asked(connected_by_name(self._place.stage, host, address))

    def through(self) -> Callable[[], int]:
        host = self.got(f"{PROFILE}/afdEndpoints/llm", "2024-02-01")["hostName"]
        return lambda: self._asked(connected(self._place.stage / "doors", host))

    def site(self) -> str:
        """Which site answered a request through the Front Door."""
        host = self.got(f"{PROFILE}/afdEndpoints/llm", "2024-02-01")["hostName"]
        connection = connected(self._place.stage / "doors", host)
        said = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        connection.request("POST", "/api/generate", json.dumps(QUESTION), said)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        return str(answer.headers["X-Arriero-Site"])

    def got(self, path: str, version: str = "2025-01-01") -> dict[str, Any]:
        told = self._hand.ask("GET", self._hand.managed(path), None, version, MANAGEMENT)
        assert told.status_code < 300, told.text
        found: dict[str, Any] = told.json()["properties"]
        return found

    def _asked(self, connection: Any, **headers: str) -> int:
        said = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}", **headers}
        connection.request("POST", "/api/generate", json.dumps(QUESTION), said)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return int(answer.status)


@pytest.fixture(scope="module")
def hand(place: Place) -> Hand:
    return Hand(place.environment())


@pytest.fixture(scope="module")
def client(place: Place, hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """One key, whose hash both clouds keep as a secret."""
    key, hashes = key_and_hashes(tmp_path_factory.mktemp("keys"))
    session = hand.environment

    def aws(service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=session["AWS_ENDPOINT_URL"],
            aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
        )

    arn = str(aws("secretsmanager").create_secret(Name="llm/keys", SecretString=hashes)["ARN"])
    hand.make_vault()
    hand.keep("llm-keys", hashes)
    put(hand, IDENTITY, {"location": "westeurope"}, "2023-01-31")
    (place.folder / "arriero.yaml").write_text(text(arn))
    return Client(place, key, hand, aws("elbv2"))


def put(hand: Hand, path: str, body: object, version: str) -> None:
    made = hand.ask("PUT", hand.managed(path), body, version, MANAGEMENT)
    assert made.status_code < 300, made.text


def up(place: Place) -> None:
    done = place.arriero("up", "--yes", "--no-gateway")
    assert done.code == 0, done.out + done.err
    again = place.arriero("plan")
    assert again.code == 0, again.out + again.err


def test_each_site_has_a_door_of_its_own_which_status_tells(place: Place, client: Client) -> None:
    up(place)
    told = {site["name"]: site["edges"] for site in place.arriero("status", "--json").json["sites"]}
    assert told["east"] == {"count": 2, "url": f"https://{HOST}"}
    assert told["west"]["count"] == 2
    lines = place.arriero("status").out.splitlines()
    assert [line for line in lines if "edges" in line] == [
        f"  2 edges {told[site]['url']}" for site in ("east", "west")
    ]
    for ask in (client.at_aws(), client.at_azure()):
        assert wait_for(lambda ask=ask: ask() == 200, 60)  # type: ignore[misc]


def test_where_it_can_not_be_made_every_site_goes_on_as_it_is(place: Place, hand: Hand, client: Client) -> None:
    put(hand, "/resourceGroups/llm-front-door", {"location": "westeurope"}, "2022-09-01")  # somebody else's
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text() + DOOR)
    with asking(east=client.at_aws(), west=client.at_azure()) as askers:
        failed = place.arriero("up", "--yes", "--no-gateway")
    assert failed.code == 1, failed.out + failed.err
    assert "does not carry this service's tags" in failed.err
    assert {name: set(asker.told) for name, asker in askers.items()} == {"east": {200}, "west": {200}}
    gone = hand.ask("DELETE", hand.managed("/resourceGroups/llm-front-door"), None, "2022-09-01", MANAGEMENT)
    assert gone.status_code < 300, gone.text
    spec.write_text(spec.read_text().removesuffix(DOOR))
    up(place)


def test_while_it_comes_no_request_at_a_sites_own_door_is_lost_before_the_door_is_closed(
    place: Place, client: Client
) -> None:
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text() + DOOR)
    with asking(east=client.at_aws(), west=client.at_azure()) as askers:
        up(place)
        for asker in askers.values():
            assert wait_for(lambda asker=asker: asker.told[-1] == 403, 30)  # type: ignore[misc]
    for name, asker in askers.items():
        # Two revisions may answer side by side for a moment; but nobody is told anything else.
        assert set(asker.told) == {200, 403}, (name, set(asker.told))
        assert asker.told.index(403) > 3, name
    assert place.arriero("status").out.count(", for the Front Door alone") == 2
    assert wait_for(lambda: client.through()() == 200, 60)


def test_while_it_goes_no_request_through_it_is_lost_before_every_site_answers_all(
    place: Place, client: Client
) -> None:
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text().removesuffix(DOOR))
    through, east, west = client.through(), client.at_aws(), client.at_azure()
    with asking(door=through, east=east, west=west) as askers:
        up(place)
        opened = [asker.told.index(200) for name, asker in askers.items() if name != "door"]
        for asker in (askers["east"], askers["west"]):
            assert wait_for(lambda asker=asker: set(asker.told[-10:]) == {200}, 30)  # type: ignore[misc]
    assert min(opened) > 0, "they were closed before"
    assert {each for name in ("east", "west") for each in askers[name].told} == {200, 403}
    by_door = askers["door"].told
    served = by_door[: next((n for n, each in enumerate(by_door) if each != 200), len(by_door))]
    assert len(served) > 3, f"{len(by_door)} asked, {by_door[len(served) : len(served) + 9]}, {opened}"
    # What comes after is one that is not there: no answer of a site's.
    assert not [each for each in by_door[len(served) :] if isinstance(each, int)], by_door[len(served) :]


def test_an_environment_that_stands_elsewhere_is_made_anew_and_the_edges_have_another_name(
    place: Place, hand: Hand, client: Client
) -> None:
    """Somebody made one of the same name in a network of theirs."""
    spec = place.folder / "arriero.yaml"
    spec.write_text(spec.read_text() + DOOR)
    up(place)
    before = client.got(f"{APPS}/managedEnvironments/llm-west-edge")["defaultDomain"]
    taken_by_a_stranger(hand)
    planned = place.arriero("plan")
    assert planned.code == 2, planned.out
    assert "edge environment llm-west-edge: subnet: is theirs/theirs, should be llm-west/edges" in planned.out
    up(place)
    after = client.got(f"{APPS}/managedEnvironments/llm-west-edge")["defaultDomain"]
    assert after != before
    origin = client.got(f"{PROFILE}/originGroups/sites/origins/west", "2024-02-01")
    assert origin["hostName"] == origin["originHostHeader"] == f"llm-west-edge.{after}"
    sites: set[str] = set()

    def both_answered() -> bool:
        sites.add(client.site())
        return sites == {"east", "west"}

    assert wait_for(both_answered, 60), sites


def taken_by_a_stranger(hand: Hand) -> None:
    for path in (f"{APPS}/containerApps/llm-west-edge", f"{APPS}/managedEnvironments/llm-west-edge"):
        gone = hand.ask("DELETE", hand.managed(path), None, "2025-01-01", MANAGEMENT)
        assert gone.status_code < 300, gone.text
        assert wait_for(lambda path=path: is_gone(hand, path), 30)  # type: ignore[misc]
    put(hand, "/resourceGroups/theirs", {"location": "westeurope"}, "2022-09-01")
    space = {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}}
    put(hand, f"{NETWORKS}/theirs", {"location": "westeurope", "properties": space}, "2024-05-01")
    delegated = [{"name": "apps", "properties": {"serviceName": "Microsoft.App/environments"}}]
    subnet = {"properties": {"addressPrefix": "10.9.0.0/24", "delegations": delegated}}
    put(hand, f"{NETWORKS}/theirs/subnets/theirs", subnet, "2024-05-01")
    inside = {"infrastructureSubnetId": f"/subscriptions/{SUBSCRIPTION}{NETWORKS}/theirs/subnets/theirs"}
    profiles = [{"name": "Consumption", "workloadProfileType": "Consumption"}]
    about = {"location": "westeurope", "properties": {"vnetConfiguration": inside, "workloadProfiles": profiles}}
    put(hand, f"{APPS}/managedEnvironments/llm-west-edge", about, "2025-01-01")


def is_gone(hand: Hand, path: str) -> bool:
    return hand.ask("GET", hand.managed(path), None, "2025-01-01", MANAGEMENT).status_code == 404


def test_down_leaves_nothing_but_what_others_made(place: Place, hand: Hand, client: Client) -> None:
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.out + down.err
    listed = hand.ask("GET", hand.managed("/resourceGroups"), None, "2022-09-01", MANAGEMENT).json()["value"]
    assert sorted(each["name"] for each in listed) == ["keys", "theirs"]
