"""What a Terraform provider takes, read from its bindings for Python without importing them.

The bindings are generated from the provider's own schema. A class's constructor has a parameter for each argument and
nested block, without a default where it is required, and its docstring names each as Terraform does.
"""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv/terraform"
# Meta-arguments, which every resource takes.
OF_TERRAFORM = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}
_NAMED = re.compile(r":param (\w+): .*?docs/(?:(?:ephemeral-)?resources|data-sources)/\w+#(\w+) ")


@dataclass(frozen=True)
class Body:
    """The arguments of a resource or of a block in it; `inner` are the blocks that have a body of their own."""

    arguments: frozenset[str]
    required: frozenset[str]
    inner: Mapping[str, Body]


# Terraform's own (https://developer.hashicorp.com/terraform/language/resources/terraform-data).
BUILT_IN = {"terraform_data": Body(frozenset(("input", "triggers_replace")), frozenset(), {})}


def wheel(provider: str) -> Path | None:
    """HashiCorp's own, or those of the project that went on with them (azapi)."""
    return next(FOLDER.glob(f"cdkt*_provider_{provider}-*.whl"), None)


def version(provider: str) -> str:
    """The provider's version that the bindings were made from."""
    with zipfile.ZipFile(str(wheel(provider))) as archive:
        name = next(each for each in archive.namelist() if each.endswith("METADATA"))
        found = re.search(r"provider version ([\d.]+)", archive.read(name).decode())
    assert found
    return found[1]


def schema(resource: str, kind: str = "resource") -> Body | None:
    """The schema of a resource type like `aws_vpc`, of an ephemeral one, or of data; None where its provider has none
    such.
    """
    if resource in BUILT_IN:
        return BUILT_IN[resource]
    provider, _, name = resource.partition("_")
    folder, of = {
        "resource": (name, "resources"),
        "ephemeral": (f"ephemeral_{resource}", "ephemeral-resources"),
        "data": (f"data_{resource}", "data-sources"),
    }[kind]
    with zipfile.ZipFile(str(wheel(provider))) as archive:
        path = f"{Path(archive.filename or '').name.partition('-')[0]}/{folder}/__init__.py"
        if path not in archive.namelist():
            return None
        tree = ast.parse(archive.read(path))
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    of_type = re.compile(rf"Represents a {{@link \S+/{of}/{name} {resource}}}\.")
    top = next(each for each in classes.values() if of_type.match(ast.get_docstring(each) or ""))
    return _body(top, classes)


def _body(of: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Body:
    made = next(each for each in of.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    named = dict(_NAMED.findall(ast.get_docstring(made) or ""))
    parameters = list(zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True))
    unread = [p.arg for p, default in parameters if default is None and p.arg not in named]
    assert not unread, f"{of.name}: the bindings do not name {unread}"
    known = [(named[p.arg], default, p) for p, default in parameters if p.arg in named]
    inner = {
        name: _body(classes[match[1]], classes)
        for name, _, p in known
        if (match := re.search(r"'(\w+)', typing.Dict", ast.unparse(p.annotation) if p.annotation else ""))
        and match[1] in classes
    }
    return Body(
        frozenset(name for name, _, _ in known),
        frozenset(name for name, default, _ in known if default is None),
        inner,
    )
