"""One site of two fails, in the ways that clouds fail: the other stands, the words say why, a re-run converges.

The tests of a place go on from one another, in their order. Wrong credentials can't be had on a stage, which gives its
own; so `wrong_login` leaves the stage, with an environment that leads to the stage's clouds all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from azure.identity import ClientSecretCredential
from azure.mgmt.containerinstance import ContainerInstanceManagementClient
from azure.mgmt.resource import ResourceManagementClient
from places import Place, open_spec, wait_for

from arriero.clouds.endpoints import Endpoints

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, by: hand}
ledger: {authority: azure}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
BROKEN = "image: registry.example.com/acme/ollama-llm:exit-1\n"
LEAVING = """\
rehearse: on-request
accounts: {aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}
"""
# With something to do at every site.
STRANGER = f"{LEAVING}environment: {{OLLAMA_DEBUG: '1'}}\n"
# A store that decides is waited for before any site; so here it is not the one that stands in the storm.
IMPATIENT = f"{SPEC}deploy: {{ready_within: 20s}}\n".replace("authority: azure", "authority: aws")
# The cores of what others already have in the region: 99 of the 100 that a subscription gets there.
NEIGHBOURS = {"neighbour-1": 31, "neighbour-2": 31, "neighbour-3": 31, "neighbour-4": 6}
STORM_SECONDS = 8
# Longer than a command takes to read the sites, on a busy machine too.
OUTAGE_SECONDS = 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from new_place(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Place]:
    yield from new_place(tmp_path, IMPATIENT)


@pytest.fixture
def azure_only(tmp_path: Path) -> Iterator[Place]:
    lines = [line for line in SPEC.splitlines() if "aws-east" not in line]
    yield from new_place(tmp_path, "\n".join(lines))


def new_place(folder: Path, spec: str = SPEC) -> Iterator[Place]:
    (folder / "arriero.broken.yaml").write_text(BROKEN)
    (folder / "arriero.leaving.yaml").write_text(LEAVING)
    (folder / "arriero.stranger.yaml").write_text(STRANGER)
    yield from open_spec(folder, spec)


def fault(place: Place, site: str, kind: str, seconds: float) -> None:
    """0 seconds end a fault that is on."""
    played = place.arriero("rehearse", "fault", "--site", site, "--kind", kind, "--for", str(seconds))
    assert played.code == 0, played.err


def pids(place: Place) -> dict[str, int]:
    sites = place.arriero("status", "--json").json["sites"]
    return {target["id"]: target["pid"] for site in sites for target in site["targets"] if target["state"] == "ready"}


def problems(text: str, site: str) -> list[str]:
    """The last words about one site, with no trace of a Python error in any."""
    assert "Traceback" not in text
    return [line for line in text.splitlines() if line.startswith(f"sites.{site}: ")]


def test_a_plan_with_one_region_down_shows_the_other_sites_changes_and_fails(pair: Place) -> None:
    assert pair.arriero("rehearse", "start").code == 0
    fault(pair, "aws-east", "refuse", OUTAGE_SECONDS)
    plan = pair.arriero("plan")
    assert plan.code == 1
    assert "+ container group llm-azure-east-r1-1" in plan.out
    assert "  ! " in plan.out
    assert "1 site can't be read" in plan.out


def test_up_with_one_region_down_brings_the_other_site_up_and_says_which_is_not(pair: Place) -> None:
    fault(pair, "aws-east", "refuse", OUTAGE_SECONDS)
    up = pair.arriero("up", "--yes")
    assert up.code == 1
    assert len(problems(up.err, "aws-east")) == 1
    assert problems(up.err, "azure-east") == []
    answer = pair.arriero("ask", "Who is there?")
    assert answer.code == 0
    assert "at azure-east" in answer.err


def test_status_does_not_guess_about_a_region_that_does_not_answer(pair: Place) -> None:
    fault(pair, "aws-east", "refuse", OUTAGE_SECONDS)
    status = pair.arriero("status", "--json")
    assert status.code == 1
    assert {site["name"]: site["state"] for site in status.json["sites"]} == {
        "aws-east": "unknown",
        "azure-east": "ready",
    }


def test_once_the_region_is_back_a_rerun_adds_what_was_missing_and_nothing_else(pair: Place) -> None:
    before = pids(pair)
    assert wait_for(lambda: pair.arriero("status").code == 0, 2 * OUTAGE_SECONDS)
    up = pair.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert pair.states() == {"aws-east": "ready", "azure-east": "ready"}
    assert before.items() <= pids(pair).items()
    assert pair.arriero("plan").code == 0


def test_an_image_that_exits_is_named_with_its_exit_code_and_takes_no_target_away(pair: Place) -> None:
    before = pids(pair)
    up = pair.arriero("up", "-e", "broken", "--yes")
    assert up.code == 1
    (aws,), (azure,) = problems(up.err, "aws-east"), problems(up.err, "azure-east")
    assert "llm-aws-east: the targets did not come up" in aws
    assert "exit code 1" in aws
    assert "llm-azure-east-r2-1" in azure
    assert "exits with code 1" in azure
    assert "run `arriero up` again" in aws
    assert "run arriero up again" in azure
    assert before.items() <= pids(pair).items()
    assert pair.arriero("ask", "Still there?").code == 0


def test_a_rerun_with_the_image_mended_removes_what_failed_and_keeps_what_served(pair: Place) -> None:
    before = pids(pair)
    up = pair.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert pair.arriero("plan").code == 0
    assert pair.states() == {"aws-east": "ready", "azure-east": "ready"}
    assert len(before) == 2


def test_a_wrong_secret_of_one_cloud_is_named_with_its_remedy_and_hides_no_other_site(pair: Place) -> None:
    environment = {**pair.environment(), "AZURE_CLIENT_SECRET": "not-the-secret", "AZURE_SECRET": "not-the-secret"}
    plan = pair.arriero("plan", "-e", "leaving", **environment)
    assert plan.code == 1
    assert "aws-east: AWS ECS Fargate us-east-1" in plan.out
    assert "nothing to do" in plan.out
    assert "the client secret is wrong" in plan.out
    assert "set AZURE_CLIENT_SECRET" in plan.out
    assert "not-the-secret" not in plan.out + plan.err


def test_a_wrong_aws_key_is_named_with_its_remedy_and_the_other_cloud_is_done(pair: Place) -> None:
    environment = {**pair.environment(), "AWS_ACCESS_KEY_ID": "AKIASOMEBODYSELSE001"}
    said = (
        "AWS does not know this access key in us-east-1 (AuthFailure); correct AWS_ACCESS_KEY_ID, or choose "
        "another AWS_PROFILE"
    )
    plan = pair.arriero("plan", "-e", "stranger", **environment)
    assert plan.code == 1
    assert said in plan.out
    up = pair.arriero("up", "-e", "stranger", "--yes", "--no-gateway", **environment)
    assert up.code == 1
    assert problems(up.err, "aws-east") == [f"sites.aws-east: {said}"]
    assert problems(up.err, "azure-east") == []
    # That cloud alone is asked: the other can't be read, and would fail the look.
    again = pair.arriero("plan", "-e", "stranger", "--site", "azure-east", **environment)
    assert (again.code, "nothing to do" in again.out) == (0, True), again.out


def test_down_with_one_region_down_removes_the_other_and_a_rerun_ends_it(pair: Place) -> None:
    fault(pair, "aws-east", "refuse", OUTAGE_SECONDS)
    down = pair.arriero("down", "--purge", "--yes")
    assert down.code == 1
    assert len(problems(down.err, "aws-east")) == 1
    assert problems(down.err, "azure-east") == []
    assert wait_for(lambda: pair.arriero("status").code == 0, 2 * OUTAGE_SECONDS)
    assert pair.states()["azure-east"] == "absent"
    assert pair.states()["aws-east"] != "absent"
    again = pair.arriero("down", "--purge", "--yes")
    assert again.code == 0, again.err
    assert set(pair.states().values()) == {"absent"}


def test_a_short_storm_of_429s_delays_a_deployment_and_does_not_fail_it(azure_only: Place) -> None:
    assert azure_only.arriero("rehearse", "start").code == 0
    storm = Thread(target=storm_after_the_first_write, args=[azure_only])
    storm.start()
    up = azure_only.arriero("up", "--yes")
    storm.join()
    assert up.code == 0, up.err
    assert 429 in {call["status"] for call in azure_only.calls()}
    assert azure_only.arriero("plan").code == 0


def storm_after_the_first_write(place: Place) -> None:
    log = place.stage / "requests.jsonl"
    wait_for(lambda: log.exists() and '"action": "PUT ' in log.read_text(), 60)
    fault(place, "azure-east", "throttle", STORM_SECONDS)


def test_a_storm_that_does_not_end_is_named_while_the_other_site_comes_up(impatient: Place) -> None:
    assert impatient.arriero("rehearse", "start").code == 0
    fault(impatient, "azure-east", "throttle", 900)
    up = impatient.arriero("up", "--yes")
    assert up.code == 1
    assert problems(up.err, "azure-east") == [
        "sites.azure-east: Azure has throttled this site for 20 seconds; its last words: Error creating or updating "
        "resource group llm-azure-east - (TooManyRequests) The request rate in 'eastus' is too high. Please retry "
        "after 1 second.; Azure throttles: wait a minute and run arriero up again"
    ]
    assert "Wait, because the cloud throttles this site" in up.err
    assert impatient.states() == {"aws-east": "ready", "azure-east": "absent"}
    fault(impatient, "azure-east", "throttle", 0)
    assert impatient.arriero("up", "--yes").code == 0
    assert impatient.arriero("plan").code == 0


def test_a_quota_that_is_used_up_is_named_and_a_rerun_converges_once_there_is_room(azure_only: Place) -> None:
    assert azure_only.arriero("rehearse", "start").code == 0
    with a_full_region(azure_only):
        up = azure_only.arriero("up", "--yes")
    assert up.code == 1
    (said,) = problems(up.err, "azure-east")
    assert "quota" in said
    assert "eastus" in said
    assert azure_only.arriero("up", "--yes").code == 0
    assert azure_only.arriero("plan").code == 0


@contextmanager
def a_full_region(place: Place) -> Iterator[None]:
    """Somebody else's container groups use up eastus; made, and removed in the end, by official clients."""
    found = place.environment()
    login = (found["AZURE_TENANT_ID"], found["AZURE_CLIENT_ID"], found["AZURE_CLIENT_SECRET"])
    with Endpoints("the stage", found).entered():
        ours = (ClientSecretCredential(*login), found["AZURE_SUBSCRIPTION_ID"])
        groups = ContainerInstanceManagementClient(*ours).container_groups
        ResourceManagementClient(*ours).resource_groups.create_or_update("neighbours", {"location": "eastus"})
        for name, cores in NEIGHBOURS.items():
            groups.begin_create_or_update("neighbours", name, their_group(cores)).result()
    try:
        yield
    finally:
        with Endpoints("the stage", found).entered():
            for name in NEIGHBOURS:
                groups.begin_delete("neighbours", name).result()


def their_group(cores: int) -> dict[str, Any]:
    resources = {"requests": {"cpu": cores, "memoryInGB": 1}}
    container = {"name": "theirs", "properties": {"image": "acme/theirs:1", "resources": resources}}
    return {"location": "eastus", "properties": {"osType": "Linux", "containers": [container]}}
