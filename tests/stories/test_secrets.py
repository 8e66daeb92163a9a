"""What must not be seen is seen nowhere: not in a file of the project, not in output, not in a process list.

Two sorts of secrets go through a whole life of a service: those of the user's own environment and of the spec, which a
rehearsal has no use for at all; and the stage's own login, which really goes the way that real credentials go.
The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from places import Command, Onlooker, Place, open_spec

pytestmark = pytest.mark.story

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1}
secrets: {hf_token: "${HF_TOKEN}"}
sites:
  aws-east:   {cloud: aws,   region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
PLANTED = {
    name: f"planted-{name.lower()}-7f3a91"
    for name in (
        "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET", "AZURE_SECRET",
        "AZURE_PASSWORD", "ANSIBLE_VAULT_PASSWORD", "GITHUB_TOKEN",
    )
}  # fmt: skip
# Where the stage keeps the other half of its login, as a cloud does; and where the gateway's own token lies.
KEPT_BY_THE_STAGE = {"stage/azure/client.secret"}
KEPT_BY_THE_EDGE = {"edge/token"}


@dataclass
class Life:
    """A service that came and went: what was printed, what was seen, and what was in the files while it stood."""

    place: Place
    logins: dict[str, str]
    printed: dict[str, Command]
    command_lines: set[bytes]
    holders: dict[str, set[str]]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("secrets")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in PLANTED.items():
            environment.setenv(name, value)
        for place in open_spec(folder, SPEC):
            yield lived(place)


def lived(place: Place) -> Life:
    found = place.environment()
    logins = {name: found[name] for name in ("AZURE_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY")}
    printed = {}
    with Onlooker() as onlooker:
        for verb in ("plan", "config", "up --yes", "status", "logs", "doctor"):
            printed[verb] = place.arriero(*verb.split())
        logins["token of the edge"] = (place.folder / ".arriero/edge/token").read_text()
        holders = place.files_with([*PLANTED.values(), *logins.values()])
        for verb in ("down --purge --yes", "plan --json"):
            printed[verb] = place.arriero(*verb.split())
    assert onlooker.rounds > 20
    for value, names in place.files_with(list(holders)).items():
        holders[value] |= names
    return Life(place, logins, printed, onlooker.seen, holders)


def test_the_service_came_and_went(life: Life) -> None:
    codes = {verb: command.code for verb, command in life.printed.items() if verb != "doctor"}
    assert codes == {
        "plan": 2,
        "config": 0,
        "up --yes": 0,
        "status": 0,
        "logs": 0,
        "down --purge --yes": 0,
        "plan --json": 2,
    }


def test_no_file_holds_what_the_users_environment_and_spec_hide(life: Life) -> None:
    assert {name: life.holders[value] for name, value in PLANTED.items() if life.holders[value]} == {}


def test_the_stages_own_login_is_in_no_file_but_where_the_stage_keeps_it(life: Life) -> None:
    assert life.holders[life.logins["AZURE_CLIENT_SECRET"]] == KEPT_BY_THE_STAGE
    assert life.holders[life.logins["AWS_SECRET_ACCESS_KEY"]] == set()
    assert life.holders[life.logins["token of the edge"]] <= KEPT_BY_THE_EDGE


@pytest.mark.parametrize("kind", ["planted", "logins"])
def test_no_output_holds_any(life: Life, kind: str) -> None:
    secrets = PLANTED if kind == "planted" else life.logins
    tellers = {
        (verb, name)
        for verb, command in life.printed.items()
        for name, value in secrets.items()
        if value in command.out + command.err
    }
    assert tellers == set()


def test_no_process_list_shows_any(life: Life) -> None:
    """The list did show our own programs: without that the test would prove nothing."""
    assert any(b"ansible-playbook" in line for line in life.command_lines)
    assert any(b"arriero.gateway" in line for line in life.command_lines)
    secrets = {**PLANTED, **life.logins}
    tellers = {name for name, value in secrets.items() if any(value.encode() in line for line in life.command_lines)}
    assert tellers == set()


def test_only_the_owner_can_read_what_the_stage_and_the_edge_keep_secret(life: Life) -> None:
    state = life.place.folder / ".arriero"
    kept = [state / name for name in KEPT_BY_THE_STAGE | KEPT_BY_THE_EDGE if (state / name).exists()]
    assert kept
    for path in (*kept, state / "stage", state / "runs"):
        assert path.stat().st_mode & 0o077 == 0, path
