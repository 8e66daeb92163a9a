"""Resource ids taken apart: /subscriptions/S/resourceGroups/G/providers/NS/type/name/type/name…"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCOPE = re.compile(r"/subscriptions/(?P<subscription>[^/]+)(/resourcegroups/(?P<group>[^/]+))?", re.IGNORECASE)
_PROVIDERS = re.compile(r"/providers/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A resource, or a collection or action under one (then there is one more type than names).

    `scope` is what stands before the last `/providers/`: a group, a subscription, or the resource it extends.
    """

    scope: str
    subscription: str
    group: str | None
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, path: str) -> ResourceId | None:
        *before, provider = _PROVIDERS.split(path)
        where = _SCOPE.match(path)
        namespace, *rest = provider.split("/")
        if not before or not where or not rest:
            return None
        scope = "/providers/".join(before)
        group = where["group"]
        return cls(scope, where["subscription"], group, namespace, tuple(rest[0::2]), tuple(rest[1::2]))

    @property
    def type(self) -> str:
        return "/".join((self.namespace, *self.types))

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def is_resource(self) -> bool:
        return len(self.types) == len(self.names)

    @property
    def is_child(self) -> bool:
        return len(self.types) > 1

    @property
    def is_extension(self) -> bool:
        return bool(_PROVIDERS.search(self.scope))

    @property
    def path(self) -> str:
        pairs = [part for pair in zip(self.types, (*self.names, ""), strict=False) for part in pair if part]
        return "/".join(
            (self.scope.replace("/resourcegroups/", "/resourceGroups/"), "providers", self.namespace, *pairs)
        )

    @property
    def key(self) -> str:
        return self.path.lower()

    @property
    def parent(self) -> ResourceId:
        """The resource that holds this child, collection or action."""
        count = len(self.types) - 1
        return ResourceId(
            self.scope, self.subscription, self.group, self.namespace, self.types[:count], self.names[:count]
        )


def group_key(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourcegroups/{group}".lower()


def type_of(key: str) -> str:
    """The lower-case type of a resource by its key; that of a resource group when there is no provider in it."""
    found = ResourceId.parse(key)
    return found.type.lower() if found else "microsoft.resources/resourcegroups"
