"""Two machines that see one cloud each, and later both again; and ways back while a cloud, its store or its registry is
gone. The tests of this file go on from one another, in their order, on one stage.

A machine that does not see a cloud has left the stage, for an environment that leads to the stage's clouds all the
same, but for one of them: there nobody listens.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from places import Command, Place, open_spec, wait_for

from arriero.releases.merging import APART

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(1200), pytest.mark.long]

SPEC = """\
name: pair
image:
  name: {aws}/acme/llm:1
  registries: {{azure: {azure}/other/llm}}
models: [llama2]
rehearse: always
scale: {{min: 1, by: hand}}
ledger: {{authority: aws, lease: 10s}}
environment: {{OLLAMA_DEBUG: '{wish}'}}
sites:
  aws-east:   {{cloud: aws,   region: us-east-1}}
  azure-east: {{cloud: azure, region: eastus}}
"""
LEAVING = """\
rehearse: on-request
accounts: {aws: "123456789012", azure: 00000000-0000-0000-0000-000000000001}
"""
MOVED = 1 + APART
NOBODY = "http://127.0.0.1:9"


@dataclass
class Registry:
    """Says of any image that it is there, until it has none any more or is gone itself; it tells no digest."""

    server: ThreadingHTTPServer
    is_empty: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@contextmanager
def registry() -> Iterator[Registry]:
    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404 if made.is_empty else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    made = Registry(ThreadingHTTPServer(("127.0.0.1", 0), Answers))
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


@dataclass
class Pair:
    """`ann` sees AWS alone and `bob` Azure alone; `both` sees both and `nobody` none."""

    ann: Place
    bob: Place
    nobody: Place
    both: Place
    registries: dict[str, Registry]
    closing: ExitStack = field(default_factory=ExitStack)

    def wishes(self, place: Place, wish: str) -> None:
        addresses = {cloud: made.address for cloud, made in self.registries.items()}
        (place.folder / "arriero.yaml").write_text(SPEC.format(wish=wish, **addresses))

    def up(self, place: Place, wish: str) -> Command:
        self.wishes(place, wish)
        return self.say(place, "up", "--yes", "--no-gateway")

    def say(self, place: Place, *words: str) -> Command:
        """A command of somebody who sees one cloud, or both."""
        if place is self.both:
            return place.arriero(*words)
        verbs = 2 if words[0] == "lock" else 1
        return place.arriero(*words[:verbs], "-e", "leaving", *words[verbs:])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    (folder / "both").mkdir()
    with registry() as aws, ExitStack() as closing:
        azure = closing.enter_context(registry())
        spec = SPEC.format(wish="both", aws=aws.address, azure=azure.address)
        for both in open_spec(folder / "both", spec):
            up = both.arriero("up", "--yes", "--no-gateway")
            assert up.code == 0, up.err
            clouds = both.environment()
            no_azure, no_aws = {"HTTPS_PROXY": NOBODY, "https_proxy": NOBODY}, {"AWS_ENDPOINT_URL": NOBODY}
            ann, bob = side(folder / "ann", {**clouds, **no_azure}), side(folder / "bob", {**clouds, **no_aws})
            nobody = side(folder / "nobody", {**clouds, **no_azure, **no_aws})
            yield Pair(ann, bob, nobody, both, {"aws": aws, "azure": azure}, closing)


def side(folder: Path, environment: dict[str, str]) -> Place:
    folder.mkdir()
    (folder / "arriero.leaving.yaml").write_text(LEAVING)
    return Place(folder, environment)


def history(pair: Pair, place: Place) -> list[tuple[int, str]]:
    """Each release's number and wish, as one tells them."""
    found = pair.say(place, "history", "--json")
    assert found.code == 0, found.err
    return [(one["release"], one["spec"]["environment"]["OLLAMA_DEBUG"]) for one in found.json["releases"]]


def running(pair: Pair) -> dict[str, set[int]]:
    sites: list[dict[str, Any]] = pair.both.arriero("status", "--json").json["sites"]
    return {site["name"]: {target["release"] for target in site["targets"]} for site in sites}


def test_the_side_that_does_not_see_the_store_that_decides_is_refused(pair: Pair) -> None:
    up = pair.up(pair.bob, "bob")
    assert up.code == 1
    assert "the ledger's authority store can't be reached, so nothing may be deployed: aws: " in up.err
    assert "give the other store the authority: arriero lock move" in up.err
    soon = pair.say(pair.bob, "lock", "move", "--epoch", "2", "--yes")
    assert soon.code == 1
    assert soon.err.splitlines()[-1] == (
        "--epoch: whoever doesn't see the move could still come to that epoch; the newest known one is 1; "
        f"type --epoch {MOVED}, or a greater one"
    )


def test_each_side_goes_on_where_it_can(pair: Pair) -> None:
    for number, wish in ((2, "the first of ann"), (3, "the second of ann")):
        up = pair.up(pair.ann, wish)
        assert up.code == 1
        assert "sites.azure-east: " in up.err
        assert f"release {number} is recorded in one store only: azure: " in up.err
    answers = pair.say(pair.ann, "lock", "move", "--epoch", str(MOVED), "--yes")
    assert answers.err.splitlines()[-1] == "the store at aws has the authority, and answers; leave it there"
    moved = pair.say(pair.bob, "lock", "move", "--epoch", str(MOVED), "--yes")
    assert moved.out == f"The store at azure has the authority from epoch {MOVED} on.\n", moved.err
    up = pair.up(pair.bob, "bob")
    assert up.code == 1
    assert "sites.aws-east: " in up.err
    assert history(pair, pair.ann) == [(1, "both"), (2, "the first of ann"), (3, "the second of ann")]
    assert history(pair, pair.bob) == [(1, "both"), (2, "bob")]


