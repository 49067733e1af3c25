"""Workspaces with contributions in a folder: what the tests of this package begin with."""

from __future__ import annotations

import json
from pathlib import Path

import mergealgebra as ma
from tests.models import base, fine_tune, write_file, write_folder

RECIPE = ma.Ties(density="0.5")


def write_models(root: Path, fine_tunes: int = 3) -> None:
    """Write the folder `base` and the files `ft0.safetensors`, ... of `tests.models`."""
    write_folder(root / "base", base())
    for number in range(fine_tunes):
        write_file(root / f"ft{number}.safetensors", fine_tune(number))


def make_workspace(root: Path, name: str, *numbers: int, recipe: ma.Method = RECIPE) -> ma.Workspace:
    """A workspace in `root / name` that has the contributions of these numbers."""
    workspace = ma.Workspace.init(root / name, base=root / "base", recipe=recipe)
    for number in numbers:
        workspace.contribute(root / f"ft{number}.safetensors")
    return workspace


def moved(folder: Path, base_path: Path) -> ma.Workspace:
    """The workspace in a folder that was copied there, told where its base is."""
    local = folder / "local.json"
    content = json.loads(local.read_text())
    local.write_text(json.dumps(content | {"base": str(base_path)}))
    return ma.Workspace.open(folder)


def visible_in(folder: Path) -> set[str]:
    """What is visible in the workspace or exchange folder, read anew."""
    return set(ma.Workspace.open(folder).visible())
