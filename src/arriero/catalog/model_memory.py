"""How much of a GPU's memory a model takes: its weights, and the keys and values of every token that it may hold.

A token's keys and values are 2 x layers x heads x dimension of a head, in 16 bits each, as Ollama keeps them by default
(OLLAMA_KV_CACHE_TYPE: f16); Ollama makes room for the context of every parallel request when it loads a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from arriero.catalog.catalog import Source, table

_BYTES_EACH = 2
# Ollama's own where neither the request nor OLLAMA_CONTEXT_LENGTH says another.
DEFAULT_CONTEXT = 4096
# What CUDA and the buffers of one pass take of each GPU besides: a round figure of ours, measured nowhere.
BESIDES_MIB = 1024


@dataclass(frozen=True, slots=True)
class ModelSize:
    """`token_bytes` is what one token of context takes; None where no source says the model's shape."""

    weights_bytes: int
    token_bytes: int | None
    source: Source

    def bytes_with(self, context: int, parallel: int) -> int:
        """With that context for each of so many parallel requests; its weights alone where no more is known."""
        return self.weights_bytes + (self.token_bytes or 0) * context * parallel


def size_of(model: str) -> ModelSize | None:
    """By its name with its tag; None of a model that no source was read about."""
    data = table("models")
    for row in data["models"]:
        if model in row["names"]:
            layers, heads, dimension = row["shape"] or (0, 0, 0)
            token = 2 * layers * heads * dimension * _BYTES_EACH
            return ModelSize(int(row["weights_gb"] * 10**9), token or None, Source(**data["sources"][row["source"]]))
    return None
