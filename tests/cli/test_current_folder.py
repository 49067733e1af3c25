"""What lies in the current folder is data: no module of it runs, whatever its name, in no process of any verb."""

from __future__ import annotations

import ast
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mergealgebra
from mergealgebra.cli import VERBS
from tests.cli import scene as scenes
from tests.cli.commands import call, console_script, without_python_path

PACKAGE = Path(mergealgebra.__file__).parent

#: What is imported by us, by what we import, or for plug-ins; modules and packages.
MODULES = [
    *("json", "tempfile", "contextlib", "pathlib", "typing", "dataclasses", "random", "enum", "ctypes", "select"),
    *("signal", "subprocess", "threading", "secrets", "selectors", "resource", "shlex", "shutil", "logging"),
    *("warnings", "numpy", "yaml", "msgpack", "click", "rich", "torch", "hypothesis", "xxhash"),
    *("ml_dtypes", "array_api_compat", "numba", "llvmlite", "triton", "safetensors", "mergekit", "peft", "cffi"),
    *("cryptography", "bcrypt", "base64", "getpass"),
    *("scipy", "sortedcontainers", "psutil", "setuptools", "tests"),
]

#: Of these Python itself imports one at its start, from a PYTHONPATH that names the current folder.
PYTHONS_OWN = ["sitecustomize", "usercustomize"]


@pytest.fixture(scope="module")
def hostile_scene(original_scene, tmp_path_factory):
    """A copy of the scene with hostile modules in a workspace, a shared folder and a model folder."""
    root = shutil.copytree(original_scene, tmp_path_factory.mktemp("hostile") / "scene", symlinks=True)
    scenes.move_in(root)
    (root / "mergekit.yml").write_text("merge_method: linear\nmodels: [{model: base, parameters: {weight: 1}}]\n")
    (root / "ran").mkdir()
    for folder in ("alice", "shared", "merged"):
        for name in [*MODULES, *PYTHONS_OWN]:
            (root / folder / f"{name}.py").write_text(f"open({str(root / 'ran' / name)!r}, 'w').close()\n")
        (root / folder / "mergealgebra").mkdir()
        (root / folder / "mergealgebra" / "__init__.py").write_text(
            f"open({str(root / 'ran' / 'us')!r}, 'w').close()\n"
        )
        (root / folder / ".numba_config.yaml").write_text("enable_avx: 0\n")
    return root


def _ran(root, folder, command, arguments, **variables):
    """Run a command in a folder, which ends well. Returns which hostile modules ran."""
    code, ran = _run(root, folder, command, arguments, variables)
    assert code == 0, ran
    return ran


