"""The commands of mergealgebra that are measured: the one-shot merge, and a workspace."""

from __future__ import annotations

import compileall
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from measure import run
from settings import Label, Settings

PROGRAM = [sys.executable, "-m", "mergealgebra"]
HERE = Path(__file__).resolve().parent
#: Runs the command line, then prints the names of all modules that it loaded.
_LIST_IMPORTS = (
    "import atexit, json, sys; atexit.register(lambda: print('\\n' + json.dumps(sorted(sys.modules)))); "
    "from mergealgebra.cli import main; main()"
)
#: Loads modules by name and does nothing else; what other modules make up at run time cannot be found, and is loaded.
_IMPORT = """
import contextlib, importlib, sys
for name in sys.argv[1].split(","):
    with contextlib.suppress(Exception):
        importlib.import_module(name)
"""
#: Publishes every checkpoint that is named after the workspace.
_CONTRIBUTE_ALL = """
import sys
import mergealgebra as ma
workspace = ma.Workspace.open(sys.argv[1])
for checkpoint in sys.argv[2:]:
    workspace.contribute(checkpoint)
"""


@dataclass(frozen=True)
class Models:
    """A base and fine-tunes of it on disk, all of one exact number of parameters and one dtype."""

    parameters: int
    dtype: str
    base: Path
    finetunes: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The base and the fine-tunes."""
        return (self.base, *self.finetunes)

    def labels(self, program: str, **more: Label) -> dict[str, Label]:
        """What a measurement is told by: who, and on how much."""
        size: dict[str, Label] = {"dtype": self.dtype, "n": len(self.finetunes), "parameters": self.parameters}
        return {"program": program, **more, **size}

    def first(self, count: int) -> Models:
        """The same with only the first fine-tunes."""
        return Models(self.parameters, self.dtype, self.base, self.finetunes[:count])


def keep_bytecode() -> None:
    """Compile our modules to bytecode, as installing does: where none is kept, every run spends 0.2 s on that."""
    found = find_spec("mergealgebra")
    for folder in (found and found.submodule_search_locations) or ():
        compileall.compile_dir(folder, quiet=2)


def models(settings: Settings, parameters: int, finetunes: int, dtype: str) -> Models:
    """Models of about this size under the work folder, written by a child of its own unless they are there."""
    folder = settings.work / "models" / f"{parameters}-{dtype}"
    print(f"  models: {parameters:,} parameters, {finetunes} fine-tunes, {dtype}", flush=True)
    wanted = ["--parameters", str(parameters), "--finetunes", str(finetunes), "--dtype", dtype, "--out", folder]
    exact = json.loads(run([sys.executable, HERE / "models.py", *wanted]))["parameters"]
    return Models(exact, dtype, folder / "base", tuple(folder / f"ft{number}" for number in range(finetunes)))


def merge(
    settings: Settings,
    models: Models,
    out: Path,
    *,
    scope: str = "model",
    threads: int | None = None,
    coefficients: Sequence[str] = (),
) -> list[str | Path]:
    """The command of a one-shot TIES merge; writes its configuration beside `out`."""
    config = out.with_suffix(".yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    listed = [
        {"path": str(path), "coefficient": coefficient}
        for path, coefficient in zip(models.finetunes, coefficients or ["1"] * len(models.finetunes), strict=True)
    ]
    recipe = {**_recipe(settings, scope), "base": str(models.base), "models": listed}
    config.write_text(json.dumps(recipe))  # JSON is YAML
    return [*PROGRAM, "merge", config, out, *_how(settings, threads)]


def imported_modules(settings: Settings, models: Models) -> list[str]:
    """The names of all modules that a merge loads."""
    out = settings.out / "imports"
    arguments = merge(settings, models, out)[len(PROGRAM) :]
    return json.loads(run([sys.executable, "-c", _LIST_IMPORTS, *arguments]).splitlines()[-1])


def import_only(modules: Sequence[str]) -> list[str | Path]:
    """The command that loads modules and does nothing else."""
    return [sys.executable, "-c", _IMPORT, ",".join(modules)]


class Replica:
    """A workspace on disk, used through the command line."""

    def __init__(self, settings: Settings, path: Path, base: Path) -> None:
        self.path = path
        self._settings = settings
        recipe = path.with_suffix(".yaml")
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(json.dumps(_recipe(settings, "model")))
        run(self._words("init", "--base", base, "--recipe", recipe, "--name", "benchmark"))

    def contribution(self, checkpoint: Path) -> list[str | Path]:
        """The command that publishes a fine-tune."""
        return self._words("contribute", checkpoint, "--json")

    def contribute(self, checkpoint: Path) -> str:
        """Publish a fine-tune, unmeasured. Returns its id."""
        return str(json.loads(run(self.contribution(checkpoint)))["contribution"])

    def contribute_all(self, checkpoints: Sequence[Path]) -> None:
        """Publish fine-tunes in one process, unmeasured."""
        run([sys.executable, "-c", _CONTRIBUTE_ALL, self.path, *checkpoints])

    def retract(self, contribution: str) -> None:
        """Take a contribution back."""
        run(self._words("retract", contribution))

    def resolve(self, out: Path, *options: str) -> list[str | Path]:
        """The command that resolves into `out`."""
        return [*self._words("resolve", out), *options, *_how(self._settings, None)]

    def stored_bytes(self) -> int:
        """The size of everything in the workspace."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def _words(self, *words: str | Path) -> list[str | Path]:
        return [*PROGRAM, "-C", self.path, *words]


def has_option(verb: str, option: str) -> bool:
    """Does this version's verb have an option?"""
    return option in run([*PROGRAM, verb, "--help"])


def _recipe(settings: Settings, scope: str) -> dict[str, str]:
    return {"method": "ties", "density": settings.scale.density, "scope": scope}


def _how(settings: Settings, threads: int | None) -> list[str]:
    return ["--backend", settings.backend, "--threads", str(threads or settings.threads)]
