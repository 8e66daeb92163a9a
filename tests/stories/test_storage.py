"""Models on EFS and Azure Files: put there once by a job, laid out before each Ollama, kept when the service goes. The
site in Azure is private, so its storage is closed and all of it goes through a private endpoint.

The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator

import pytest
from places import Place, open_spec

from arriero.plan.wanted import azure_files
from arriero.rehearse.azure import accounts
from arriero.rehearse.azure.ids import ResourceId
from key_vault import MANAGEMENT, Hand

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2, MODELS]
rehearse: always
scale: {min: 1, by: hand}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus, network: private}
"""
ENDPOINT = "/resourceGroups/llm-azure-east/providers/Microsoft.Network/privateEndpoints/llm-azure-east-files"
BIG, OTHER, NOWHERE = "llama2:70b", "qwen:72b", "127.0.0.1:1/acme/llm:70b"


def says(place: Place, *models: str) -> None:
    rows = ", ".join(f"{{name: '{model}', from: storage}}" for model in models)
    (place.folder / "arriero.yaml").write_text(SPEC.replace("MODELS", rows))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("stored"), SPEC.replace(", MODELS", "")):
        says(place, BIG)
        yield place


def manifests(place: Place) -> dict[str, set[str]]:
    """The models in each storage of the stage, by the storage's kind."""
    storage = place.stage / "storage"
    return {
        kind: {"/".join(path.parts[-2:]) for path in (storage / kind).rglob("manifests/*/*/*/*")}
        for kind in ("efs", "shares")
    }


def models_of(place: Place) -> list[set[str]]:
    sites = place.arriero("status", "--json").json["sites"]
    return [set(target["models"]) for site in sites for target in site["targets"]]


