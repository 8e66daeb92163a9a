"""What a call needs to be allowed, and whether given policies allow it. The files are the clouds' own forms.

Of AWS's language it knows Allow, Action, Resource and the operators that `arriero export iam` writes; of anything else
it says so, for who cannot judge must not allow. Denied is what no statement allows. An Azure role is a list of actions,
less the ones taken away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arriero.errors import Problem, Refused
from arriero.events import Json

FOLDER = "permissions"
_OPERATORS = {"StringEquals": False, "StringLike": True, "ArnEquals": True, "ArnLike": True}


@dataclass(frozen=True, slots=True)
class Need:
    """One permission, on one resource (an ARN, or a scope at Azure). `context` is what conditions can ask for.

    `is_known` is False where no table says what the call needs; `is_data` where Azure counts it as a data action.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = True
    is_data: bool = False

    def as_json(self) -> Json:
        return {
            "action": self.action,
            "resource": self.resource,
            **({"context": dict(self.context)} if self.context else {}),
            **({} if self.is_known else {"unknown": True}),
            **({"data": True} if self.is_data else {}),
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Need:
        return cls(
            told["action"], told["resource"], told.get("context", {}), not told.get("unknown"), bool(told.get("data"))
        )


class AwsPolicies:
    """The documents of everything that is attached to one login."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self._statements = [statement for document in documents for statement in _list(document["Statement"])]
        for statement in self._statements:
            _refuse_what_is_not_known(statement)

    def allows(self, need: Need) -> bool:
        return any(_covers(statement, need) for statement in self._statements)


class AzureRole:
    """One login's role definitions as `az role definition create` takes them, each given at its assignable scopes."""

    def __init__(self, *documents: Mapping[str, Any]) -> None:
        self._documents = documents
        for document in documents:
            _ = document["Actions"], document["AssignableScopes"]

    def allows(self, need: Need) -> bool:
        return any(_grants(document, need) for document in self._documents)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What is allowed at each cloud; None where everything is."""

    aws: AwsPolicies | None = None
    azure: AzureRole | None = None


def read(folder: Path) -> Permissions:
    """The `aws-*.json` and `azure-*.json` of a folder; raises Refused for what can't be judged."""
    try:
        policies = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("aws-*.json"))]
        roles = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("azure-*.json"))]
        if not policies and not roles:
            raise Refused(Problem("holds no policies", "write them with: arriero export iam", file=str(folder)))
        return Permissions(AwsPolicies(policies), AzureRole(*roles))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"is not what `arriero export iam` writes: {type(error).__name__}: {error}"
        raise Refused(Problem(what, "write it anew", file=str(folder))) from None


class Permits:
    """The permissions that hold on a stage now: those of its folder `permissions`; everything where there is none.

    Looked at for each call, and read again when it was put there anew (as a whole, see `Stage.permit`).
    """

    def __init__(self, stage: Path) -> None:
        self._folder = stage / FOLDER
        self._seen: tuple[int, int] | None = None
        self._held = Permissions()

    def now(self) -> Permissions:
        try:
            found = self._folder.stat()
        except FileNotFoundError:
            self._seen, self._held = None, Permissions()
            return self._held
        seen = (found.st_ino, found.st_mtime_ns)
        if seen != self._seen:
            self._held, self._seen = read(self._folder), seen
        return self._held


def _grants(role: Mapping[str, Any], need: Need) -> bool:
    allowed, taken = ("DataActions", "NotDataActions") if need.is_data else ("Actions", "NotActions")
    is_here = any(f"{need.resource}/".lower().startswith(f"{scope}/".lower()) for scope in role["AssignableScopes"])
    return is_here and _is_any(need.action, role.get(allowed, ())) and not _is_any(need.action, role.get(taken, ()))


def _covers(statement: Mapping[str, Any], need: Need) -> bool:
    return (
        _is_any(need.action, _list(statement["Action"]))
        and any(_is_like(need.resource, pattern) for pattern in _list(statement["Resource"]))
        and all(
            _holds(operator, key, wanted, need.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: Any, context: Mapping[str, str]) -> bool:
    """A key that the request does not have meets no condition; names of keys know no case, tags' names do."""
    value = next((told for name, told in context.items() if name.lower() == key.lower()), None)
    if value is None:
        return False
    has_wildcards = _OPERATORS[operator]
    return any(_is_like(value, each) if has_wildcards else value == each for each in _list(wanted))


def _refuse_what_is_not_known(statement: Mapping[str, Any]) -> None:
    strange = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    strange |= set(statement.get("Condition", {})) - set(_OPERATORS)
    if strange or statement["Effect"] != "Allow":
        raise ValueError(f"this stage can't judge {', '.join(sorted(strange)) or statement['Effect']}")


def _is_any(action: str, patterns: Iterable[str]) -> bool:
    return any(_is_like(action.lower(), pattern.lower()) for pattern in patterns)


def _is_like(text: str, pattern: str) -> bool:
    words = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(words, text, re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
