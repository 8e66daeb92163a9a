"""Which path is what: the one table of everything the gateway speaks. A path that is not here is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from arriero.gateway.words.dialects import ANTHROPIC, NATIVE, OPENAI, RESPONSES, Dialect


class Kind(Enum):
    RUN = "runs a model"
    LOOK = "reads about a model"
    WRITE = "changes what models there are"
    LOCAL = "is answered here"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a path is. `missing` is Ollama's sentence there for a model that it does not have."""

    kind: Kind
    methods: tuple[str, ...] = ("POST",)
    dialect: Dialect = NATIVE
    missing: str = "model '{0}' not found"


_GET = ("GET", "HEAD")
_RULES = {
    "/": Rule(Kind.LOCAL, _GET),
    "/healthz": Rule(Kind.LOCAL, _GET),
    "/readyz": Rule(Kind.LOCAL, _GET),
    "/metrics": Rule(Kind.LOCAL, _GET),
    "/metrics/targets": Rule(Kind.LOCAL, _GET),
    "/api/version": Rule(Kind.LOCAL, _GET),
    "/api/tags": Rule(Kind.LOCAL, _GET),
    "/api/ps": Rule(Kind.LOCAL, _GET),
    "/v1/models": Rule(Kind.LOCAL, _GET, OPENAI),
    "/api/generate": Rule(Kind.RUN),
    "/api/chat": Rule(Kind.RUN),
    "/api/embed": Rule(Kind.RUN, missing='model "{0}" not found, try pulling it first'),
    "/api/embeddings": Rule(Kind.RUN, missing='model "{0}" not found, try pulling it first'),
    "/api/show": Rule(Kind.LOOK, missing="model '{1}' not found"),
    "/v1/chat/completions": Rule(Kind.RUN, dialect=OPENAI),
    "/v1/completions": Rule(Kind.RUN, dialect=OPENAI),
    "/v1/embeddings": Rule(Kind.RUN, dialect=OPENAI),
    "/v1/images/generations": Rule(Kind.RUN, dialect=OPENAI),
    "/v1/images/edits": Rule(Kind.RUN, dialect=OPENAI),
    "/v1/responses": Rule(Kind.RUN, dialect=RESPONSES),
    "/v1/messages": Rule(Kind.RUN, dialect=ANTHROPIC),
    "/v1/messages/count_tokens": Rule(Kind.LOOK, dialect=ANTHROPIC),
    "/api/pull": Rule(Kind.WRITE),
    "/api/push": Rule(Kind.WRITE),
    "/api/create": Rule(Kind.WRITE),
    "/api/copy": Rule(Kind.WRITE),
    "/api/delete": Rule(Kind.WRITE, ("DELETE",)),
}
_PREFIXES = {
    "/v1/models/": Rule(Kind.LOOK, _GET[:1], OPENAI),
    "/api/blobs/": Rule(Kind.WRITE, ("POST", "HEAD")),
}


def rule_of(path: str) -> Rule | None:
    rule = _RULES.get(path)
    if rule is None:
        rule = next((rule for prefix, rule in _PREFIXES.items() if path.startswith(prefix)), None)
    return rule


def label_of(path: str) -> str:
    """What a path is counted as: itself, what it begins with if a name follows, or `other`."""
    if path in _RULES:
        return path
    return next((prefix for prefix in _PREFIXES if path.startswith(prefix)), "other")


def dialect_of(path: str) -> Dialect:
    """The error shape for any path, known or not."""
    rule = rule_of(path)
    return rule.dialect if rule else OPENAI if path.startswith("/v1/") else NATIVE
