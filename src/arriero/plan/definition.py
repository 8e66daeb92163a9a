"""The hash by which a definition is known again: of a target, or of an edge."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from arriero.plan.model import Value


def definition_hash(definition: Mapping[str, Value]) -> str:
    """Twelve hex digits that change when anything in the definition does."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
