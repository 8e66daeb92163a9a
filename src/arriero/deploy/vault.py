"""The only door to Ansible Vault: opens an encrypted file with the program `ansible-vault`.

It runs as a program, through pipes: its code is under another licence than this package, and what it prints is never
on a disk. It gets none of the user's Ansible settings, whose log file would hold what it prints.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem
from arriero.secret import Secret

PROGRAM = Path(sys.executable).with_name("ansible-vault")
HEADER = b"$ANSIBLE_VAULT;"
PASSWORD_FILE, IDENTITIES = "ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"
TIMEOUT_SECONDS = 120  # a password program may ask its user to touch a key

# What ansible-vault says of a password, and what we say instead.
_WRONG = "no vault secrets were found that could decrypt"
_EMPTY = "Invalid vault password was provided"
_FAILED = re.compile(r"password script .* returned non-zero \((-?\d+)\)")


@dataclass(frozen=True, slots=True)
class Password:
    """Where ansible-vault finds the password: a file, a program that prints it, or (None) its own environment."""

    file: Path | None
    piped: Secret | None = None
    """What was read of a file that can be read only once, like `<(pass show vault)`."""

    @classmethod
    def of(cls, file: Path | None, environment: Mapping[str, str]) -> Password:
        """Raises ArrieroError where there is no such file, or no word of any."""
        if file is None:
            if not environment.get(IDENTITIES):
                what = "the vault's password is not known"
                remedy = f"give --vault-password-file, or set credentials.password_file or {PASSWORD_FILE}"
                raise ArrieroError(Problem(what, remedy, key="credentials.vault"))
            return cls(None)
        try:
            is_pipe = not stat.S_ISREG(file.stat().st_mode) and not file.is_dir()
            return cls(file, Secret(file.read_text()) if is_pipe else None)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise ArrieroError(_of_password(f"the password file {file} can't be read: {why}", "name another")) from None


def decrypt(file: Path, password: Password, environment: Mapping[str, str], key: str) -> Secret:
    """The text in `file`; raises ArrieroError, its problem under `key`, where that can't be had."""
    _refuse_what_is_no_vault(file, key)
    if not PROGRAM.exists():
        raise ArrieroError(Problem("ansible-vault is not installed", "pip install 'arriero[deploy]'", key))
    kept = {name: value for name, value in environment.items() if not name.startswith("ANSIBLE_")}
    kept |= {IDENTITIES: environment[IDENTITIES]} if password.file is None else {}
    with tempfile.TemporaryDirectory(prefix="arriero-") as folder, _handed_over(password) as (options, descriptors):
        (Path(folder) / "ansible.cfg").touch()
        settings = {"ANSIBLE_CONFIG": f"{folder}/ansible.cfg", "ANSIBLE_HOME": folder, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            [PROGRAM, "decrypt", "--output", "-", *options, str(file)],
            env={**kept, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=descriptors,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise ArrieroError(_refusal(done.stderr.decode(errors="replace"), file, password, key))
    return Secret(done.stdout.decode(errors="replace"))


def _refuse_what_is_no_vault(file: Path, key: str) -> None:
    try:
        with file.open("rb") as opened:
            start = opened.read(len(HEADER))
    except FileNotFoundError:
        raise ArrieroError(Problem(f"there is no file {file}", f"make it: ansible-vault create {file}", key)) from None
    except OSError as error:
        raise ArrieroError(Problem(f"{file} can't be read: {error.strerror}", "check its permissions", key)) from None
    if start != HEADER:
        what = f"{file} is not encrypted as a whole by Ansible Vault"
        raise ArrieroError(Problem(what, f"encrypt it: ansible-vault encrypt {file}", key))


@contextmanager
def _handed_over(password: Password) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The options that name the password, and the descriptors that the program needs for it."""
    if password.piped is None:
        yield ([f"--vault-password-file={password.file}"] if password.file else []), ()
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, password.piped.reveal().encode())
        os.close(writing)
        yield [f"--vault-password-file=/dev/fd/{reading}"], (reading,)
    finally:
        os.close(reading)


def _refusal(said: str, file: Path, password: Password, key: str) -> Problem:
    if _WRONG in said:
        return Problem(f"the password does not open {file}", "give the one it was encrypted with", key)
    if _EMPTY in said:
        return _of_password(f"the password file {password.file} is empty", "write the password into it")
    if failed := _FAILED.search(said):
        what = f"the password program {password.file} ended with exit code {failed[1]}"
        return _of_password(what, "run it by hand to see why")
    errors = [line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("[ERROR]")]
    what = f"{file} can't be opened: {(errors or ['ansible-vault does not say why'])[0]}"
    return Problem(what, f"look at it: ansible-vault view {file}", key)


def _of_password(what: str, remedy: str) -> Problem:
    return Problem(what, remedy, key="credentials.password_file")
