"""Logins from Ansible Vault files: what reaches the environment, and in which words everything else is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from vaults import encrypt

from arriero.deploy import credentials
from arriero.errors import ArrieroError, Refused
from arriero.spec.load import load
from arriero.spec.model import Spec

SPEC = """\
name: llm
image: acme/ollama
models: [llama2]
accounts: {azure: 00000000-0000-0000-0000-000000000001}
sites: {a: {cloud: aws, region: us-east-1}}
"""
PASSWORD = "open sesame"
AWS = "aws_access_key_id: AKIAVAULT\naws_secret_access_key: planted-aws-secret\n"
AZURE = "AZURE_CLIENT_ID: app\nAZURE_SECRET: planted-azure-secret\nAZURE_TENANT: home\n"
PATH = {"PATH": os.environ["PATH"]}

Make = Callable[..., Spec]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """A spec with vaults of these texts and its password in a file."""

    def make(*texts: str, password_file: str = "password") -> Spec:
        names = [f"vault-{number}.yml" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            encrypt(tmp_path / name, text, PASSWORD)
        (tmp_path / "password").write_text(PASSWORD + "\n")
        section = f"credentials: {{vault: [{', '.join(names)}], password_file: {password_file}}}\n"
        (tmp_path / "arriero.yaml").write_text(SPEC + section)
        return load(tmp_path / "arriero.yaml", None, {}).spec

    return make


def refusal(spec: Spec, folder: Path, password_file: Path | None = None, **environment: str) -> str:
    with pytest.raises(ArrieroError) as refused:
        credentials.entered(spec, folder, password_file, {**PATH, **environment})
    assert "planted" not in str(refused.value)
    return str(refused.value).replace(f"{folder}/", "")


def test_a_vaults_logins_stand_in_for_all_others_of_their_clouds(made: Make, tmp_path: Path) -> None:
    before = {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "old", "AWS_REGION": "eu-west-1", "AZURE_PASSWORD": "old"}
    found = dict(credentials.entered(made(AWS, AZURE), tmp_path, None, {**PATH, **before}))
    assert found.pop("ARRIERO_VAULT") == f"{tmp_path}/vault-0.yml:{tmp_path}/vault-1.yml"
    assert found == PATH | {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAVAULT",
        "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
        "AZURE_CLIENT_ID": "app",
        "AZURE_CLIENT_SECRET": "planted-azure-secret",
        "AZURE_SECRET": "planted-azure-secret",
        "AZURE_TENANT_ID": "home",
        "AZURE_TENANT": "home",
        "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
    }


def test_the_other_clouds_login_stays(made: Make, tmp_path: Path) -> None:
    found = credentials.entered(made(AWS), tmp_path, None, {**PATH, "AZURE_SECRET": "mine", "AZURE_PROFILE": "mine"})
    assert (found["AZURE_SECRET"], found["AZURE_PROFILE"]) == ("mine", "mine")


def test_an_environment_made_from_the_same_vaults_is_taken_as_it_is(made: Make, tmp_path: Path) -> None:
    spec = made(AWS)
    found = credentials.entered(spec, tmp_path, None, PATH)
    (tmp_path / "vault-0.yml").unlink()
    assert credentials.entered(spec, tmp_path, None, found) is found
    credentials.refuse_unopened(spec, tmp_path, found)
    with pytest.raises(Refused, match="which is not open here; run it as: arriero env --"):
        credentials.refuse_unopened(spec, tmp_path, PATH)


def test_the_password_comes_from_a_file_a_program_a_pipe_or_a_list_of_identities(made: Make, tmp_path: Path) -> None:
    spec = made(AWS, AZURE, password_file="nowhere")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    program.chmod(0o700)
    reading, writing = os.pipe()
    os.write(writing, PASSWORD.encode())
    os.close(writing)
    for given in (tmp_path / "password", program, Path(f"/dev/fd/{reading}")):
        assert "AWS_SECRET_ACCESS_KEY" in credentials.entered(spec, tmp_path, given, PATH)
    os.close(reading)
    bare = spec.model_copy(update={"credentials": spec.credentials.model_copy(update={"password_file": None})})
    for name, value in (("PASSWORD_FILE", "password"), ("IDENTITY_LIST", "prod@password")):
        where = value.replace("password", str(tmp_path / "password"))
        assert credentials.entered(bare, tmp_path, None, {**PATH, f"ANSIBLE_VAULT_{name}": where})["AWS_ACCESS_KEY_ID"]
    assert refusal(bare, tmp_path) == (
        "credentials.vault: the vault's password is not known; give --vault-password-file, or set "
        "credentials.password_file or ANSIBLE_VAULT_PASSWORD_FILE"
    )


def test_a_wrong_password_is_named_with_its_vault(made: Make, tmp_path: Path) -> None:
    spec = made(AWS)
    (tmp_path / "password").write_text("open barley\n")
    assert refusal(spec, tmp_path) == (
        "credentials.vault[0]: the password does not open vault-0.yml; give the one it was encrypted with"
    )


def test_a_password_that_can_not_be_had_says_why(made: Make, tmp_path: Path) -> None:
    spec = made(AWS)
    (tmp_path / "password").write_text("")
    (tmp_path / "program").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "program").chmod(0o700)
    head = "credentials.password_file: the password"
    assert refusal(spec, tmp_path) == f"{head} file password is empty; write the password into it"
    assert refusal(spec, tmp_path, tmp_path / "none") == (
        f"{head} file none can't be read: No such file or directory; name another"
    )
    assert refusal(spec, tmp_path, tmp_path / "program") == (
        f"{head} program program ended with exit code 3; run it by hand to see why"
    )


def test_what_is_no_vault_is_refused_with_what_makes_one(made: Make, tmp_path: Path) -> None:
    spec = made(AWS, AZURE)
    (tmp_path / "vault-0.yml").unlink()
    (tmp_path / "vault-1.yml").write_text(AZURE)
    assert refusal(spec, tmp_path).splitlines() == [
        "credentials.vault[0]: there is no file vault-0.yml; make it: ansible-vault create vault-0.yml",
        "credentials.vault[1]: vault-1.yml is not encrypted as a whole by Ansible Vault; "
        "encrypt it: ansible-vault encrypt vault-1.yml",
    ]


def test_a_damaged_vault_says_so(made: Make, tmp_path: Path) -> None:
    spec = made(AWS)
    (tmp_path / "vault-0.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\nzz\n")
    assert refusal(spec, tmp_path).startswith("credentials.vault[0]: vault-0.yml can't be opened: Vault")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [planted", "what is in vault-0.yml is not YAML in its line 1; mend it: ansible-vault edit vault-0.yml"),
        ("planted", "what is in vault-0.yml is not a list of variables; write lines like aws_access_key_id: …, with: "
         "ansible-vault edit vault-0.yml"),
        ("aws_acess_key_id: planted", "vault-0.yml gives aws_acess_key_id, which is no cloud's login; did you mean "
         "aws_access_key_id?"),
        ("aws_access_key_id: 12", "aws_access_key_id in vault-0.yml is not text; put its value in quotes"),
        ("azure_client_id: planted", "a login of Azure lacks AZURE_CLIENT_SECRET, AZURE_TENANT_ID; "
         "add it to the vault"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_vault_is_said_without_its_values(
    made: Make, tmp_path: Path, text: str, expected: str
) -> None:
    assert refusal(made(text), tmp_path).partition(": ")[2] == expected


def test_a_name_given_by_two_vaults_is_refused(made: Make, tmp_path: Path) -> None:
    said = refusal(made(AWS, "aws_access_key_id: planted\n"), tmp_path)
    assert "vault-1.yml gives AWS_ACCESS_KEY_ID, which another vault gives too; keep one of them" in said


def test_a_log_file_of_the_users_ansible_gets_none_of_it(made: Make, tmp_path: Path) -> None:
    log = tmp_path / "ansible.log"
    credentials.entered(made(AWS), tmp_path, None, {**PATH, "ANSIBLE_LOG_PATH": str(log), "HOME": str(tmp_path)})
    written = [file for file in tmp_path.rglob("*") if file.is_file() and b"planted" in file.read_bytes()]
    assert written == []
    assert not log.exists()
