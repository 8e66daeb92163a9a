"""Every target and the gateway are asked, and each thing that is wrong with them fails one check that says so."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest
from little_ollama import DIGEST, Behaviour, serving

from arriero.errors import Problem
from arriero.observe.validation import ports, report
from arriero.observe.validation.findings import Speed, Validation, speeds_from_json
from arriero.observe.validation.look import Expected, Gateway, validate
from arriero.observe.validation.server import Server
from arriero.plan.model import SiteFacts, TargetFacts
from arriero.spec.model import Spec

HELLO = "llama2:latest: says something"


def spec(**more: object) -> Spec:
    base = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": {"here": {"cloud": "local", "hosts": ["127.0.0.1"], "scale": {"min": 1, "max": 4}}},
    }
    return Spec.model_validate({**base, **more})


def looked(
    *targets: Behaviour,
    wanted: Spec | None = None,
    gateway: Behaviour | None = None,
    reached: tuple[str, ...] = ("here",),
    expected: Expected | None = None,
) -> Validation:
    with ExitStack() as servers:
        facts = [
            TargetFacts(f"t{n}", "here", "ready", servers.enter_context(serving(b)), release=3)
            for n, b in enumerate(targets)
        ]
        edge = None
        if gateway:
            edge = Gateway(Server(f"http://{servers.enter_context(serving(gateway))}", 5), reached)
        found = {"here": SiteFacts("here", "local", "", targets=tuple(facts))}
        return validate(wanted or spec(), found, edge, expected or Expected(), lambda a: Server(f"http://{a}", 5))


def failed(found: Validation) -> dict[str, str]:
    """What failed but for the port, which is any free one here."""
    return {finding.check: finding.found for finding in found.failed if finding.check != "ports"}


def test_all_is_well_and_said_so() -> None:
    found = looked(Behaviour(), gateway=Behaviour())
    assert failed(found) == {}
    assert found.release == 3
    checks = [(f.place, f.target, f.check) for f in found.findings if f.verdict == "passed" and f.check != "ports"]
    assert checks == [
        ("here", "", "targets"),
        *(("here", "t0", check) for check in ("health", "models", HELLO, "metrics")),
        *(("gateway", "", check) for check in ("health", "models", "reaches here", HELLO, "metrics")),
    ]
    assert found.speeds["here"]["llama2:latest"].tokens_per_second == 50


@pytest.mark.parametrize(
    ("behaviour", "check", "said"),
    [
        (Behaviour(broken={"/readyz": 503}), "health", "/readyz answered 503"),
        (Behaviour(digests={}), "models", "llama2:latest is missing"),
        (Behaviour(answer=""), HELLO, "the answer is empty"),
        (Behaviour(is_cut=True), HELLO, "the answer ended before it was complete"),
        (Behaviour(metrics="# nothing\n"), "metrics", "0 figures"),
        (Behaviour(broken={"/metrics": 403}), "metrics", "/metrics answered 403"),
    ],
)
def test_what_is_wrong_with_a_target_fails_its_check(behaviour: Behaviour, check: str, said: str) -> None:
    assert failed(looked(behaviour)) == {check: said}


def test_a_model_that_is_not_the_one_baked_fails() -> None:
    found = looked(Behaviour(), expected=Expected(digests={"llama2:latest": "sha256:" + "b" * 64}))
    assert "was baked" in failed(found)["models"]
    assert failed(looked(Behaviour(), expected=Expected(digests={"llama2:latest": f"sha256:{DIGEST}"}))) == {}


def test_targets_that_differ_fail_where_nobody_knows_what_was_baked() -> None:
    other = Behaviour(digests={"llama2:latest": "sha256:" + "b" * 64})
    assert failed(looked(Behaviour(), other)) == {
        "digest of llama2:latest": "targets differ: aaaaaaaaaaaa, bbbbbbbbbbbb"
    }


def test_too_few_targets_and_a_site_that_the_gateway_does_not_reach_fail() -> None:
    found = looked(gateway=Behaviour(), reached=())
    assert failed(found) == {"targets": "0 of at least 1 have an address", "reaches here": "no target is up"}


def test_a_site_that_can_not_be_read_fails_and_hides_nothing() -> None:
    unread = {"here": SiteFacts("here", "local", "", problem=Problem("no login"))}
    found = validate(spec(), unread, None, Expected(), lambda a: Server(f"http://{a}", 5))
    assert failed(found) == {"health": "no login"}


def test_a_site_that_sleeps_is_asked_nothing_and_proves_nothing() -> None:
    off = {"here": SiteFacts("here", "local", "")}
    found = validate(spec(), off, None, Expected(), lambda a: Server(f"http://{a}", 5), ["here"])
    assert [(each.check, each.verdict, each.found) for each in found.findings] == [
        ("targets", "skipped", "asleep in its off hours")
    ]
    assert not found.failed


def test_slower_than_the_stable_release_fails_and_nothing_to_compare_with_is_skipped() -> None:
    speeds = speeds_from_json({"here": {"llama2:latest": {"first_token_seconds": 0.01, "tokens_per_second": 200}}})
    assert (
        "was 200.0 (at most 30% fewer)"
        in failed(looked(Behaviour(), expected=Expected(speeds=speeds)))["speed of llama2:latest"]
    )
    alone = looked(Behaviour())
    assert [f.check for f in alone.findings if f.verdict == "skipped"] == ["speed of llama2:latest", "health"]


def test_answers_are_seeded_and_asked_for_in_their_schema() -> None:
    form = {"type": "object"}
    target = Behaviour(answer="{}")
    looked(target, wanted=spec(validation={"seed": 7, "prompts": [{"prompt": "JSON!", "schema": form}]}))
    chat = next(asked for asked in target.asked if asked["path"] == "/api/chat")
    assert chat["options"] == {"temperature": 0, "seed": 7, "num_predict": 64}
    assert chat["format"] == form
    assert target.asked[0]["path"] == "/api/generate", "the model is loaded before its speed is measured"


def test_an_answer_is_held_against_the_text_that_it_should_be_like() -> None:
    prompts = [{"prompt": "Rain?", "like": "Water.", "similarity": "90%"}]
    near = Behaviour(answer="Drops.", vectors={"Drops.": [1.0, 0.1], "Water.": [1.0, 0.0]})
    far = Behaviour(answer="Cats.", vectors={"Cats.": [0.0, 1.0], "Water.": [1.0, 0.0]})
    assert failed(looked(near, wanted=spec(validation={"prompts": prompts}))) == {}
    assert failed(looked(far, wanted=spec(validation={"prompts": prompts}))) == {
        "llama2:latest: Rain?": "'Cats.': 0% like the text expected"
    }


def test_a_model_for_embeddings_has_to_give_one() -> None:
    found = looked(Behaviour(capabilities=("embedding",)))
    assert failed(found) == {}
    assert "an embedding of 2 numbers" in {finding.found for finding in found.findings}


def test_ports_that_answer_are_found_and_those_of_the_machine_are_not_counted() -> None:
    with serving(Behaviour()) as address:
        port = int(address.rpartition(":")[2])
        assert ports.opened("127.0.0.1", (port,)) == (port,)
        assert ports.opened("127.0.0.2", (port,)) == ()


def test_the_report_is_a_table_and_junit_that_parses(tmp_path: Path) -> None:
    found = looked(Behaviour(answer="\x00\ud83d bad"), Behaviour(digests={}))
    lines = report.lines(found)
    assert lines[0].startswith("here: ")
    assert lines[-1] == f"llm release 3: not good: {len(found.failed)} checks failed."
    suites = ElementTree.fromstring(report.junit(found).encode())
    here = next(suite for suite in suites if suite.get("name") == "here")
    assert int(here.get("failures", "0")) == len(here.findall("testcase/failure")) == len(found.failed)
    assert len(here.findall("testcase")) == int(here.get("tests", "0"))


def test_a_speed_comes_back_from_json() -> None:
    speed = Speed(0.1234, 50.12)
    assert speeds_from_json({"a": {"m": speed.as_json()}}) == {"a": {"m": speed}}
