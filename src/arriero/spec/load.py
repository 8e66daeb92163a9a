"""From files to a Spec: read, merge, fill in secrets, check. Every problem is found before anything is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from arriero.catalog import prices as price_file
from arriero.catalog.prices import Prices
from arriero.errors import Problem, SpecError
from arriero.secret import Secret
from arriero.spec.check import check
from arriero.spec.document import MAX_DEPTH, Items, KeyPath, Node, Place, Scalar, Table, dotted, read, walk
from arriero.spec.explain import explain
from arriero.spec.machine import own_addresses
from arriero.spec.model import Spec
from arriero.spec.overlay import merged
from arriero.spec.suggest import suggest

FILE = "arriero.yaml"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# What stands in for a required key that is missing, so that the rest of the file can still be checked.
_STAND_INS: Mapping[str, Any] = {
    "name": "unnamed",
    "image": "unnamed",
    "models": ("unnamed",),
    "sites": {"unnamed": {"cloud": "local", "hosts": ("127.0.0.1",)}},
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked spec, and where each of its written values stands: `sites.aws-east.region` -> Place.

    `prices` are the catalog's, and over them those of the file `arriero.prices.json` beside the spec, if there is one.
    """

    spec: Spec
    path: Path
    origins: Mapping[str, Place]
    prices: Prices = price_file.BUILT_IN

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The problems, each with the line where its key stands, or else the nearest section around that."""
        return tuple(self._placed(problem) for problem in problems)

    def _placed(self, problem: Problem) -> Problem:
        key = problem.key
        while key and key not in self.origins:
            key = _above(key)
        place = self.origins.get(key)
        return replace(problem, file=place.file, line=place.line) if place else problem


def find(path: Path | None, start: Path) -> Path:
    """The file that was named, or else arriero.yaml in `start` or the nearest folder above; else SpecError."""
    if path is not None:
        return path
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
    remedy = "make one with: arriero init, or name one with -f"
    raise SpecError(Problem(f"there is no {FILE} here or above", remedy, file=_display(start)))


def load(path: Path, overlay: str | None, environment: Mapping[str, str]) -> Loaded:
    """The checked spec of a file, with an overlay over it; raises SpecError with every problem, by file and line."""
    problems: list[Problem] = []
    tree = read(path, _display(path), "file", problems)
    if overlay is not None:
        over = _overlay_path(path, overlay)
        tree = merged(tree, read(over, _display(over), "overlay", problems), problems)
    prices = load_prices(path)
    return replace(_Loading(path, _with_names(tree), problems, environment).loaded(), prices=prices)


def load_prices(spec: Path) -> Prices:
    """The prices that plans beside that spec go by; raises SpecError where the user's file can't be used."""
    path = spec.with_name(price_file.FILE)
    remedy = "correct it, or write it anew: arriero prices update --from FILE"
    try:
        return price_file.parse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return price_file.BUILT_IN
    except OSError as error:
        what = f"can't be read: {error.strerror or error}"
        raise SpecError(Problem(what, "check its permissions", file=_display(path))) from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise SpecError(Problem("is not JSON", remedy, file=_display(path), line=line)) from None
    except ValueError as error:
        key, _, rest = str(error).partition(": ")
        what, _, better = rest.partition("; ")
        raise SpecError(Problem(what, better or remedy, key, _display(path))) from None


def _display(path: Path) -> str:
    """The path as a user would write it here."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except ValueError:
        return str(path)


def _overlay_path(path: Path, overlay: str) -> Path:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", overlay):
        over = path.with_name(f"{path.stem}.{overlay}{path.suffix}")
        if over.exists():
            return over
    there = sorted(other.name for other in path.parent.glob(f"{path.stem}.?*{path.suffix}"))
    names = [name[len(path.stem) + 1 : -len(path.suffix)] for name in there]
    remedy = suggest(overlay, names) or f"write {_display(path.with_name(f'{path.stem}.NAME{path.suffix}'))}"
    raise SpecError(Problem(f"there is no overlay {overlay[:40]!r}", remedy, file=_display(path)))


def _with_names(tree: Table) -> Table:
    """The tree with `models: [llama2]` written out as `models: [{name: llama2}]`."""
    models = tree.entries.get("models")
    if not isinstance(models, Items):
        return tree
    items = tuple(
        Table(item.place, {"name": item}) if isinstance(item, Scalar) and item.value is not None else item
        for item in models.items
    )
    return Table(tree.place, {**tree.entries, "models": Items(models.place, items)})


