"""Models by what people name: a file, a folder, an adapter, `MODEL+ADAPTER`, or an address on the Hub [AD-1]."""

from __future__ import annotations

import os
from pathlib import Path

from mergealgebra.addresses import PathLike, parts_of_address
from mergealgebra.errors import CheckpointError
from mergealgebra.formats.adapters.keys import looks_like_adapter
from mergealgebra.formats.adapters.lora_file import open_lora_file
from mergealgebra.formats.adapters.peft import WEIGHTS, open_peft
from mergealgebra.formats.adapters.peft_config import CONFIG
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import MODEL
from mergealgebra.tensors.files import as_path
from mergealgebra.tensors.forms import Held
from mergealgebra.tensors.index import is_index
from mergealgebra.text import location


def open_model(address: PathLike, base: Checkpoint | None = None) -> Held:
    """What is at an address: a model, or the difference that an adapter makes to the base, as factors [AD-1].

    base: the model that an adapter is applied to; None where there is none. Raises CheckpointError where there is no
    model, where an adapter has no base or another, and as `Checkpoint.open`, `open_peft` and `open_lora_file` do.
    """
    model, adapter = parts_of_address(as_path(address))
    if adapter is None:
        return _open(model, base)
    if base is None or os.path.realpath(model) != os.path.realpath(base.path):
        raise CheckpointError(
            f"{location(model)} is not the base, and an adapter of another model is a difference from that: merge "
            f"{location(adapter)} into its model first, and name the result"
        )
    return _open(adapter, base)


def open_base(address: PathLike) -> Checkpoint:
    """The whole model at an address. Raises CheckpointError where there is none, and as `Checkpoint.open` does."""
    return Checkpoint.open(address)


def _open(path: Path, base: Checkpoint | None) -> Held:
    folder = path.parent if path.name in (WEIGHTS, CONFIG) else path
    if base is not None and _is_peft(folder):
        return open_peft(folder, base)
    opened = Checkpoint.open(path)
    if base is not None and opened.folder is None and looks_like_adapter(opened.records):
        return open_lora_file(path, opened, base)
    return opened


def _is_peft(folder: Path) -> bool:
    """Whether a folder is an adapter's, and no model's too."""
    if not folder.is_dir():
        return False
    names = set(os.listdir(folder))  # noqa: PTH208 - names, not paths
    return bool(names & {WEIGHTS, CONFIG}) and MODEL not in names and not any(map(is_index, names))