def _run(root, folder, command, arguments, variables):
    """Run a command in a folder. Returns its exit status, and which hostile modules ran."""
    for path in (root / "ran").iterdir():
        path.unlink()
    done = subprocess.run(
        [*command, *arguments.split()],
        cwd=root / folder,
        stdin=subprocess.DEVNULL,
        env=without_python_path(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, [path.name for path in (root / "ran").iterdir()]


#: Every verb, as it is run in a folder beside the others.
COMMANDS = {
    "merge": "merge ../merge.yaml ../{new}",
    "convert": "convert ../mergekit.yml",
    "init": "-C ../{new} init --base ../base",
    "clone": "clone --yes ../shared ../{new} --base ../base",
    "contribute": "-C ../bob contribute ../ft1.safetensors --note again",
    "retract": "-C ../bob retract {id}",
    "log": "-C ../alice log",
    "status": "-C ../alice status",
    "show": "-C ../bob show {id}",
    "sync": "-C ../alice sync ../shared",
    "serve": "serve ../shared --stdio",
    "keygen": "keygen ../{new}",
    "set-key": "-C ../guild set-key ../ada",
    "grant": "-C ../guild grant ../ada.pub --name Ada --key ../maya",
    "revoke": "-C ../guild revoke ../bob-key.pub --key ../maya",
    "keep": "-C ../guild keep ../left-key.pub {op} --key ../maya",
    "members": "-C ../guild members",
    "set-base": "-C ../alice set-base ../base",
    "set-name": "-C ../alice set-name Ada",
    "fsck": "fsck ../shared --repair ../alice",
    "gc": "-C ../alice gc",
    "resolve": "-C ../alice resolve ../{new}",
    "extract": "-C ../alice extract ../{new} --rank 1",
    "warmup": "warmup",
    "verify": "verify ../merged --against ../alice",
    "laws": "laws ties --tries 1 --law bounds",
    "conformance": "conformance mergealgebra --discover",
}


def _arguments(root, verb):
    added = call(root, "-C", "bob", "log", "--json").printed()["operations"][0]["contribution"]
    return COMMANDS[verb].format(new=f"new-{secrets.token_hex(4)}", op=secrets.token_hex(32), id=added)


def test_every_verb_is_here():
    assert COMMANDS.keys() == VERBS.keys()


@pytest.mark.parametrize("verb", COMMANDS)
def test_no_verb_runs_a_module_of_the_current_folder(verb, hostile_scene, tmp_path):
    command = console_script(tmp_path / "mergealgebra")
    assert _ran(hostile_scene, "alice", command, _arguments(hostile_scene, verb)) == []


def test_the_compiler_of_kernels_runs_none_either(hostile_scene):
    """Nor does it read Numba's settings there. As `verify . --against WORKSPACE` starts it, where nothing is kept."""
    pytest.importorskip("numba")
    code = "from mergealgebra.kernels.machine_code import _compile; list(_compile(['count_block']))"
    ran = _ran(hostile_scene, "merged", [sys.executable, "-P", "-c", code], "", PYTHONPATH=str(PACKAGE.parent))
    assert ran == []


#: Verbs of which one starts a child, and one does not.
SOME = [COMMANDS["laws"], COMMANDS["status"]]


@pytest.mark.parametrize("arguments", SOME)
def test_nor_does_python_with_its_option(arguments, hostile_scene):
    command = [sys.executable, "-P", "-m", "mergealgebra"]
    assert _ran(hostile_scene, "merged", command, arguments, PYTHONPATH=str(PACKAGE.parent)) == []


@pytest.mark.parametrize("arguments", SOME)
@pytest.mark.parametrize("value", ["", ":", "../shared"])
def test_nor_does_a_python_path_that_names_the_current_folder(arguments, value, hostile_scene, tmp_path):
    """But for what Python itself looks for at its start, before anything of ours."""
    command = console_script(tmp_path / "mergealgebra")
    ran = _ran(hostile_scene, "shared", command, arguments, PYTHONPATH=value)
    assert set(ran) <= set(PYTHONS_OWN if value else [])


#: A target that a user writes in the current folder.
USERS_MODULE = """
def merge(base, task_vectors=(), models=(), **_):
    import json, ours_beside
    return dict(base)
"""


@pytest.mark.parametrize("arguments", ["laws mine:merge --tries 1 --law bounds", "conformance mine:merge --discover"])
def test_a_module_that_a_user_names_is_found_and_hides_no_other(arguments, hostile_scene, tmp_path):
    """What it imports from beside it is found too, after all that is installed."""
    (hostile_scene / "shared" / "mine.py").write_text(USERS_MODULE)
    beside = f"open({str(hostile_scene / 'ran' / 'beside')!r}, 'w').close()"
    (hostile_scene / "shared" / "ours_beside.py").write_text(beside)
    command = console_script(tmp_path / "mergealgebra")
    assert _ran(hostile_scene, "shared", command, arguments) == ["beside"]


@pytest.mark.parametrize("arguments", ["laws numpy:merge --tries 1", "conformance json:merge --discover"])
def test_a_module_that_is_hidden_by_another_is_said_to_be(arguments, hostile_scene, tmp_path):
    """The user meant the file here, and would be told of something else."""
    name = arguments.split()[1].partition(":")[0]
    command = [*console_script(tmp_path / "mergealgebra"), *arguments.split()]
    done = subprocess.run(
        command, cwd=hostile_scene / "shared", env=without_python_path(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{name}/__init__.py, which comes before {name}.py here" in done.stderr
    assert not (hostile_scene / "ran" / name).exists()


def test_the_hostile_modules_would_run(hostile_scene):
    """This test can fail: Python as it is usually started runs them."""
    assert _ran(hostile_scene, "alice", [sys.executable], "-c pass") == []
    assert "contextlib" in _run(hostile_scene, "alice", [sys.executable, "-m", "mergealgebra"], "", {})[1]
    assert PYTHONS_OWN[0] in _ran(hostile_scene, "alice", [sys.executable], "-c pass", PYTHONPATH=".")


#: What starts processes, and where it may.
STARTERS = {"subprocess", "multiprocessing", "pty", "popen2"}
CALLS = {"system", "popen", "fork", "forkpty", "startfile", "posix_spawn", "posix_spawnp"}


def _starts_processes(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import) and {alias.name.partition(".")[0] for alias in node.names} & STARTERS:
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in STARTERS:
            return True
        if (
            isinstance(node, ast.Attribute)
            and (isinstance(node.value, ast.Name) and node.value.id == "os")
            and (node.attr in CALLS or node.attr.startswith(("exec", "spawn")))
        ):
            return True
        if isinstance(node, ast.Name) and node.id == "ProcessPoolExecutor":
            return True
    return False


def test_processes_are_started_in_one_place():
    starting = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if _starts_processes(path)}
    of_python = {"children/process.py", "children/supervisor.py"}
    assert starting == {*of_python, "sync/ssh_peer.py"}  # the system's ssh, which imports nothing