def test_together_again_the_higher_epoch_counts_and_the_other_is_told(pair: Pair) -> None:
    lock = pair.both.arriero("lock", "status")
    assert lock.out.startswith(f"The store at azure has the authority; epoch {MOVED + 1}, last release 2.\n")
    told = [line for line in lock.out.splitlines() if line.startswith("! only the store at aws has releases/")]
    assert ["release 2 by " in told[0], "release 3 by " in told[1], len(told)] == [True, True, 2]
    up = pair.up(pair.both, "again")
    assert up.code == 0, up.err
    assert pair.both.arriero("plan").code == 0
    # The clouds knew of a release 3, so that number is nobody's.
    assert history(pair, pair.both) == [(1, "both"), (2, "bob"), (4, "again")]
    assert running(pair) == {"aws-east": {4}, "azure-east": {4}}


def test_the_lower_epochs_side_reads_what_all_read_and_writes_nothing(pair: Pair) -> None:
    assert history(pair, pair.ann) == [(1, "both"), (2, "bob"), (4, "again")]
    up = pair.up(pair.ann, "the third of ann")
    assert up.code == 1
    assert "the ledger's authority store can't be reached, so nothing may be deployed: azure: " in up.err
    assert running(pair) == {"aws-east": {4}, "azure-east": {4}}


def test_a_way_back_goes_where_it_can_while_one_cloud_and_its_copy_are_gone(pair: Pair) -> None:
    back = pair.say(pair.bob, "rollback", "1", "--yes")
    assert back.code == 1
    assert "sites.aws-east: not gone back: " in back.err
    assert "then run arriero rollback 1 --site aws-east" in back.err
    assert running(pair) == {"aws-east": {4}, "azure-east": {1}}


def test_with_the_store_that_decides_gone_it_is_refused_and_goes_after_a_move(pair: Pair) -> None:
    back = pair.say(pair.ann, "rollback", "1", "--yes")
    assert back.code == 1
    assert "the ledger's authority store can't be reached, so nothing may be deployed: azure: " in back.err
    assert running(pair)["aws-east"] == {4}
    epoch = pair.say(pair.ann, "lock", "status", "--json").json["epoch"] + APART
    moved = pair.say(pair.ann, "lock", "move", "--epoch", str(epoch), "--yes")
    assert moved.code == 0, moved.err
    again = pair.say(pair.ann, "rollback", "1", "--yes", "--site", "aws-east")
    assert again.code == 0, again.err
    assert running(pair) == {"aws-east": {1}, "azure-east": {1}}
    lock = pair.both.arriero("lock", "status", "--json").json
    assert (lock["authority"], lock["epoch"], lock["holder"]) == ("aws", epoch + 1, None)


def test_with_no_ledger_in_reach_or_during_a_deployment_it_is_refused(pair: Pair) -> None:
    pair.wishes(pair.nobody, "nobody")
    alone = pair.say(pair.nobody, "rollback", "1", "--yes")
    assert alone.code == 1
    assert alone.err.splitlines()[-1].startswith("ledger: no ledger can be read: aws: ")
    assert alone.err.splitlines()[-1].endswith("; see that one of its stores can be reached")
    pair.wishes(pair.both, "under way")
    command = [sys.executable, "-m", "arriero", "up", "--yes", "--no-gateway"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=pair.both.folder, **silent) as deployer:  # type: ignore[call-overload]
        assert wait_for(lambda: pair.both.arriero("lock", "status", "--json").json["holder"] is not None, 60)
        back = pair.both.arriero("rollback", "4", "--yes")
        assert deployer.wait(120) == 0
    assert back.code == 1
    words = (
        r"lease: another deployment is under way: \S+ pid \d+ \(up\) has held it since [^;]+; wait until it has ended "
    )
    assert re.match(words, back.err.splitlines()[-1])
    assert history(pair, pair.both)[-1][1] == "under way"


def test_a_registry_that_is_gone_keeps_nothing_back_and_an_image_that_is_gone_does(pair: Pair) -> None:
    pair.closing.close()
    back = pair.both.arriero("rollback", "4", "--yes")
    assert back.code == 0, back.err
    assert running(pair) == {"aws-east": {4}, "azure-east": {4}}
    pair.registries["aws"].is_empty = True
    calls = len(pair.both.calls())
    gone = pair.both.arriero("rollback", "1", "--yes")
    host = pair.registries["aws"].address
    assert gone.code == 1
    assert gone.err.splitlines()[-1] == (
        f"image: the image of release 1 is gone: {host} has no acme/llm:1; choose other sites with --site, or "
        "deploy what it was as a new release: arriero show has its spec"
    )
    assert [call["action"] for call in pair.both.calls()[calls:] if call["writes"]] == []
    elsewhere = pair.both.arriero("rollback", "1", "--yes", "--site", "azure-east")
    assert elsewhere.code == 0, elsewhere.err
    assert running(pair) == {"aws-east": {4}, "azure-east": {1}}
