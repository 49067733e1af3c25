"""What is loaded when, and who may import whom (design: quick start, one direction)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mergealgebra
from tests.cli.commands import call

ROOT = Path(__file__).parents[2]

#: And what only signed workspaces need.
ARRAYS = {"numpy", "ml_dtypes", "torch", "array_api_compat", "cryptography"}

#: What a user asks for, in a fresh process, and which packages it must not load.
LIGHT = {
    "import mergealgebra": ("import mergealgebra", ARRAYS | {"click", "yaml", "rich"}),
    "the root of all errors": ("from mergealgebra import MergeAlgebraError", ARRAYS | {"click", "yaml", "rich"}),
    "a recipe": ("from mergealgebra import Ties; Ties(density='0.2')", ARRAYS | {"click", "yaml", "rich"}),
    "a workspace": ("from mergealgebra import Workspace", ARRAYS | {"click", "yaml", "rich"}),
    "dir": ("import mergealgebra; dir(mergealgebra)", ARRAYS | {"click"}),
    "--help": ("import sys; sys.argv = ['mergealgebra', '--help']", ARRAYS | {"yaml", "rich"}),
    "--version": ("import sys; sys.argv = ['mergealgebra', '--version']", ARRAYS | {"yaml", "rich"}),
    "merge --help": ("import sys; sys.argv = ['mergealgebra', 'merge', '--help']", ARRAYS | {"yaml"}),
    "resolve without OUT": ("import sys; sys.argv = ['mergealgebra', 'resolve']", ARRAYS | {"yaml"}),
}


#: Verbs that look at a workspace or take something back, which nobody should wait for; XXXX begins a contribution's id.
QUICK = {
    "status": "status",
    "status --json": "status --json",
    "log": "log",
    "retract": "retract XXXX",
    "set-name": "set-name Alice",
}
#: Layers that those verbs have nothing to do with.
SLOW = {f"mergealgebra.{layer}" for layer in ("algebra.arrays", "engine.plan", "kernels", "resolve", "tensors.dtypes")}


def _loaded(code, cwd=None):
    """The top-level packages that a fresh process has loaded in the end; with sys.argv set, the command line ran."""
    return {name.split(".")[0] for name in _modules(code, cwd)}


def _modules(code, cwd=None):
    """All modules that it has loaded, and `exited N` if the command line ended with N."""
    script = f"""\
import contextlib, io, json, sys
before = list(sys.argv)
{code}
if sys.argv != before:
    from mergealgebra.cli import main
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as ended:
            sys.modules[f"exited {{ended.code}}"] = sys
print(json.dumps(list(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(("code", "heavy"), LIGHT.values(), ids=LIGHT)
def test_what_is_not_needed_is_not_loaded(code, heavy):
    loaded = _loaded(code)
    assert "mergealgebra" in loaded
    assert not loaded & heavy


@pytest.mark.parametrize("line", QUICK.values(), ids=QUICK)
def test_verbs_that_touch_no_tensor_load_no_arrays(line, scene):
    (first, *_) = call(scene, "-C", "alice", "status", "--json").printed()["visible"]
    arguments = ["mergealgebra", "-C", "alice", *line.replace("XXXX", first["contribution"][:12]).split()]
    modules = _modules(f"import sys; sys.argv = {arguments!r}", scene)
    assert "exited 0" in modules
    assert "mergealgebra.workspace" in modules
    assert not {name.split(".")[0] for name in modules} & (ARRAYS | {"yaml", "rich"})
    assert not modules & SLOW


def test_this_test_can_fail():
    assert "numpy" in _loaded("import mergealgebra; mergealgebra.merge")
    assert "yaml" in _loaded("import mergealgebra.recipe_file")
    assert "click" in _loaded("import sys; sys.argv = ['mergealgebra', '--help']")
    assert "pydantic" in _loaded("import mergealgebra.formats.adapters.peft")


def test_a_merge_loads_what_it_needs_and_no_more(scene):
    (scene / "merge.yaml").write_text("method: sce\nbase: base\nmodels:\n- path: ft0.safetensors\n")
    modules = _modules("import sys; sys.argv = ['mergealgebra', 'merge', 'merge.yaml', 'out']", scene)
    assert {"exited 0", "mergealgebra.methods.sce"} <= modules
    unneeded = {"mergealgebra.methods.slerp", "mergealgebra.methods.della", "importlib.metadata", "numba", "torch"}
    assert not modules & unneeded
    assert "pydantic" not in modules, "it takes a tenth of a second, and only adapters need it"


def test_a_merge_without_torch_loads_no_torch():
    loaded = _loaded(
        "import mergealgebra as ma, numpy as np; one = {'w': np.ones(2, 'f4')}; ma.merge(one, [one], ma.Mean())"
    )
    assert "numpy" in loaded
    assert "torch" not in loaded


@pytest.mark.parametrize("name", mergealgebra.__all__)
def test_every_public_name_is_there_and_described(name):
    assert name in dir(mergealgebra)
    assert getattr(mergealgebra, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tensor'"):
        _ = mergealgebra.tensor


def _contract_holds(root):
    """Run import-linter over a copy of the package. Returns whether all contracts hold, and what it said."""
    lint = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if lint is None:
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [lint, "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def package(tmp_path):
    """A copy of the package and of its contract."""
    copied = shutil.copytree(
        ROOT / "mergealgebra", tmp_path / "mergealgebra", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return copied


def test_modules_import_only_from_the_groups_to_their_right(package):
    holds, said = _contract_holds(package.parent)
    assert holds, said


#: A module, and one that it must not import.
VIOLATIONS = {
    "the algebra imports the command line": ("algebra/ties.py", "mergealgebra.cli"),
    "the engine imports the store": ("engine/run.py", "mergealgebra.store.objects"),
    "the engine imports the operation set": ("engine/run.py", "mergealgebra.crdt.manifest"),
    "the operation set imports tensors": ("crdt/orset.py", "mergealgebra.tensors.dtypes"),
    "resolve imports the store": ("resolve.py", "mergealgebra.store.objects"),
    "an error imports encodings": ("errors.py", "mergealgebra.encoding"),
    "inside a function, too": ("algebra/exact.py", "mergealgebra.recipe"),
}


@pytest.mark.parametrize(("module", "forbidden"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_planted_violation_is_found(module, forbidden, package):
    with (package / module).open("a") as file:
        file.write(f"\n\ndef planted() -> None:\n    import {forbidden}\n")
    holds, said = _contract_holds(package.parent)
    assert not holds, said
    assert forbidden in said


def test_the_contract_names_every_module():
    contract, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = {name.strip().removeprefix("mergealgebra.") for line in contract["layers"] for name in line.split("|")}
    present = {
        path.stem
        for path in (ROOT / "mergealgebra").iterdir()
        if (path.suffix == ".py" or path.is_dir()) and not path.name.startswith("__")
    }
    assert {name.split(".")[0] for name in listed} == present
