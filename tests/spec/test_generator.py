"""The generator of the vectors stands on the standard library alone, and the files are what it writes."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
SOURCES = sorted([VECTORS / "generate.py", *(VECTORS / "generator").rglob("*.py")])
ALLOWED = sys.stdlib_module_names | {"generator"}


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level modules that a source imports; a relative import is its own package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.Name) and node.id == "__import__":
            yield node.id


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(VECTORS).as_posix())
def test_imports_the_standard_library_only(source: Path) -> None:
    assert set(imported(ast.parse(source.read_text("utf-8")))) <= ALLOWED


@pytest.mark.parametrize("text", ["import numpy", "from mergealgebra.algebra import trim", "x = __import__('msgpack')"])
def test_the_check_of_imports_can_fail(text: str) -> None:
    assert not set(imported(ast.parse(text))) <= ALLOWED


def check() -> subprocess.CompletedProcess[str]:
    """Without `site`: no installed package can be found."""
    command = [sys.executable, "-S", "-E", str(VECTORS / "generate.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_committed_files_are_what_it_writes() -> None:
    done = check()
    assert done.returncode == 0, done.stderr


def test_ids_are_unique_over_all_files() -> None:
    files = sorted(VECTORS.glob("*.json"))
    ids = [case["id"] for path in files for case in json.loads(path.read_text("utf-8"))["cases"]]
    assert len(ids) == len(set(ids))


def test_readme_counts_the_cases() -> None:
    rows = re.findall(r"^\| \[(\w+\.json)\]\(\1\) \| (\d+) \|", (VECTORS / "README.md").read_text("utf-8"), re.M)
    counts = {path.name: len(json.loads(path.read_text("utf-8"))["cases"]) for path in VECTORS.glob("*.json")}
    assert {name: int(count) for name, count in rows} == counts
