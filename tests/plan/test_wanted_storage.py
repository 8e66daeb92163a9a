"""What sites wish for where models come from storage: the storage, the job that fills it, and how targets read it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from arriero.plan import order, place
from arriero.plan.cleaning import Cleaning
from arriero.plan.model import Cloud, Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws_files, aws_task, azure_files, storage
from arriero.spec.model import Model, ResolvedSite, Spec
from arriero.spec.size import Size
from arriero.spec.storage import Storage

REGIONS = {"aws": "us-east-1", "azure": "eastus"}
BIG = {"name": "llama2:70b", "from": "storage"}


def spec(cloud: str, *models: Any) -> Spec:
    site = {"cloud": cloud, "region": REGIONS[cloud]} if cloud in REGIONS else {"cloud": "local"}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2", *models], "sites": {"east": site}}
    return Spec.model_validate(whole)


def nothing(cloud: Cloud) -> SiteFacts:
    return SiteFacts("east", cloud, REGIONS[cloud], account="0")


def planned(wish: Spec, found: SiteFacts) -> SitePlan:
    return place.plan(wish, Facts("llm", {"east": found})).sites[0]


def standing(wish: Spec, cloud: Cloud) -> SiteFacts:
    """The site as it is once all of the wish is there."""
    return replace(nothing(cloud), resources=planned(wish, nothing(cloud)).wanted)


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_storage_is_made_and_filled_before_targets_come(cloud: Cloud) -> None:
    steps = [step.name for step in planned(spec(cloud, BIG), nothing(cloud)).steps]
    assert steps.index("network") < steps.index("storage") < steps.index("seed")
    assert steps.index("seed") < steps.index("service" if cloud == "aws" else "targets")
    assert not {"storage", "seed"} & {step.name for step in planned(spec(cloud), nothing(cloud)).steps}


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_another_model_is_put_there_and_one_less_takes_nothing_away(cloud: Cloud) -> None:
    before = standing(spec(cloud, BIG), cloud)
    more = planned(spec(cloud, BIG, {**BIG, "name": "qwen:72b"}), before)
    seeds = next(step for step in more.steps if step.name == "seed")
    assert [change.reason for change in seeds.changes] == ["models: is llama2:70b, should be llama2:70b qwen:72b"]
    less = planned(spec(cloud), before)
    assert not [c for c in less.changes if c.action == "remove" and c.kind in storage.KEPT_KINDS]
    assert "seed" not in [step.name for step in less.steps]


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_a_site_that_leaves_the_spec_leaves_its_models(cloud: Cloud) -> None:
    found = standing(spec(cloud, BIG), cloud)
    other = spec("local", BIG).model_copy(update={"sites": {}})
    left = place.plan(other, Facts("llm", {"east": found})).sites[0]
    assert left.is_leaving
    assert [step.name for step in left.steps] == [order.REMOVE]
    assert not storage.KEPT_KINDS & {change.kind for change in left.changes}
    assert storage.KEPT_KINDS & {resource.kind for resource in found.resources}


def site(cloud: str, *models: Any) -> ResolvedSite:
    return spec(cloud, *models).site("east")


def containers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in document["containerDefinitions"]}


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["environment"]}


def test_a_task_lays_models_out_before_its_ollama_and_only_reads_the_storage() -> None:
    document = aws_task.document(site("aws", BIG), {})
    found = containers(document)
    assert list(found) == ["models", "ollama", "sidecar"]
    assert found["models"]["essential"] is False
    assert found["ollama"]["dependsOn"] == [{"containerName": "models", "condition": "SUCCESS"}]
    mounts = [mount for each in found.values() for mount in each.get("mountPoints", ())]
    assert {mount["readOnly"] for mount in mounts if mount["containerPath"] == storage.STORAGE} == {True}
    assert environment(found["ollama"])["OLLAMA_MODELS"] == storage.SHELF
    assert environment(found["ollama"])["ARRIERO_MODELS"] == "llama2:latest"
    assert environment(found["sidecar"])["ARRIERO_MODELS"] == "llama2:latest,llama2:70b"
    assert environment(found["models"])["ARRIERO_STORED_MODELS"] == "llama2:70b"
    volume = document["volumes"][1]["efsVolumeConfiguration"]
    assert volume["transitEncryption"] == "ENABLED"
    assert volume["authorizationConfig"]["iam"] == "ENABLED"


def test_ids_that_a_wish_can_not_know_make_no_difference() -> None:
    document = aws_task.document(site("aws", BIG), {})
    there = aws_task.document(site("aws", BIG), {})
    there["volumes"][1]["efsVolumeConfiguration"] |= {"fileSystemId": "fs-1", "rootDirectory": "/"}
    there["volumes"][1]["efsVolumeConfiguration"]["authorizationConfig"] = {"accessPointId": "fsap-1", "iam": "ENABLED"}
    assert aws_task.normal_form(there) == aws_task.normal_form(document)
    there["volumes"][1]["efsVolumeConfiguration"]["transitEncryption"] = "DISABLED"
    assert aws_task.normal_form(there) != aws_task.normal_form(document)


def test_without_storage_a_task_is_what_it_was() -> None:
    document = aws_task.document(site("aws"), {})
    assert list(containers(document)) == ["ollama", "sidecar"]
    assert document["volumes"] == [{"name": "scratch"}]
    assert "OLLAMA_MODELS" not in environment(containers(document)["ollama"])


@pytest.mark.parametrize(("asked", "sent"), [("20GiB", None), ("21GiB", {"sizeInGiB": 21})])
def test_the_disk_that_fargate_includes_is_not_asked_for(asked: str, sent: Any) -> None:
    """RegisterTaskDefinition refuses less than 21 GiB; neither the targets nor the job may say it."""
    wish = spec("aws", BIG).model_copy(update={"size": Size.model_validate({"storage": asked})}).site("east")
    for document in (aws_task.document(wish, {}), aws_task.seeding(wish)):
        assert document.get("ephemeralStorage") == sent
        assert aws_task.normal_form(document)["ephemeralStorage"] == {"sizeInGiB": int(asked.removesuffix("GiB"))}


def test_the_job_writes_with_a_role_of_its_own() -> None:
    document = aws_task.seeding(site("aws", {**BIG, "pull": "models.example.com/acme/llm:70b", "insecure": True}))
    found = containers(document)
    assert list(found) == ["ollama", "seed"]
    assert document["taskRoleArn"].endswith("llm-east-seed")
    assert environment(found["ollama"])["OLLAMA_MODELS"] == storage.STORAGE
    assert '"pull":"models.example.com/acme/llm:70b"' in environment(found["seed"])["ARRIERO_SEEDS"]
    assert not any("healthCheck" in each for each in found.values())
    reading, writing = (next(iter(of(site("aws", BIG)).values())) for of in (aws_files.reading, aws_files.writing))
    assert "elasticfilesystem:ClientWrite" in str(writing)
    assert "elasticfilesystem:ClientWrite" not in str(reading)


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_the_ollama_that_fills_a_storage_takes_nothing_out_of_it(cloud: str) -> None:
    """Without a word it would prune at its start, and when a tag has another content."""
    wish = site(cloud, BIG)
    jobs: Any = azure_files.seeding(wish) if cloud == "azure" else containers(aws_task.seeding(wish))
    told = jobs["ollama"]["environment"] if cloud == "azure" else environment(jobs["ollama"])
    assert told["OLLAMA_NOPRUNE"] == "1"


def test_the_job_that_cleans_is_of_the_one_that_fills_and_has_no_server() -> None:
    wanted = Cleaning({"qwen:72b": 3}, {"llama2:70b": 1}, (2, 3))
    told = storage.clean_environment(wanted, is_listing=False)
    document = aws_task.cleaning(site("aws", BIG), told)
    assert {key: document[key] for key in ("family", "taskRoleArn")} == {
        key: aws_task.seeding(site("aws", BIG))[key] for key in ("family", "taskRoleArn")
    }
    [job] = containers(document).values()
    assert json.loads(environment(job)["ARRIERO_CLEANING"]) == {
        "gone": ["llama2:70b"],
        "kept": ["qwen:72b"],
        "list": False,
    }
    assert [mount["readOnly"] for mount in job["mountPoints"]] == [False, False]
    shared: Any = azure_files.cleaning(site("azure", BIG), told)
    assert list(shared) == ["clean"]
    assert shared["clean"]["mounts"] == {"storage": storage.STORAGE}
    assert shared["clean"]["user"] == 0


def test_a_container_group_copies_as_root_for_ollamas_user() -> None:
    around = azure_files.around(site("azure", BIG))
    laying: Any = around["init"]
    assert laying["models"]["user"] == 0
    assert laying["models"]["environment"]["ARRIERO_LAY"] == "copy"
    assert laying["models"]["environment"]["ARRIERO_OWNER"] == "10001"
    assert around["volumes"] == {"shelf": "empty", "storage": "share models, read only"}
    assert azure_files.around(site("azure")) == {}


def test_no_plan_holds_the_key_of_a_share() -> None:
    found = planned(spec("azure", BIG), nothing("azure"))
    assert "Key" not in str(found.wanted)


@pytest.mark.parametrize(
    ("models", "mark"),
    [
        ([Model(name="b:1"), Model(name="a:1")], "a:1 b:1"),
        ([Model(name="a:1", digest="sha256:" + "ab" * 32)], "a:1@abababababab"),
        ([Model(name="a:1", pull="models.example.com/x:1")], "a:1=models.example.com/x:1"),
        ([Model(name="a:1", pull="a:1")], "a:1"),
    ],
)
def test_a_mark_says_what_was_put_there(models: list[Model], mark: str) -> None:
    assert storage.mark(models) == mark


def test_a_mark_fits_into_a_tag() -> None:
    many = [Model(name=f"acme/model-number-{n}:70b") for n in range(40)]
    assert len(storage.mark(many)) == 64
    assert storage.mark(many) != storage.mark(many[1:])


def test_both_clouds_take_a_local_sites_models_as_they_are() -> None:
    assert storage.stored(site("local", BIG)) == ()
    assert storage.server_environment(site("local", BIG)) == {}


def test_a_storage_that_a_hand_changed_is_set_right() -> None:
    found = standing(spec("aws", BIG), "aws")
    system = found.find("aws.file_system")
    assert system
    bare = replace(system, properties={**system.properties, "subnets": ()})
    rest: list[Resource] = [each for each in found.resources if each is not system]
    changes = planned(spec("aws", BIG), replace(found, resources=(*rest, bare))).changes
    assert [(change.action, change.kind) for change in changes] == [("update", "aws.file_system")]


@pytest.mark.parametrize(
    ("throughput", "mode", "amount", "said"),
    [
        ("elastic", "elastic", None, ""),
        ("bursting", "bursting", None, "read 300MiB/s at most while credits last, then 150KiB/s for each GiB on it"),
        (
            "40MiB/s",
            "provisioned",
            40,
            "all targets together read 120MiB/s at most; AWS takes a change to less",
        ),
    ],
)
def test_how_fast_it_is_read_is_the_specs_and_no_release(
    throughput: str, mode: str, amount: int | None, said: str
) -> None:
    before = standing(spec("aws", BIG), "aws")
    wish = spec("aws", BIG).model_copy(update={"storage": Storage(throughput=throughput)})
    found = planned(wish, before)
    [system] = [each for each in found.wanted if each.kind == aws_files.KIND]
    assert (system.properties["throughput"], system.properties["provisioned_mibps"]) == (mode, amount)
    assert {change.kind for change in found.changes} == ({aws_files.KIND} if throughput != "elastic" else set())
    assert any(said in note for note in aws_files.notes(wish.site("east")))
    assert found.release == planned(spec("aws", BIG), before).release
