"""The commit that a release is made from, as git tells it; and what git is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from arriero.deploy.releasing import commit_of


def test_git_gets_no_login_that_stands_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository's settings have git run programs, and a vault's logins are in our environment by then."""
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\nenv >>{tmp_path}/seen\necho 0123abc\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-deployer")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/above")
    assert commit_of(tmp_path) == "0123abc+"
    seen = (tmp_path / "seen").read_text()
    assert "GIT_CEILING_DIRECTORIES=/above" in seen
    assert "of-the-deployer" not in seen


def test_outside_of_a_repository_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_of(tmp_path) == ""
