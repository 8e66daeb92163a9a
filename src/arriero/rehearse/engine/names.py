"""Model names as Ollama reads them: `[host/][namespace/]model[:tag]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_HOST, _DEFAULT_NAMESPACE, _DEFAULT_TAG = "registry.ollama.ai", "library", "latest"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*\Z")


@dataclass(frozen=True, slots=True)
class Name:
    """A complete name; `str` is its shortest form, which always carries the tag."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def is_valid(self) -> bool:
        parts = all(_PART.match(part) and len(part) <= 80 for part in (self.namespace, self.model, self.tag))
        return bool(parts and _HOST.match(self.host))

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    def __str__(self) -> str:
        host = "" if self.host == DEFAULT_HOST else f"{self.host}/"
        namespace = "" if not host and self.namespace == _DEFAULT_NAMESPACE else f"{self.namespace}/"
        return f"{host}{namespace}{self.model}:{self.tag}"


def parse(text: str) -> Name:
    """Never fails: ask `is_valid`."""
    rest, _, last = text.rpartition("/")
    model, colon, tag = last.partition(":")
    host, _, namespace = rest.rpartition("/")
    return Name(host or DEFAULT_HOST, namespace or _DEFAULT_NAMESPACE, model, tag if colon else _DEFAULT_TAG)
