"""Model names as Ollama understands them."""

from __future__ import annotations

from dataclasses import dataclass

LIBRARY = "registry.ollama.ai"


def canonical(name: str) -> str:
    """The one spelling of a model's name: `LLama2`, `library/llama2` and `llama2:latest` are all `llama2:latest`."""
    name = name.lower().removeprefix("https://").removeprefix("http://")
    name = name.removeprefix(f"{LIBRARY}/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model's manifest lies in its registry, and below `manifests/` in Ollama's folder."""

    host: str
    repository: str
    tag: str

    @property
    def path(self) -> str:
        return f"{self.host}/{self.repository}/{self.tag}"

    @property
    def name(self) -> str:
        return f"{self.host}/{self.repository}:{self.tag}"


def place_of(name: str) -> Place:
    """`llama2` -> registry.ollama.ai, library/llama2, latest; `models.example.com/acme/x:7b` as it is written."""
    *above, last = name.split("/")
    model, _, tag = last.partition(":")
    namespace = above.pop() if above else "library"
    return Place("/".join(above) or LIBRARY, f"{namespace}/{model}", tag or "latest")
