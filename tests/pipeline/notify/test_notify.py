"""People are told; whatever goes wrong with that fails no build, and nothing told holds a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from receiver import receiving

from arriero.cli import main
from arriero.clock import ManualClock
from arriero.pipeline.notify import slack, tell, webhook
from arriero.pipeline.notify.notice import LONGEST_TEXT, Notice, from_ci, from_validation
from arriero.secret import Secret

SPEC = """name: llm
image: acme/llm:1
models: [llama2]
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
WHOLE = Notice(
    service="llm",
    outcome="failure",
    message="Rolled back.",
    release=7,
    commit="0123456789abcdef",
    sites=("aws-east", "azure-east"),
    timings=("aws-east: llama2 first token 12 ms",),
    failures=("✗ aws-east t1 models: missing",),
    link="https://ci.example.com/42",
)
VALIDATION = {
    "release": 7,
    "speeds": {"aws-east": {"llama2": {"first_token_seconds": 0.0121, "tokens_per_second": 50.0}}},
    "findings": [
        {"place": "aws-east", "target": "t1", "check": "models", "verdict": "failed", "found": "llama2 is missing"},
        {"place": "aws-east", "target": "t1", "check": "health", "verdict": "passed", "found": "fine"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (tell.SLACK_URL, tell.SLACK_TOKEN, tell.WEBHOOK_URL, "BUILD_URL", "GIT_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "arriero.yaml").write_text(SPEC)
    return tmp_path


def test_slack_gets_blocks_that_say_all_of_it() -> None:
    with receiving() as receiver:
        slack.by_webhook(WHOLE, Secret(receiver.url))
    (heard,) = receiver.heard
    assert heard["text"] == "llm release 7 failed"
    told = json.dumps(heard["blocks"], ensure_ascii=False)
    for part in ("Rolled back.", "7", "`0123456789ab`", "aws-east, azure-east", "12 ms", "models: missing"):
        assert part in told
    assert "<https://ci.example.com/42|Open the build>" in told


def test_slack_gets_a_bot_s_message_in_its_channel() -> None:
    with receiving(says='{"ok": true}') as receiver:
        slack.by_token(WHOLE, Secret("xoxb-1"), "#releases", receiver.url + "/")
    assert receiver.heard[0]["channel"] == "#releases"


def test_texts_can_not_break_out_and_are_as_long_as_slack_takes() -> None:
    blocks = Notice("llm", "failure", message="<!channel> & more " + "x" * 5000).blocks()
    text = blocks[2]["text"]["text"]
    assert text.startswith("&lt;!channel&gt; &amp; more")
    assert len(text) == LONGEST_TEXT


@pytest.mark.parametrize("refusals", [(500,), (503, 429)])
def test_a_server_that_is_busy_is_asked_again(refusals: tuple[int, ...]) -> None:
    with receiving(*refusals) as receiver:
        clock = ManualClock()
        webhook.post(WHOLE, Secret(receiver.url), clock)
    assert receiver.tries == len(refusals) + 1
    assert receiver.heard[0]["failures"] == ["✗ aws-east t1 models: missing"]
    assert clock.elapsed_seconds > 0


@pytest.mark.parametrize(("refusals", "tries"), [((500, 500, 500), 3), ((404,), 1)])
def test_one_that_goes_on_refusing_is_given_up(refusals: tuple[int, ...], tries: int) -> None:
    with receiving(*refusals) as receiver, pytest.raises(webhook.Untold) as untold:
        webhook.post(WHOLE, Secret(receiver.url), ManualClock())
    assert receiver.tries == tries
    assert "secret" not in str(untold.value)


def test_a_build_never_fails_for_it(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    with receiving(404, 404) as receiver:
        monkeypatch.setenv(tell.SLACK_URL, receiver.url)
        monkeypatch.setenv(tell.WEBHOOK_URL, receiver.url)
        assert main.run(["notify", "failure"]) == 0
    said = capsys.readouterr()
    assert "Slack: Slack answered 404" in said.err
    assert "the webhook: the webhook answered 404" in said.err
    assert "verysecretpath" not in said.err + said.out


def test_a_spec_that_is_broken_is_told_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "arriero.yaml").write_text("nonsense: true\n")
    with receiving() as receiver:
        monkeypatch.setenv(tell.WEBHOOK_URL, receiver.url)
        assert main.run(["notify", "failure", "-m", "Build failed."]) == 0
    assert receiver.heard[0]["message"].startswith("Build failed.\nThe spec can't be read: arriero.yaml:1")


def test_what_is_told_holds_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv(tell.WEBHOOK_URL, receiver.url)
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "hunter2hunter2")
        assert main.run(["notify", "success", "-m", f"login hunter2hunter2 at {receiver.url}"]) == 0
    assert receiver.heard[0]["message"] == "login ••• at •••"
    assert receiver.heard[0]["sites"] == ["aws-east", "azure-east"]


def test_the_validation_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "v.json").write_text(json.dumps(VALIDATION))
    with receiving() as receiver:
        monkeypatch.setenv(tell.WEBHOOK_URL, receiver.url)
        monkeypatch.setenv("GIT_COMMIT", "abc")
        assert main.run(["notify", "failure", "--validation", "v.json"]) == 0
        assert main.run(["notify", "failure", "--validation", "none.json"]) == 0
    whole, without = receiver.heard
    assert (whole["release"], whole["commit"]) == (7, "abc")
    assert whole["failures"] == ["✗ aws-east t1 models: llama2 is missing"]
    assert whole["timings"] == ["aws-east: llama2 first token 12 ms, 50.0 tokens/s"]
    assert without["release"] is None
    assert from_validation(VALIDATION)["release"] == 7


def test_nobody_to_tell_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["notify", "success"]) == 0
    assert "There is nobody to tell; set SLACK_WEBHOOK_URL" in capsys.readouterr().err
    assert main.run(["notify", "sucess"]) == 1


def test_a_token_without_a_channel_is_said() -> None:
    results = tell.tell(WHOLE, "", {tell.SLACK_TOKEN: "xoxb-1"}, ManualClock())
    assert results == {"Slack": "SLACK_BOT_TOKEN needs a channel; set pipeline.slack in the spec, or --channel"}


def test_each_ci_server_is_understood() -> None:
    github = {"GITHUB_SHA": "a", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/llm"}
    assert from_ci({**github, "GITHUB_RUN_ID": "9"}) == {
        "commit": "a",
        "link": "https://github.com/acme/llm/actions/runs/9",
    }
    assert from_ci({"CI_COMMIT_SHA": "b", "CI_PIPELINE_URL": "https://gl/1"}) == {"commit": "b", "link": "https://gl/1"}
    assert from_ci({"GIT_COMMIT": "c", "BUILD_URL": "https://j/1/"}) == {"commit": "c", "link": "https://j/1/"}
    assert from_ci({}) == {"commit": "", "link": ""}