def answer(place: Place, site: str, model: str) -> str:
    """What a site's own target says, not past the gateway."""
    sites = {each["name"]: each for each in place.arriero("status", "--json").json["sites"]}
    address = next(target["address"] for target in sites[site]["targets"] if target["state"] == "ready")
    body = {"model": model, "prompt": "Why is the sky blue?", "stream": False, "options": {"num_predict": 8}}
    request = urllib.request.Request(f"http://{address}/api/generate", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(json.loads(response.read())["response"])


def jobs(place: Place) -> list[str]:
    """What started a job that fills a storage."""
    runs = [call for call in place.calls() if call["action"] == "ecs:RunTask"]
    groups = [call for call in place.calls() if call["action"].startswith("PUT") and call["name"].endswith("-seed")]
    return ["run task"] * len(runs) + ["put group"] * len(groups)


def test_a_model_that_no_registry_has_ends_the_deployment_before_anything_serves(stored: Place) -> None:
    says(stored, NOWHERE)
    up = stored.arriero("up", "--yes")
    assert up.code == 1
    lines = {line.partition(":")[0]: line for line in up.err.splitlines() if line.startswith("sites.")}
    assert set(lines) == {"sites.aws-east", "sites.azure-east"}, up.err
    assert "container seed: it exited with code 1" in lines["sites.aws-east"]
    assert "the job that fills the storage exits with code 1" in lines["sites.azure-east"]
    assert all(f"{NOWHERE}: it can't be pulled" in line for line in lines.values()), up.err
    assert all("connection refused; see its registry" in line for line in lines.values())
    assert "Traceback" not in up.err
    assert manifests(stored) == {"efs": set(), "shares": set()}
    assert not [target for target in models_of(stored) if target]


def test_both_clouds_serve_models_of_the_image_and_of_the_storage(stored: Place) -> None:
    says(stored, BIG)
    up = stored.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert models_of(stored) == [{"llama2:latest", BIG}] * 2
    assert manifests(stored) == {"efs": {"llama2/70b"}, "shares": {"llama2/70b"}}
    for site in ("aws-east", "azure-east"):
        assert len(answer(stored, site, "llama2")) > 5
        assert len(answer(stored, site, BIG)) > 5
    plan = stored.arriero("plan")
    assert plan.code == 0, plan.out


def test_the_keys_of_the_share_stand_in_no_file(stored: Place) -> None:
    account = azure_files.account_name(stored.environment()["AZURE_SUBSCRIPTION_ID"], "llm-azure-east")
    group = f"/subscriptions/{stored.environment()['AZURE_SUBSCRIPTION_ID']}/resourceGroups/llm-azure-east.files"
    found = ResourceId.parse(f"{group}/providers/Microsoft.Storage/storageAccounts/{account}")
    assert found
    values = [accounts.key(found, f"key{n}") for n in (1, 2)]
    assert not any(stored.files_with(values).values())


def test_a_way_to_the_storage_that_a_hand_took_away_is_drift(stored: Place) -> None:
    hand = Hand(stored.environment())
    gone = hand.ask("DELETE", hand.managed(ENDPOINT), version="2024-03-01", audience=MANAGEMENT)
    assert gone.status_code == 202, gone.text
    plan = stored.arriero("plan")
    assert plan.code == 2, plan.out
    assert "llm-azure-east-files: it is not there" in plan.out
    up = stored.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert stored.arriero("plan").code == 0
    ways = [line for line in stored.arriero("check").out.splitlines() if "the storage of models" in line]
    assert len(ways) == 2
    assert all(line.endswith("private endpoint llm-azure-east-files") for line in ways)


def test_a_second_model_is_added_and_only_that_is_pulled(stored: Place) -> None:
    before = jobs(stored)
    says(stored, BIG, OTHER)
    up = stored.arriero("up", "--yes")
    assert up.code == 0, up.err
    assert len(jobs(stored)) == len(before) + 2
    assert models_of(stored) == [{"llama2:latest", BIG, OTHER}] * 2
    assert manifests(stored) == {"efs": {"llama2/70b", "qwen/72b"}, "shares": {"llama2/70b", "qwen/72b"}}
    said = [path.read_text() for path in stored.stage.rglob("targets/*/seed.log")]
    assert all(f"{BIG}: it is there" in text for text in said)


def test_a_way_back_finds_its_models_and_needs_no_job(stored: Place) -> None:
    before = jobs(stored)
    newest = stored.arriero("history", "--json").json["releases"][-1]["release"]
    back = stored.arriero("rollback", str(newest - 1), "--yes")
    assert back.code == 0, back.err
    assert models_of(stored) == [{"llama2:latest", BIG}] * 2
    assert len(jobs(stored)) == len(before) or manifests(stored)["efs"] >= {"llama2/70b", "qwen/72b"}


def test_a_target_whose_storage_lacks_a_file_does_not_start_and_says_why(stored: Place) -> None:
    """And what served before goes on."""
    share = next((stored.stage / "storage" / "shares").rglob("manifests")).parent
    kept = share.with_name("kept")
    shutil.copytree(share, kept)
    shutil.rmtree(share / "blobs")
    spec = (stored.folder / "arriero.yaml").read_text()
    (stored.folder / "arriero.yaml").write_text(f"{spec}environment: {{OLLAMA_DEBUG: '1'}}\n")
    up = stored.arriero("up", "--yes", "--site", "azure-east")
    shutil.copytree(kept, share, dirs_exist_ok=True)
    assert up.code == 1
    assert "sites.azure-east" in up.err
    assert len(answer(stored, "azure-east", BIG)) > 5
    assert stored.arriero("up", "--yes").code == 0


def test_what_goes_leaves_the_models_and_what_comes_back_has_them(stored: Place) -> None:
    down = stored.arriero("down", "--yes")
    assert down.code == 0, down.err
    assert "Kept: the models of aws-east (file system llm-aws-east)" in down.out
    assert "Kept: the models of azure-east (file share models)" in down.out
    assert manifests(stored)["efs"] == manifests(stored)["shares"] == {"llama2/70b", "qwen/72b"}
    again = stored.arriero("up", "--yes")
    assert again.code == 0, again.err
    assert stored.arriero("plan").code == 0
    purged = stored.arriero("down", "--purge", "--yes")
    assert purged.code == 0, purged.err
    assert "Kept" not in purged.out
    nothing = stored.arriero("down", "--purge", "--yes")
    assert "There was nothing to remove." in nothing.out, nothing.out
