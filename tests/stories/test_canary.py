"""Releases that are bad in three ways go back by themselves, a noisy one does not, and clients lose nothing meanwhile.

Each case is played once; with ARRIERO_CANARY_RUNS=10 as often as a proof asks for. The tests of this file go on from
one another, on one stage.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from places import Place, open_spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(1800), pytest.mark.long]

RUNS = int(os.environ.get("ARRIERO_CANARY_RUNS", "1"))
PORT = 25434
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm:{tag}
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
gateway: {{port: {port}}}
deploy: {{strategy: {{canary: [50%, 100%], hold: 5s}}}}
sites:
  azure-east: {{cloud: azure, region: eastus}}
"""
# The first token takes long enough for twice as much to be seen; golden prompts are answered all the same.
PROFILE = json.dumps({"first_token_seconds": 0.1, "tokens_per_second": 200})


class Clients:
    """Eight who ask all the time, and remember what they lost."""

    def __init__(self) -> None:
        self.answered, self.lost = 0, list[str]()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(8)
        for place in range(8):
            self._pool.submit(self._ask_on, place)

    def end(self) -> None:
        self._over.set()
        self._pool.shutdown()

    def _ask_on(self, place: int) -> None:
        asked = 0
        while not self._over.wait(0.02):
            asked += 1
            self._ask(f"Tell story {place} {asked}")

    def _ask(self, prompt: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        body = json.dumps({"model": "llama2", "prompt": prompt, "options": {"num_predict": 4}})
        try:
            connection.request("POST", "/api/generate", body)
            response = connection.getresponse()
            if response.status == 200 and b'"done":true' in response.read():
                self.answered += 1
            else:
                self.lost.append(str(response.status))
        except (OSError, http.client.HTTPException) as error:
            self.lost.append(repr(error))
        finally:
            connection.close()


def release(place: Place, tag: str) -> tuple[int, str]:
    (place.folder / "arriero.yaml").write_text(SPEC.format(tag=tag, port=PORT))
    ended = place.arriero("up", "--yes")
    return ended.code, ended.err


def running(place: Place) -> set[int]:
    site = place.arriero("status", "--json").json["sites"][0]
    return {target["release"] for target in site["targets"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for made in open_spec(tmp_path_factory.mktemp("canary"), SPEC.format(tag="start", port=PORT)):
        made.always["ARRIERO_ENGINE_PROFILE"] = PROFILE
        assert made.arriero("up", "--yes").code == 0
        yield made


@pytest.fixture(scope="module")
def clients(place: Place) -> Iterator[Clients]:
    asking = Clients()
    yield asking
    asking.end()


@pytest.mark.parametrize("run", range(RUNS))
@pytest.mark.parametrize(
    ("tag", "reason"),
    # The golden prompts may be the first to see that answers fail or are empty.
    [("errors-30", ""), ("slow-2", "seconds to the first token"), ("empty-50", "")],
)
def test_a_bad_release_goes_back(place: Place, clients: Clients, tag: str, reason: str, run: int) -> None:
    before = running(place)
    code, err = release(place, f"{run}-{tag}")
    assert code == 3, err
    assert "went back, for it is not as good as the one before" in err
    assert reason in err
    assert running(place) == before
    assert clients.lost == []


@pytest.mark.parametrize("run", range(RUNS))
def test_a_good_but_noisy_release_stays(place: Place, clients: Clients, run: int) -> None:
    before = running(place)
    code, err = release(place, f"{run}-noisy-60")
    assert code == 0, err
    assert before.isdisjoint(running(place))
    assert clients.lost == []
    assert clients.answered > 500


def test_a_way_back_by_hand_brings_what_runs_no_more(place: Place, clients: Clients) -> None:
    ended = place.arriero("rollback", "1", "--yes")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1].startswith("Release 1 runs again.")
    assert running(place) == {1}
    again = place.arriero("rollback", "1", "--yes")
    assert (again.code, again.out) == (0, "Nothing to do: release 1 runs.\n")
    assert clients.lost == []


def test_what_can_be_no_way_back_is_refused_and_nothing_is_touched(place: Place) -> None:
    last = place.arriero("history", "--json").json["releases"][-1]["release"]
    calls = len(place.calls())
    never = place.arriero("rollback", "99", "--yes")
    assert (never.code, never.err.splitlines()[-1]) == (
        1,
        f"there is no release 99; there are 1 to {last}: arriero history",
    )
    failed = place.arriero("rollback", "2", "--yes")
    assert failed.code == 1
    assert "release 2 failed at azure-east, so there is no way back to it; see: arriero history" in failed.err
    unknown = place.arriero("rollback", "stable", "--yes")
    assert (
        unknown.err.splitlines()[-1]
        == "no release is stable yet; promote one first: arriero promote N; or give a number"
    )
    assert running(place) == {1}
    assert [call["action"] for call in place.calls()[calls:] if call["writes"]] == []


def test_plain_ansible_goes_back_as_well(place: Place) -> None:
    last = max(row["release"] for row in place.arriero("history", "--json").json["releases"] if row["state"] == "done")
    (place.folder / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\nspec: arriero.yaml\n")
    command = ["ansible-playbook", "-i", "fleet.arriero.yml", "-e", f"release={last}", "arriero.fleet.rollback"]
    ended = place.arriero("env", "--", *command)
    assert ended.code == 0, ended.out[-3000:] + ended.err[-3000:]
    assert running(place) == {last}
    refused = place.arriero("env", "--", *[word.replace(f"={last}", "=99") for word in command])
    assert "there is no release 99" in refused.out + refused.err
