"""Files and functions stay small: the limits of the style, with the five worst printed. Test files have names of their
own: pytest imports one of two of a name, and leaves the other out.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE_LINES, FUNCTION_LINES = 400, 50


def sources() -> list[Path]:
    return [p for top in ("src", "tests", "benchmarks") for p in sorted((ROOT / top).rglob("*.py"))]


def functions(path: Path) -> list[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [((n.end_lineno or n.lineno) - n.lineno + 1, f"{path.relative_to(ROOT)}:{n.lineno} {n.name}") for n in found]


def test_no_file_is_too_long() -> None:
    sizes = sorted(((len(p.read_text().splitlines()), str(p.relative_to(ROOT))) for p in sources()), reverse=True)
    print(*sizes[:5], sep="\n")
    assert [row for row in sizes if row[0] > FILE_LINES] == []


def test_no_function_is_too_long() -> None:
    sizes = sorted((row for p in sources() for row in functions(p)), reverse=True)
    print(*sizes[:5], sep="\n")
    assert [row for row in sizes if row[0] > FUNCTION_LINES] == []


def test_no_two_test_files_have_one_name() -> None:
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
