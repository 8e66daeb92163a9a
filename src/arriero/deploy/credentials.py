"""From the spec's vault files to the environment in which clouds are spoken to.

The SDKs and Ansible's modules both read logins from variables, so one environment gives both the same. What a vault
gives for a cloud stands in for every other way into that cloud: two logins mixed are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from arriero.deploy import vault
from arriero.errors import ArrieroError, Problem, Refused
from arriero.secret import Secret
from arriero.spec.model import Spec
from arriero.spec.suggest import suggest

# Says which vaults an environment was made from: whoever finds it there need not open them again.
OPENED = "ARRIERO_VAULT"


@dataclass(frozen=True, slots=True)
class Login:
    """The variables that make a cloud's login; `others` lead into the same cloud and must not be mixed with them."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]
    others: tuple[str, ...]


LOGINS = {
    "AWS": Login(
        needed=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        optional=("AWS_SESSION_TOKEN",),
        others=(
            "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SECURITY_TOKEN",
            "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "EC2_ACCESS_KEY", "EC2_SECRET_KEY", "EC2_SECURITY_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        ),
    ),
    "Azure": Login(
        needed=("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"),
        optional=("AZURE_SUBSCRIPTION_ID",),
        others=(
            "AZURE_PROFILE", "AZURE_AD_USER", "AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_X509_CERTIFICATE_PATH", "AZURE_THUMBPRINT", "ANSIBLE_AZURE_AUTH_SOURCE",
        ),
    ),
}  # fmt: skip
# Ansible's modules and azure-identity have names of their own for two of them: both get theirs.
TWINS = {"AZURE_SECRET": "AZURE_CLIENT_SECRET", "AZURE_TENANT": "AZURE_TENANT_ID"}
NAMES = tuple(name for login in LOGINS.values() for name in (*login.needed, *login.optional))


def entered(spec: Spec, folder: Path, password_file: Path | None, environment: Mapping[str, str]) -> Mapping[str, str]:
    """`environment` with the logins of the spec's vaults, whose paths start at `folder`.

    `password_file` is the user's word of now; else the spec's counts, else ANSIBLE_VAULT_PASSWORD_FILE, else
    ANSIBLE_VAULT_IDENTITY_LIST. Raises ArrieroError with every problem of the vaults; no message holds a value.
    """
    files = files_of(spec, folder)
    if not files or is_entered(spec, folder, environment):
        return environment
    password = vault.Password.of(password_file or _password_file(spec, folder, environment), environment)
    given = _opened(files, password, environment)
    result = {name: value for name, value in environment.items() if name not in _stood_in_for(given)}
    result |= {name: value.reveal() for name, value in given.items()}
    result |= {twin: given[name].reveal() for twin, name in TWINS.items() if name in given}
    if "AZURE_CLIENT_ID" in given and spec.accounts.azure:
        result.setdefault("AZURE_SUBSCRIPTION_ID", spec.accounts.azure)
    return {**result, OPENED: _mark(files)}


def files_of(spec: Spec, folder: Path) -> tuple[Path, ...]:
    """The vaults that the spec names."""
    return tuple(folder / Path(name).expanduser() for name in spec.credentials.vault)


def is_entered(spec: Spec, folder: Path, environment: Mapping[str, str]) -> bool:
    return environment.get(OPENED) == _mark(files_of(spec, folder))


def refuse_unopened(spec: Spec, folder: Path, environment: Mapping[str, str]) -> None:
    """For whoever can't ask for a password: raises Refused where the vaults' logins are not in `environment`."""
    if spec.credentials.vault and not is_entered(spec, folder, environment):
        remedy = "run it as: arriero env -- ansible-playbook -i fleet.arriero.yml arriero.fleet.site"
        raise Refused(Problem("this spec's credentials are in a vault, which is not open here", remedy, "credentials"))


def _password_file(spec: Spec, folder: Path, environment: Mapping[str, str]) -> Path | None:
    if spec.credentials.password_file:
        return folder / Path(spec.credentials.password_file).expanduser()
    named = environment.get(vault.PASSWORD_FILE)
    return Path(named).expanduser() if named else None


def _opened(files: tuple[Path, ...], password: vault.Password, environment: Mapping[str, str]) -> dict[str, Secret]:
    """All logins of all files by name; raises ArrieroError."""
    found: dict[str, Secret] = {}
    problems: list[Problem] = []
    for index, file in enumerate(files):
        key = f"credentials.vault[{index}]"
        try:
            values = _values(file, vault.decrypt(file, password, environment, key), key, problems)
        except ArrieroError as error:
            problems += error.problems
            continue
        for name in found.keys() & values.keys():
            problems.append(Problem(f"{file} gives {name}, which another vault gives too", "keep one of them", key))
        found |= values
    problems = list(dict.fromkeys(problems))
    if not problems:
        problems += _incomplete(found)
    if problems:
        raise ArrieroError(problems)
    return found


def _values(file: Path, text: Secret, key: str, problems: list[Problem]) -> dict[str, Secret]:
    try:
        data = YAML(typ="safe", pure=True).load(text.reveal())
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f" in its line {mark.line + 1}" if mark else ""
        problems.append(Problem(f"what is in {file} is not YAML{where}", f"mend it: ansible-vault edit {file}", key))
        return {}
    if not isinstance(data, dict) or not data:
        what = f"what is in {file} is not a list of variables"
        problems.append(Problem(what, f"write lines like aws_access_key_id: …, with: ansible-vault edit {file}", key))
        return {}
    return dict(_checked(file, data, key, problems))


def _checked(
    file: Path, data: Mapping[object, object], key: str, problems: list[Problem]
) -> Iterator[tuple[str, Secret]]:
    for written, value in data.items():
        name = TWINS.get(str(written).upper(), str(written).upper())
        if name not in NAMES:
            remedy = suggest(name.lower(), [known.lower() for known in NAMES])
            problems.append(Problem(f"{file} gives {str(written)[:40]}, which is no cloud's login", remedy, key))
        elif not isinstance(value, str) or not value or "\0" in value:
            problems.append(Problem(f"{written} in {file} is not text", "put its value in quotes", key))
        else:
            yield name, Secret(value)


def _incomplete(found: Mapping[str, Secret]) -> Iterator[Problem]:
    for cloud, login in LOGINS.items():
        names = {*login.needed, *login.optional} & found.keys()
        if names and (missing := [name for name in login.needed if name not in found]):
            what = f"a login of {cloud} lacks {', '.join(missing)}"
            yield Problem(what, "add it to the vault", key="credentials.vault")


def _stood_in_for(given: Mapping[str, Secret]) -> set[str]:
    """Every name that leads into a cloud of which a login is given; but a subscription is where, not who."""
    logins = [login for login in LOGINS.values() if login.needed[0] in given]
    names = {name for login in logins for name in (*login.needed, *login.optional, *login.others)}
    return (names - {"AZURE_SUBSCRIPTION_ID"}) | {twin for twin, name in TWINS.items() if name in given}


def _mark(files: tuple[Path, ...]) -> str:
    return ":".join(str(file.absolute()) for file in files)
