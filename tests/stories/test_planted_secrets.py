"""Every secret that there is, followed through the whole life of a service: each is found where it belongs, and nowhere
else.

Looked at are the files of the project, its stage and its TMPDIR, while it lives and after; every command line and
environment of the machine's processes, over and over; what each command printed; what the gateway and its control port
answered; and each message between programs and clouds, in plain text, as `wiretap.py` hears it. What counts as found:
`whereabouts.py`. What is lived: `planted_life.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from places import open_spec
from planted_life import Life, lived

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long, pytest.mark.timeout(900)]

WRONG = "plan --vault-password-file wrong"
# Each place in which a secret may be, and must be found; and why it belongs there.
READS_CLOUDS = {
    "environment of Ansible": "its modules have the deployer's login from there",
    "environment of the controller": "it reads the clouds as the deployer does",
}
OF_A_GROUP = {
    "request azure PUT containerGroups": "a container group is made with it",
    "answer to azure GET secret": "Key Vault gives it to who makes the group",
}
BELONGS: Mapping[str, Mapping[str, str]] = {
    "vault password": {"file password": "the user keeps it there"},
    "AWS login": READS_CLOUDS,
    "Azure login": {
        **READS_CLOUDS,
        "file .arriero/stage/azure/client.secret": "the stage's half of it, as a cloud has one",
        "request azure POST token": "it is exchanged for a token",
    },
    "variable": {
        **READS_CLOUDS,
        "environment of the command line": "the user gives it to each command",
        "environment of ansible-vault": "the user's environment, in which a program may ask for the password",
    },
    "Secrets Manager": {"environment of the Ollama at AWS": "ECS gives it to the container"},
    "SSM": {"environment of the Ollama at AWS": "ECS gives it to the container"},
    "AWS registry": {},
    "Key Vault": {**OF_A_GROUP, "environment of the Ollama at Azure": "it is for that one"},
    "Key Vault, later": {**OF_A_GROUP, "environment of the Ollama at Azure": "it is for that one"},
    "Azure registry": OF_A_GROUP,
    "broken registry": {"answer to azure GET secret": "that it is no login is known only then"},
    "alerts key": {
        "file alerts.key": "the user keeps it there",
        "request azure PUT actionGroups": "Azure Monitor sends no header of ours, so the address has it",
        "answer to azure PUT actionGroups": "Azure gives back what was put",
        "answer to azure GET actionGroups": "and to whoever may read it",
    },
    "log header": {
        "file loki.headers": "the user keeps it there",
        "headers sent to Loki": "it says who sends",
    },
    "store password": {"file valkey.password": "the user keeps it there"},
    "slack address": {
        "environment of the command line": "the build server gives it to `notify`",
        "address of a message to slack": "it is the address",
    },
    "webhook address": {
        "environment of the command line": "the build server gives it to `notify`",
        "address of a message to webhook": "it is the address",
    },
    "former key": {"output of keys add": "shown once"},
    "user key": {
        "output of keys rotate": "shown once",
        "environment of the command line": "ARRIERO_KEY of who asks",
    },
    "admin key": {
        "output of keys add": "shown once",
        "environment of the command line": "ARRIERO_KEY of who validates",
        "environment of ansible-vault": "the user's environment, as above",
    },
    "viewer key": {"output of keys add": "shown once"},
    "control token": {"file .arriero/edge/token": "the gateway and this machine's commands share it"},
    "ledger key": {"answer to azure POST listKeys": "whoever may have the account's key asks for it"},
}


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    for place in open_spec(tmp_path_factory.mktemp("planted"), ""):
        with lived(place) as life:
            yield life


@pytest.mark.parametrize("mark", BELONGS)
def test_a_secret_is_where_it_belongs_and_nowhere_else(life: Life, mark: str) -> None:
    mine = [finding for finding in life.findings if finding.mark == mark]
    astray = sorted(str(finding) for finding in mine if finding.place not in BELONGS[mark])
    assert astray == []
    assert sorted(BELONGS[mark].keys() - {finding.place for finding in mine}) == []


def test_no_secret_was_left_out(life: Life) -> None:
    assert life.marks.names == set(BELONGS)


def test_the_service_came_changed_failed_and_went(life: Life) -> None:
    told = [(words, code) for words, code in life.ended if words.split()[0] in ("up", "rollback", "down", "notify")]
    assert told == [
        ("up --yes", 0),
        ("notify failure", 0),
        ("notify success", 0),
        ("up --yes --json", 0),
        ("up --yes", 0),
        ("rollback --yes", 0),
        ("up --yes", 1),
        ("up --yes --json", 1),
        ("down --purge --yes", 0),
    ]
    failed = {words for words, code in life.ended if code == 1}
    assert failed == {"up --yes", "up --yes --json", WRONG}, life.complaints()
    first = [(words.split()[0], code) for words, code in life.ended if words.startswith(("ask", "validate"))][:2]
    assert first == [("ask", 0), ("validate", 0)], life.complaints()


def test_each_ollama_has_its_own_and_no_others(life: Life) -> None:
    aws = {"Secrets Manager", "SSM"}
    assert life.inside[:2] == [
        {"the Ollama at AWS": aws, "the Ollama at Azure": {"Key Vault"}},
        {"the Ollama at AWS": aws, "the Ollama at Azure": {"Key Vault, later"}},
    ]
    assert life.inside[-1] == {}


def test_all_of_it_was_looked_at(life: Life) -> None:
    assert life.programs >= {
        *("Ansible", "ansible-vault", "the command line", "the controller", "the gateway", "the guard of a run"),
        *("the stage", "the Ollama at AWS", "the Ollama at Azure", "the sidecar at AWS", "the sidecar at Azure"),
    }
    assert life.messages >= {
        *("request aws RegisterTaskDefinition", "answer to aws DescribeTasks", "request azure PUT blob"),
        *("request azure PUT containerGroups", "answer to azure GET containerGroups"),
    }
    assert life.files > 100
