"""A clone of one branch: fetched, verified, checked out. Everything that is asked of git is asked here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arriero.errors import ArrieroError, Problem, Refused

TIMEOUT_SECONDS = 300.0
# What git would ask at a terminal is an error here; a repository that names a program to run (ext::) is none.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false", "LC_ALL": "C"}
_SAFE = ("-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_LOGIN = re.compile(r"://[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose signature a commit must carry: a key of an SSH allowed-signers file, or of a GnuPG home's keyring.

    Without either every commit is taken.
    """

    signers: Path | None = None
    keyring: Path | None = None

    @property
    def is_open(self) -> bool:
        return self.signers is None and self.keyring is None


@dataclass(frozen=True, slots=True)
class Repository:
    """`folder` is the clone; `url` may hold a login, which is never shown."""

    url: str
    branch: str
    folder: Path

    def fetch(self) -> str:
        """Brings the branch up to date and returns its newest commit. Raises ArrieroError."""
        if self.url.startswith("-") or self.branch.startswith("-"):
            raise Refused(
                Problem(f"{shown(self.url)} {self.branch} is no repository and branch", "see: arriero sync -h")
            )
        if not (self.folder / ".git").exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._git("clone", "--quiet", "--no-checkout", "--single-branch", "--branch", self.branch, "--", self.url,
                      str(self.folder), within=self.folder.parent)  # fmt: skip
        refs = f"+refs/heads/{self.branch}:refs/remotes/origin/{self.branch}"
        self._git("fetch", "--quiet", "--no-tags", "--", self.url, refs)
        return self._git("rev-parse", "--verify", f"refs/remotes/origin/{self.branch}^{{commit}}")

    def follows(self, commit: str, former: str) -> bool:
        """Whether `former` is in the history of `commit`."""
        return self._run("merge-base", "--is-ancestor", former, commit).returncode == 0

    def verify(self, commit: str, policy: Policy) -> str:
        """Why the commit is not signed by a key that is allowed; empty where it is."""
        if policy.is_open:
            return ""
        options = ["-c", f"gpg.ssh.allowedSignersFile={policy.signers.absolute()}"] if policy.signers else []
        home = {"GNUPGHOME": str(policy.keyring.absolute())} if policy.keyring else {"GNUPGHOME": os.devnull}
        if not policy.signers:
            options = ["-c", f"gpg.ssh.allowedSignersFile={os.devnull}"]
        ended = self._run(*options, "verify-commit", commit, environment=home)
        if ended.returncode == 0:
            return ""
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it carries no signature"

    def check_out(self, commit: str) -> None:
        """The clone's files become those of the commit; what git ignores (our own state) stays."""
        self._git("checkout", "--quiet", "--force", "--detach", commit)

    def _git(self, *arguments: str, within: Path | None = None) -> str:
        ended = self._run(*arguments, within=within)
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or ["it does not say why"])[-1]
            what = f"git {arguments[0]} of {shown(self.url)} failed: {shown(said.removeprefix('fatal: '))}"
            raise ArrieroError(Problem(what, "see that the repository and the branch can be reached", key="--repo"))
        return ended.stdout.strip()

    def _run(
        self, *arguments: str, within: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", *_SAFE, *arguments],
                cwd=within or self.folder,
                env={**os.environ, **_ENVIRONMENT, **(environment or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise ArrieroError(Problem("there is no git here", "install git")) from None
        except subprocess.TimeoutExpired:
            what = f"git {arguments[0]} of {shown(self.url)} took longer than {TIMEOUT_SECONDS:.0f} s"
            raise ArrieroError(Problem(what, "see that the repository can be reached", key="--repo")) from None


def shown(text: str) -> str:
    """Without the login that a URL may hold."""
    return _LOGIN.sub("://", text)