class _Loading:
    """One file on its way to being a Spec, with the problems found so far."""

    def __init__(self, path: Path, tree: Table, problems: list[Problem], environment: Mapping[str, str]) -> None:
        self._path, self._problems, self._environment = path, problems, environment
        self._nodes: dict[KeyPath, Node] = dict(walk(tree))
        self._tree = tree

    def loaded(self) -> Loaded:
        plain = self._plain(self._tree, ())
        plain["secrets"] = self._secrets()
        self._refuse_references()
        spec = self._validated(plain)
        # A list first: what is new is judged by the problems found before the rules, not by other rules' problems.
        self._problems += [self._placed(problem) for problem in check(spec, own_addresses) if self._is_new(problem)]
        if self._problems:
            raise SpecError(sorted(self._problems, key=self._order))
        places = {dotted(path): node.place for path, node in self._nodes.items() if path}
        return Loaded(spec, self._path, MappingProxyType(places))

    def _validated(self, plain: dict[str, Any]) -> Spec:
        """The Spec; what is wrong is noted and left out, so that the rest can still be checked."""
        try:
            return Spec.model_validate(plain)
        except ValidationError as error:
            errors = _errors(error)
        known = {problem.key for problem in self._problems}
        explained = map(explain, errors)
        self._problems += [self._problem(*item) for item in explained if dotted(item[0]) not in known]
        for _ in range(MAX_DEPTH):
            plain = _salvaged(plain, errors)
            try:
                return Spec.model_validate(plain)
            except ValidationError as error:
                errors = _errors(error)
        raise SpecError(sorted(self._problems, key=self._order))

    def _secrets(self) -> dict[str, Secret] | object:
        """The named secrets with their values from the environment; no value of a secret is ever in a message."""
        section = self._tree.entries.get("secrets")
        if not isinstance(section, Table):
            return section.value if isinstance(section, Scalar) else () if section else {}
        found: dict[str, Secret] = {}
        for name, node in section.entries.items():
            value = node.value if isinstance(node, Scalar) else None
            match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if not match:
                remedy = f"write it like {name[:40]}: ${{{_variable(name)}}}"
                self._note(
                    ("secrets", name), "a secret comes from an environment variable and stands in no file", remedy
                )
            elif not self._environment.get(match[1]):
                remedy = f"set it before you run arriero: export {match[1]}=…"
                self._note(("secrets", name), f"the variable {match[1]} is not set", remedy)
            else:
                found[name] = Secret(self._environment[match[1]])
        return found

    def _refuse_references(self) -> None:
        for path, node in self._nodes.items():
            if isinstance(node, Scalar) and isinstance(node.value, str) and "${" in node.value and path[0] != "secrets":
                self._note(path, "${…} is read under secrets only", "write the value itself here")

    def _plain(self, node: Node, path: KeyPath) -> Any:
        if isinstance(node, Table):
            return {key: self._plain(child, (*path, key)) for key, child in node.entries.items()}
        return tuple(self._plain(item, path) for item in node.items) if isinstance(node, Items) else node.value

    def _note(self, path: KeyPath, what: str, remedy: str) -> None:
        self._problems.append(self._problem(path, what, remedy))

    def _problem(self, path: KeyPath, what: str, remedy: str) -> Problem:
        place = self._nearest(path)
        return Problem(what, remedy, dotted(path), place.file or self._tree.place.file, place.line)

    def _nearest(self, path: KeyPath) -> Place:
        """Where the value stands, or else the innermost section around it."""
        while path and path not in self._nodes:
            path = path[:-1]
        return self._nodes[path].place

    def _placed(self, problem: Problem) -> Problem:
        by_key = {dotted(path): path for path in self._nodes}
        key = problem.key
        while key and key not in by_key:
            key = _above(key)
        place = self._nodes[by_key.get(key, ())].place
        return Problem(problem.what, problem.remedy, problem.key, place.file, place.line)

    def _is_new(self, problem: Problem) -> bool:
        """Whether a rule's problem isn't only the echo of a value that was left out above."""
        section = _section(problem.key)
        broken = (_section(known.key) for known in self._problems if known.key)
        return not any(section[: len(other)] == other[: len(section)] for other in broken)

    def _order(self, problem: Problem) -> tuple[bool, str, int, str]:
        """The base file first, then the overlay; in each by line."""
        return problem.file != self._tree.place.file, problem.file, problem.line or 0, problem.key


def _above(key: str) -> str:
    """The section around a key: `sites.office` for `sites.office.hosts`; empty at the top."""
    return re.sub(r"(\.[^.\[]*|\[\d+\]|^[^.\[]*)$", "", key)


def _section(key: str) -> tuple[str, ...]:
    """`sites.office.hosts[0]` is in the section (sites, office); `size.cpu` in (size,)."""
    parts = tuple(re.split(r"[.\[]", key))
    return parts[:2] if parts[0] == "sites" else parts[:1]


def _errors(error: ValidationError) -> list[Mapping[str, Any]]:
    """pydantic's errors but one: it calls a list too short whose items are there, only wrong."""
    found = error.errors(include_url=False)
    return [item for item in found if item["type"] != "too_short" or not item["input"]]


def _salvaged(plain: dict[str, Any], errors: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A copy without what is wrong, or without the section that lacks something; stand-ins where something must be."""
    gone = {explain(item)[0][: -1 if item["type"] == "missing" else None] for item in errors}
    kept = _without(plain, (), gone - {()})
    return {**_STAND_INS, **{key: value for key, value in kept.items() if key not in _STAND_INS or value}}


def _without(value: Any, path: KeyPath, gone: Collection[KeyPath]) -> Any:
    if isinstance(value, dict):
        children = ((key, (*path, key)) for key in value)
        return {key: _without(value[key], below, gone) for key, below in children if below not in gone}
    if isinstance(value, tuple):
        return tuple(_without(item, (*path, i), gone) for i, item in enumerate(value) if (*path, i) not in gone)
    return value


def _variable(name: str) -> str:
    """The variable that a secret's name suggests."""
    return re.sub(r"\W", "_", name, flags=re.ASCII).upper()[:40] or "NAME"
