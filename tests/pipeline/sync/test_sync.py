"""What a repository says, through real git and real signatures; the verbs that it leads to are played."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from arriero.errors import ArrieroError, Refused
from arriero.pipeline.sync import report
from arriero.pipeline.sync.report import State
from arriero.pipeline.sync.repository import Policy, Repository, shown
from arriero.pipeline.sync.round import Ran, Round, Sync
from arriero.secret import Secret

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
PLAN = json.dumps(
    {"sites": [{"name": "east", "steps": [{"changes": [
        {"action": "update", "kind": "aws.service", "name": "llm", "reason": "desired_count: is 1, should be 2"}
    ]}]}]}
)  # fmt: skip


@dataclass
class Forge:
    """A repository that others push to."""

    folder: Path
    key: Path | None = None

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "gpg.format=ssh"]
        key = ["-c", f"user.signingkey={self.key}"] if self.key else []
        done = subprocess.run(
            ["git", *who, *key, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, text: str, sign: bool = False) -> str:
        (self.folder / "arriero.yaml").write_text(text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", text, "-S" if sign else "--no-gpg-sign")
        return self.git("rev-parse", "HEAD")


@dataclass
class World:
    """Answers `plan`, `up` and `export` as it was told, and remembers what it was asked."""

    codes: dict[str, int] = field(default_factory=lambda: {"plan": 2, "up": 0, "export": 0})
    asked: list[str] = field(default_factory=list)
    told: list[tuple[State, str]] = field(default_factory=list)

    def verbs(self, *arguments: str) -> Ran:
        self.asked.append(arguments[0])
        out = PLAN if arguments[0] == "plan" and self.codes["plan"] == 2 else '{"sites": []}'
        return Ran(self.codes[arguments[0]], out, "its last words\n")

    def tell(self, _: str, state: State, text: str) -> None:
        self.told.append((state, text))


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    made = Forge(tmp_path / "forge")
    made.folder.mkdir()
    made.git("init", "--quiet", "--initial-branch", "main")
    return made


def course(forge: Forge, world: World, policy: Policy = Policy(), **more: object) -> Sync:
    repository = Repository(str(forge.folder), "main", forge.folder.parent / "clone")
    memory = repository.folder / ".arriero" / "sync.json"
    return Sync(repository, policy, memory, world.verbs, world.tell, more.pop("exports", {}), **more)  # type: ignore[arg-type]


def test_a_new_commit_is_deployed_once_and_then_only_looked_at(forge: Forge) -> None:
    world, commit = World(), forge.commit("one")
    sync = course(forge, world)
    assert (sync.look().act, world.asked) == ("deployed", ["plan", "up"])
    assert (sync.repository.folder / "arriero.yaml").read_text() == "one"
    world.codes["plan"] = 0
    assert sync.look() == Round("unchanged", commit, f"commit {commit[:12]} is deployed, and nothing has changed")
    second = forge.commit("two")
    assert sync.look().commit == second
    assert [state for state, _ in world.told] == ["pending", "success"] * 2


def test_drift_is_told_and_left_alone(forge: Forge) -> None:
    world = World()
    forge.commit("one")
    sync = course(forge, world)
    sync.look()
    found = sync.look()
    assert found.act == "drifted"
    assert found.changes == ("east: update aws.service llm: desired_count: is 1, should be 2",)
    assert world.asked == ["plan", "up", "plan"]


def test_a_check_changes_nothing_and_forgets_nothing(forge: Forge) -> None:
    world = World()
    forge.commit("one")
    sync = course(forge, world)
    assert [sync.look(check_only=True).act for _ in range(2)] == ["pending", "pending"]
    assert "up" not in world.asked
    assert world.told == []


def test_what_failed_is_tried_again_and_what_was_judged_bad_is_not(forge: Forge) -> None:
    world = World()
    forge.commit("one")
    sync = course(forge, world)
    world.codes["up"] = 1
    assert sync.look() == Round("failed", forge.git("rev-parse", "HEAD"), "its last words", found_changes())
    world.codes["up"] = 3
    assert [sync.look().act, sync.look().act] == ["back", "back"]
    assert world.asked.count("up") == 2
    assert [state for state, _ in world.told] == ["pending", "error", "pending", "failure"]


def found_changes() -> tuple[str, ...]:
    return ("east: update aws.service llm: desired_count: is 1, should be 2",)


def test_a_branch_that_was_rewritten_is_refused_unless_it_may_be(forge: Forge) -> None:
    world = World()
    first = forge.commit("one")
    second = forge.commit("two")
    sync = course(forge, world)
    sync.look()
    forge.git("reset", "--quiet", "--hard", first)
    found = sync.look()
    assert found.act == "refused"
    assert (
        found.text == f"commit {first[:12]} does not follow {second[:12]}, which is deployed: the branch was rewritten"
    )
    third = forge.commit("three")
    assert course(forge, world).look().text.startswith(f"commit {third[:12]} does not follow {second[:12]}")
    fourth = forge.commit("four")
    assert course(forge, world, may_rewind=True).look().commit == fourth


def test_exported_files_that_are_old_keep_a_commit_from_being_deployed(forge: Forge) -> None:
    world = World()
    forge.commit("one")
    world.codes["export"] = 2
    found = course(forge, world, exports={"gateway": "ops"}).look()
    assert found.text == "the exported files of gateway in ops don't match the spec: its last words"
    assert world.asked == ["export"]


@needs_ssh
def test_only_a_commit_that_is_signed_by_who_may_is_deployed(forge: Forge, tmp_path: Path) -> None:
    keys = {name: key(tmp_path / name) for name in ("ada", "eve")}
    signers = tmp_path / "signers"
    signers.write_text(f"ada@example.com {keys['ada'].with_suffix('.pub').read_text()}")
    world, policy = World(), Policy(signers=signers)
    sync = course(forge, world, policy)
    unsigned = forge.commit("unsigned")
    assert sync.look().text == f"commit {unsigned[:12]} is not signed by a key that is allowed: it carries no signature"
    forge.key = keys["eve"]
    forge.commit("by somebody else", sign=True)
    assert sync.look().act == "refused"
    assert "up" not in world.asked
    assert not (sync.repository.folder / "arriero.yaml").exists(), "a file that nobody signed is not even checked out"
    forge.key = keys["ada"]
    forge.commit("by Ada", sign=True)
    assert sync.look().act == "deployed"
    assert course(forge, world, Policy(keyring=tmp_path)).repository.verify("HEAD", Policy(keyring=tmp_path))


def key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("url", "branch", "what"),
    [
        ("--upload-pack=touch x", "main", "is no repository and branch"),
        ("ext::sh -c true", "main", "failed"),
        ("http://user:very-secret@127.0.0.1:1/x", "main", "git clone of http://127.0.0.1:1/x failed"),
    ],
)
def test_a_repository_that_is_none_is_an_error_that_shows_no_login(
    url: str, branch: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(ArrieroError, match=what) as caught:
        Repository(url, branch, tmp_path / "clone").fetch()
    assert "very-secret" not in str(caught.value)


def test_a_branch_that_is_not_there_is_an_error(forge: Forge, tmp_path: Path) -> None:
    forge.commit("one")
    with pytest.raises(ArrieroError, match="Remote branch other not found"):
        Repository(str(forge.folder), "other", tmp_path / "clone").fetch()


def test_a_login_in_an_address_is_not_shown() -> None:
    assert shown("fetch of https://me:secret@example.com/x") == "fetch of https://example.com/x"


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[tuple[str, str | None, dict[str, str]]]]]:
    heard: list[tuple[str, str | None, dict[str, str]]] = []

    class Inbox(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.path, self.headers["Authorization"], body))
            self.send_response(404 if "missing" in self.path else 201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Inbox)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_commits_status_is_posted_as_forges_take_it(
    inbox: tuple[str, list[tuple[str, str | None, dict[str, str]]]],
) -> None:
    url, heard = inbox
    assert report.post(f"{url}/statuses/{{sha}}", Secret("t0k"), "abc", "success", "x" * 200) == ""
    path, token, body = heard[0]
    assert (path, token) == ("/statuses/abc", "Bearer t0k")
    assert body == {"state": "success", "context": "arriero", "description": "x" * 140, "sha": "abc"}
    assert report.post(f"{url}/missing", Secret(""), "abc", "error", "") == f"{url}/missing answered 404"
    assert "127.0.0.1:1" in report.post("http://me:x@127.0.0.1:1/", Secret(""), "abc", "error", "")
    assert report.post("nonsense", Secret(""), "abc", "error", "")


def test_who_may_sign_has_to_be_said() -> None:
    from arriero.cli.syncing import _exports, _policy, _seconds

    with pytest.raises(Refused, match="nobody is named whose signature counts"):
        _policy(None, None, False)
    with pytest.raises(Refused, match="there is no such file"):
        _policy(Path("/nowhere"), None, False)
    with pytest.raises(Refused, match="drop one of them"):
        _policy(Path("/"), None, True)
    with pytest.raises(Refused, match="gateway is not KIND=DIR"):
        _exports(["gateway"])
    with pytest.raises(Refused, match="--every"):
        _seconds("soon")
