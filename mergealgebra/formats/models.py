"""Models by what people name: a file, a folder, an adapter, `MODEL+ADAPTER`, or an address on the Hub [AD-1]."""

from __future__ import annotations

import os
from pathlib import Path

from mergealgebra.addresses import PathLike, parts_of_address
from mergealgebra.errors import CheckpointError, MergeAlgebraError
from mergealgebra.formats import hub
from mergealgebra.formats.adapters.applied import applied
from mergealgebra.formats.adapters.keys import looks_like_adapter
from mergealgebra.formats.adapters.lora_file import open_lora_file
from mergealgebra.formats.tokenizers.wanted import BASE, UNION, Wanted
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import ADAPTER, ADAPTER_CONFIG, MODEL
from mergealgebra.tensors.files import as_path, reading
from mergealgebra.tensors.forms import Formed, Held
from mergealgebra.tensors.index import is_index
from mergealgebra.text import location


def open_model(address: PathLike, base: Checkpoint | None = None) -> Held:
    """What is at an address: a model, or the difference that an adapter makes to the base, as factors [AD-1].

    base: the model that an adapter by itself is of; None where there is none. Raises CheckpointError where there is no
    model, or an adapter by itself has no base, and as `Checkpoint.open`, `open_peft` and `open_lora_file` do.
    """
    named, behind = parts_of_address(as_path(address))
    model = hub.folder(named)
    if behind is None:
        return _open(model, base)
    adapter = hub.folder(behind)
    if base is not None and os.path.realpath(model) == os.path.realpath(base.path):
        return _adapter(adapter, base)
    whole = Checkpoint.open(model)
    try:
        return applied(whole, _adapter(adapter, whole))
    except MergeAlgebraError:
        whole.close()
        raise


def open_base(address: PathLike) -> Checkpoint:
    """The whole model at an address. Raises CheckpointError where there is none, and as `Checkpoint.open` does."""
    return Checkpoint.open(hub.folder(as_path(address)))


def adapter_doubts(address: PathLike, base: Path) -> list[str]:
    """A line where an adapter says that it is of another base than this, or than the model before its `+` [AD-16].

    It was opened before. Raises as `open_model` does.
    """
    named, behind = parts_of_address(as_path(address))
    path = hub.folder(named if behind is None else behind)
    folder = path.parent if path.name in (ADAPTER, ADAPTER_CONFIG) else path
    if not _is_peft(folder):
        return []
    from mergealgebra.formats.adapters.origin import doubt  # most merges have no adapter, and start without it
    from mergealgebra.formats.adapters.peft_config import read_config

    line = doubt(read_config(folder), base if behind is None else hub.folder(named))
    return [line] if line else []


def tokenizer_wanted(source: PathLike | None) -> Wanted | None:
    """What `tokenizer_source` says: base, union, or the model whose tokens the merged one has [TK-2]."""
    if source is None:
        return None
    return Wanted(os.fspath(source)) if source in (BASE, UNION) else Wanted(hub.folder(source))


def _adapter(path: Path, model: Checkpoint) -> Formed:
    found = _open(path, model)
    if isinstance(found, Formed):
        return found
    found.close()
    raise CheckpointError(f"{location(path)} stands where an adapter is expected, and is a model: write its path alone")


def _open(path: Path, base: Checkpoint | None) -> Held:
    folder = path.parent if path.name in (ADAPTER, ADAPTER_CONFIG) else path
    if base is not None and _is_peft(folder):
        from mergealgebra.formats.adapters.peft import open_peft  # with pydantic, which takes a tenth of a second

        return open_peft(folder, base)
    opened = Checkpoint.open(path)
    if base is None or opened.folder is not None or not opened.records.keys().isdisjoint(base.records):
        return opened
    return open_lora_file(path, opened, base) if looks_like_adapter(opened.records) else opened


def _is_peft(folder: Path) -> bool:
    """Whether a folder is an adapter's, and no model's too."""
    if not folder.is_dir():
        return False
    with reading(folder):
        names = set(os.listdir(folder))  # noqa: PTH208 - names, not paths
    return bool(names & {ADAPTER, ADAPTER_CONFIG}) and MODEL not in names and not any(map(is_index, names))
