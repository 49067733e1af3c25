"""Where the system lacks what Linux has, as Windows does: what can work works, the rest is refused in one line."""

from __future__ import annotations

import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import mergealgebra

ROOT = Path(__file__).parents[2]

#: Other packages first; then the pretence, and ours.
BEGIN = """
import json, runpy, shutil, subprocess, sys, tempfile
import array_api_compat, click, hypothesis, ml_dtypes, msgpack, numpy as np, rich.progress, yaml
import array_api_compat.numpy
from tests import windows
windows.pretend()
import mergealgebra as ma

def told(work):
    try:
        return work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

one, two = {"w": np.float32([0, 0])}, {"w": np.float32([1, -2])}
"""


def in_pretence(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process that lacks what Windows lacks."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", BEGIN + code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def there(code: str, cwd: Path) -> object:
    """The value of an expression in such a process; a refusal as `CLASS: MESSAGE`."""
    done = in_pretence(f"print(json.dumps(told(lambda: {code})))", cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def all_there(cases: Mapping[str, tuple[str, object]], cwd: Path) -> dict[str, object]:
    """The values of the expressions of some cases, by name, one after the other in one such process."""
    lines = ", ".join(f"{name!r}: told(lambda: {code})" for name, (code, _) in cases.items())
    return dict(there(f"{{{lines}}}", cwd))


#: What works, and what it gives.
WORKS = {
    "a merge in memory": ("ma.merge(one, [two], ma.Ties())['w'].tolist()", [1.0, -2.0]),
    "in a dialect": ("ma.merge(one, [two], ma.Ties(dialect='mergekit-0.1.5'))['w'].tolist()", [1.0, -2.0]),
    "the difference of files": (
        "sorted(ma.TaskVector.between('base', 'ft0.safetensors'))",
        ["embed.weight", "layer.0.bias", "layer.0.weight", "norm.scale", "spare"],
    ),
    "an aggregate": (
        "ma.Aggregate.lift(ma.Mean(), 'a', two).finalize()['w'].tolist()",
        [1.0, -2.0],
    ),
    "verify": ("ma.verify('merged').ok", True),
}


@pytest.mark.clause("CL-7")
def test_what_needs_no_folder_works(scene):
    assert all_there(WORKS, scene) == {name: expected for name, (_, expected) in WORKS.items()}


#: Modules of ours that need another package, or run in a process of their own alone.
_ELSEWHERE = ("adapters", "fused", "gpu", "http_server", "supervisor", "__main__")


def test_every_module_can_be_imported(tmp_path):
    names = [module.name for module in pkgutil.walk_packages(mergealgebra.__path__, "mergealgebra.")]
    names = [name for name in names if not any(part in name for part in _ELSEWHERE)]
    assert len(names) > 100
    assert there(f"[__import__(name).__name__ for name in {names!r}][0]", tmp_path) == "mergealgebra"


FOLDERS = "this system cannot hold a folder open, so a link could lead a write elsewhere"

#: What needs a folder that stays the one it was, a private one, or a process that ends all that it started.
REFUSED = {
    "open": ("ma.Workspace.open('alice')", f"SystemLacks: .*alice: {FOLDERS}.*On Windows, use WSL2"),
    "init": ("ma.Workspace.init('new', base='base', recipe=ma.Ties())", f"SystemLacks: .*new: {FOLDERS}"),
    "clone": ("ma.Workspace.clone('shared', 'new', base='base')", f"SystemLacks: .*shared: {FOLDERS}"),
    "verify against a workspace": ("ma.verify('merged', against='alice')", f"SystemLacks: .*alice: {FOLDERS}"),
    "Numba": ("ma.merge(one, [two], ma.Mean(), backend='numba')", "BackendError: .*use 'numpy', or WSL2"),
    "programs of others": (
        "__import__('mergealgebra.children.process').children.process.Stranger(['x'], {}, apart=False)",
        "ChildFailed: programs of others are run by a supervisor .*WSL2",
    ),
}


@pytest.mark.clause("CL-7")
def test_what_cannot_be_done_safely_is_refused_in_one_line(scene):
    before = sorted(path.name for path in scene.rglob("*"))
    for name, found in all_there(REFUSED, scene).items():
        assert re.fullmatch(f"{REFUSED[name][1]}.*", str(found)), name
    assert sorted(path.name for path in scene.rglob("*")) == before


#: Command lines there, and how the one line on standard error ends; where there is none, the command works.
LINES = {
    "--version": None,
    "verify merged": None,
    "-C alice status": "`ma.verify` work",
    "-C new init --base base": "`ma.verify` work",
    "-C alice contribute ft2.safetensors": "`ma.verify` work",
    "merge merge.yaml out": "`ma.verify` work",
    "warmup": "use 'numpy', or WSL2",
}


@pytest.mark.clause("CL-1", "CL-7")
@pytest.mark.parametrize(("line", "ending"), LINES.items(), ids=LINES)
def test_each_verb_works_or_says_so_in_one_line(line, ending, scene):
    command = f"sys.argv = ['mergealgebra', *{line.split()!r}]; from mergealgebra.__main__ import main; main()"
    done = in_pretence(command, scene)
    assert done.returncode == (0 if ending is None else 1)
    if ending is not None:
        (said,) = done.stderr.splitlines()
        assert said.startswith("mergealgebra: ")
        assert said.endswith(ending)
