"""Models that no release needs any more, taken out of EFS and Azure Files: what goes, what stays, and the way back.

The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from places import Place, open_spec, wait_for

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2, {name: "MODEL", from: storage}]
rehearse: always
scale: {min: 1, by: hand}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
FIRST, SECOND, THIRD = "llama2:70b", "qwen:72b", "mixtral:8x22b"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_spec(tmp_path_factory.mktemp("cleaned"), SPEC.replace("MODEL", FIRST))


def stored(place: Place) -> list[set[str]]:
    """The models in each storage of the stage, EFS first."""
    return [{":".join(path.parts[-2:]) for path in folder.rglob("manifests/*/*/*/*")} for folder in folders(place)]


def folders(place: Place) -> list[Path]:
    """Each cloud's storage as a target mounts it."""
    found = [next((place.stage / "storage" / kind).rglob("manifests")).parent for kind in ("efs", "shares")]
    assert len(found) == 2
    return found


def models_of(place: Place) -> list[set[str]]:
    sites = place.arriero("status", "--json").json["sites"]
    return [set(target["models"]) for site in sites for target in site["targets"]]


def rows(place: Place) -> dict[str, list[tuple[str, str, int | None]]]:
    told = place.arriero("models", "list", "--json")
    assert told.code == 0, told.err
    document = json.loads(told.out.splitlines()[-1])
    return {
        site["site"]: [(row["name"], row["state"], row["last_release"]) for row in site["models"]]
        for site in document["sites"]
    }


def test_nothing_is_cleaned_before_anything_serves(place: Place) -> None:
    asked = place.arriero("models", "clean", "--yes")
    assert asked.code not in (0, 3)
    assert "no target is ready there" in asked.err, asked.err
    assert "Traceback" not in asked.err


def test_three_releases_leave_three_models_and_the_list_tells_which_one_nobody_needs(place: Place) -> None:
    for model in (FIRST, SECOND, THIRD):
        (place.folder / "arriero.yaml").write_text(SPEC.replace("MODEL", model))
        up = place.arriero("up", "--yes")
        assert up.code == 0, up.err
    every = {FIRST, SECOND, THIRD}
    assert stored(place) == [every] * 2
    wanted = [(FIRST, "goes", 1), (THIRD, "stays", 3), (SECOND, "stays", 2)]
    assert rows(place) == {"aws-east": wanted, "azure-east": wanted}
    assert stored(place) == [every] * 2


def jobs(place: Place) -> set[int]:
    """The processes of this stage's jobs that look through a storage."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if b"ARRIERO_CLEANING=" in told and str(place.stage).encode() in told:
            found.add(int(process.name))
    return found


def held(place: Place, wanted: int) -> set[int]:
    """Stops so many jobs as they begin: they stay at work until they are let go on."""
    stopped: set[int] = set()

    def one_more() -> bool:
        for pid in jobs(place) - stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)
        return len(stopped) >= wanted

    assert wait_for(one_more, 120, every=0.01)
    return stopped


def test_jobs_that_a_killed_verb_left_at_work_end_before_those_of_the_next_one_begin(place: Place) -> None:
    command = [sys.executable, "-m", "arriero", "models", "list"]
    verb = subprocess.Popen(command, cwd=place.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stopped = held(place, 2)
    verb.kill()
    verb.wait()
    before = len(place.calls())
    with ThreadPoolExecutor(1) as pool:
        # Of other releases, so that these jobs are told something else.
        told = pool.submit(place.arriero, "models", "list", "--keep", "2", "--json")
        looked = {"ecs:ListTasks", "GET Microsoft.ContainerInstance/containerGroups"}
        assert wait_for(lambda: looked <= {call["action"] for call in place.calls()[before:]}, 120)
        assert not wait_for(told.done, 3)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        ended = told.result()
    assert ended.code == 0, ended.err
    sites = json.loads(ended.out.splitlines()[-1])["sites"]
    assert [[row["state"] for row in site["models"]] for site in sites] == [["stays"] * 3] * 2
    assert stored(place) == [{FIRST, SECOND, THIRD}] * 2


def test_nothing_goes_where_nobody_said_yes(place: Place) -> None:
    asked = place.arriero("models", "clean")
    assert "there is no terminal to ask at; add --yes" in asked.err
    assert asked.code != 0
    heads = [line for line in asked.out.splitlines() if line.startswith(("aws-east", "azure-east"))]
    assert len(heads) == 2
    assert all(line.endswith("would be free; releases that keep their models: 2, 3") for line in heads)
    assert stored(place) == [{FIRST, SECOND, THIRD}] * 2


def test_only_the_third_newest_releases_model_goes_and_what_is_not_ours_stays(place: Place) -> None:
    for folder in folders(place):
        (folder / "blobs" / "notes.txt").write_text("by hand")
    cleaned = place.arriero("models", "clean", "--yes")
    assert cleaned.code == 0, cleaned.err
    assert stored(place) == [{SECOND, THIRD}] * 2
    assert cleaned.out.count(f"  {FIRST}  ") == 2
    assert cleaned.out.count("release 1  gone") == 2
    assert cleaned.out.count("! no model there names these files; they stay: blobs/notes.txt") == 2
    assert all((folder / "blobs" / "notes.txt").exists() for folder in folders(place))
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    assert models_of(place) == [{"llama2:latest", THIRD}] * 2


def test_no_job_is_left_and_the_lease_is_given_back(place: Place) -> None:
    status = place.arriero("lock", "status").out
    assert "Nobody holds the lease." in status
    jobs = [call for call in place.calls() if call["name"].endswith("-seed") and call["action"].startswith("DELETE")]
    made = [call for call in place.calls() if call["name"].endswith("-seed") and call["action"].startswith("PUT")]
    assert len(jobs) == len(made)


def test_the_way_back_to_what_was_kept_needs_nothing_anew(place: Place) -> None:
    back = place.arriero("rollback", "2", "--yes")
    assert back.code == 0, back.err
    assert models_of(place) == [{"llama2:latest", SECOND}] * 2
    # The newer release stays as well: who went back may go on again.
    assert [state for name, state, _ in rows(place)["aws-east"] if name == THIRD] == ["stays"]


def test_a_way_back_further_pulls_the_model_anew(place: Place) -> None:
    back = place.arriero("rollback", "1", "--yes")
    assert back.code == 0, back.err
    assert models_of(place) == [{"llama2:latest", FIRST}] * 2
    assert stored(place) == [{FIRST, SECOND, THIRD}] * 2
