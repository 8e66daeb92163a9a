"""What a shell offers after Tab, where the spec knows it; where there is none yet, nothing."""

from __future__ import annotations

from pathlib import Path

from arriero.errors import ArrieroError


def sites() -> list[str]:
    """The names of the sites of the spec that is here or above."""
    from arriero.cli.here import SecretsUnread
    from arriero.spec import load

    try:
        return list(load.load(load.find(None, Path.cwd()), None, SecretsUnread()).spec.sites)
    except ArrieroError:
        return []


def sections() -> list[str]:
    """The sections that `arriero docs` has a page of."""
    from arriero.spec import docs

    return list(docs.sections())
