"""Model names as Ollama understands them."""

from __future__ import annotations


def canonical(name: str) -> str:
    """The one spelling of a model's name: `LLama2`, `library/llama2` and `llama2:latest` are all `llama2:latest`."""
    name = name.lower().removeprefix("https://").removeprefix("http://")
    name = name.removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
