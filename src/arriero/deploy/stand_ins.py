"""Name-only stand-ins for the Azure SDKs that are not installed.

`azure_rm_common` of azure.azcollection imports all SDKs in one block or counts none as there: 37 packages and 1.3 GB
for the dozen that are used. So each missing package gets a module that holds the imported names and nothing else. The
folder is last on `sys.path`: a real SDK, once installed, wins. The collection itself stays byte-identical.
"""

from __future__ import annotations

import ast
import shutil
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

PATH_FILE = "zz_arriero_azure_stand_ins.pth"
_IMPORTER = "ansible_collections/azure/azcollection/plugins/module_utils/azure_rm_common.py"
_FOREIGN = ("azure", "kiota", "msgraph")


def folder(prefix: Path) -> Path:
    return prefix / "share/arriero/azure-stand-ins"


def write(collections: Path, prefix: Path) -> tuple[str, ...]:
    """Writes a stand-in for every missing module, and the `.pth` that finds them; returns the modules' names."""
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(prefix), "platbase": str(prefix)}))
    wanted = imported_names((collections / _IMPORTER).read_text())
    # Without the Azure extra nothing may look as if it were there.
    has_azure = is_there("azure.core", site_packages)
    lacking = {m: names for m, names in wanted.items() if has_azure and not is_there(m, site_packages)}
    where = folder(prefix)
    with tempfile.TemporaryDirectory(prefix=".stand-ins-", dir=where.parent) as name:
        fresh = Path(name) / "fresh"
        fresh.mkdir()
        for module, names in lacking.items():
            _write_module(fresh, module, names)
        if where.exists():
            where.rename(Path(name) / "former")
        fresh.rename(where)
    site_packages.mkdir(parents=True, exist_ok=True)
    (site_packages / PATH_FILE).write_text(f"{where}\n")
    return tuple(sorted(lacking))


def remove(prefix: Path) -> None:
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(prefix), "platbase": str(prefix)}))
    (site_packages / PATH_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder(prefix), ignore_errors=True)


def imported_names(source: str) -> Mapping[str, frozenset[str]]:
    """The SDK modules that `source` imports anywhere, with the names it takes from each."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, set()).update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name, set())
    return {
        module: frozenset(names) for module, names in found.items() if module.split("_")[0].split(".")[0] in _FOREIGN
    }


def is_there(module: str, site_packages: Path) -> bool:
    """Whether a real package holds the module; looked up on disk, since importing an SDK costs seconds."""
    path = site_packages.joinpath(*module.split("."))
    return (path / "__init__.py").is_file() or path.with_suffix(".py").is_file()


def _write_module(root: Path, module: str, names: frozenset[str]) -> None:
    package = root.joinpath(*module.split("."))
    package.mkdir(parents=True, exist_ok=True)
    text = [f'"""Holds the names that azure.azcollection imports from {module}, and nothing behind them."""\n']
    text += [_stand_in(module, name) for name in sorted(names)]
    (package / "__init__.py").write_text("\n".join(text))


def _stand_in(module: str, name: str) -> str:
    return (
        f"\nclass {name}:\n    def __init__(self, *_args, **_kwargs):\n"
        f'        raise ImportError("{module} is not installed: this is a stand-in for its name")\n'
    )
