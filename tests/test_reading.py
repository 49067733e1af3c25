"""One bounded reader: nothing else opens a file to read it, so nothing waits for a pipe or reads for ever."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mergealgebra

PACKAGE = Path(mergealgebra.__file__).parent

#: The calls that open or read a file.
READERS = {"open", "read_text", "read_bytes", "fromfile", "memmap"}

#: What the modules that may do so call, and why.
EXCEPTIONS = {
    "disk.py": {"os.open"},  # the reader itself
    "__main__.py": {"open", "os.open"},  # /dev/null, in place of a stream that is closed
    "cli/__init__.py": {"os.open"},  # the same
    "children/removal.py": {"os.open"},  # folders
    "kernels/machine_code.py": {"os.open"},  # a new file, to write
    "tensors/files.py": {"open"},  # with the reader as its opener
    "store/atomic.py": {"os.open"},  # a new file, to write
    "store/runs.py": {"os.open"},  # the same
    "key_files.py": {"os.open"},  # the same
    "store/partial_blob.py": {"os.open"},  # the file of a blob in the making, opened within its folder
    "model_folder/unfinished.py": {"os.open"},  # the same
    "incremental/folder.py": {"os.open"},  # the same
    "cli/convert.py": {".open"},  # a new file, to write
    "formats/adapters/extraction.py": {".open"},  # the same
    "publication.py": {".open"},  # what is offered, which the reader opens
    "children/supervisor.py": {"open", "os.open"},  # files of /proc, and /dev/null
}

#: Modules for other interpreters, which do not import this package.
ELSEWHERE = "targets/adapters/"


def readers_in(tree: ast.AST) -> set[str]:
    """What is called to read a file. `Checkpoint.open` and the like are ours."""
    called = (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))
    parts = ((text, *text.rpartition(".")[::2]) for text in called)
    return {
        text if owner in ("", "os") else f".{name}"
        for text, owner, name in parts
        if name in READERS and not owner[:1].isupper() and owner not in ("cls", "super()", "self")
    }


@pytest.mark.clause("SY-10")
def test_files_are_read_in_one_place():
    found = {}
    for source in PACKAGE.rglob("*.py"):
        name = source.relative_to(PACKAGE).as_posix()
        if not name.startswith(ELSEWHERE) and (calls := readers_in(ast.parse(source.read_text()))):
            found[name] = calls
    assert found == EXCEPTIONS


@pytest.mark.parametrize(
    "code",
    ["open(p)", "p.open('rb')", "p.read_text()", "os.open(p, os.O_RDONLY)", "np.memmap(p)", "io.open(p)"],
)
def test_the_test_sees_what_reads(code):
    assert readers_in(ast.parse(code))
