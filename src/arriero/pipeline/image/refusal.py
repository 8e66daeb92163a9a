"""What a failed build or push says, in our three parts. Pure: tested on lines that Docker and Ollama really printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from arriero.errors import Problem

# BuildKit's plain progress puts the step's number and its seconds before each line of a program.
_STEP = re.compile(r"^#\d+ (\d+\.\d+ )?")
_OURS = "arriero: "
_KNOWN: tuple[tuple[str, str, str], ...] = (
    ("no space left on device", "the engine's disk is full", "free some: docker builder prune, or a larger data root"),
    ("pull model manifest: file does not exist", "its registry has no such model", "correct its name or `pull`"),
    ("server gave HTTP response to HTTPS client", "its registry speaks plain http", "write insecure: true"),
    ("THESE PACKAGES DO NOT MATCH THE HASHES", "a package is another than the lock names", "take it from elsewhere"),
    ("No matching distribution found", "a package of the sidecar is not in image.wheels", "download all of the lock"),
    ("manifest unknown", "a base image is not in its registry", "correct image.base or image.ollama"),
    ("connection refused", "a registry does not answer", "see that it runs, and that a build may reach it"),
    ("Temporary failure in name resolution", "the build reaches no name server", "give it a network: --network host"),
    ("pull access denied", "a registry refuses to hand it out", "docker login, or correct its name"),
    ("unauthorized", "a registry wants a login", "docker login"),
)


def of_build(lines: Sequence[str]) -> Problem:
    """The one line that our own step printed, or what is known of Docker's words, or its last line."""
    bare = [_STEP.sub("", line) for line in lines]
    ours = [line.partition(_OURS)[2] for line in bare if line.startswith(_OURS)]
    text = "\n".join(bare)
    if ours:
        what, remedy = _known(ours[-1])
        named = re.match(r"model (\S+): ", ours[-1])
        who = named[0].rstrip(": ") + ": " if named and what != ours[-1] else ""
        return Problem(f"{who}{what}", remedy, "image build")
    what, remedy = _known(text)
    return Problem(_last(lines) if what == text else what, remedy or "the log above says more", "image build")


def of_push(name: str, lines: Sequence[str]) -> Problem:
    text = "\n".join(lines)
    known = (
        ("ImageTagAlreadyExists", "its registry lets no tag move", "push another commit, or make the tag mutable"),
        ("tag invalid", "its registry lets no tag move", "push another commit, or make the tag mutable"),
        ("no basic auth credentials", "its registry wants a login", "docker login"),
        ("denied", "its registry refuses the push", "docker login with an account that may push there"),
    )
    found = next(((what, remedy) for words, what, remedy in known if words in text), _known(text))
    what = _last(lines) if found[0] == text else found[0]
    return Problem(f"{name}: {what}", found[1] or "nothing else was tagged", "image push")


def _known(text: str) -> tuple[str, str]:
    return next(((what, remedy) for words, what, remedy in _KNOWN if words in text), (text, ""))


def _last(lines: Iterable[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:300] if said else "docker said nothing"
