"""What a model's `config.json` says of its tensors, if it has one that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.tensors.strict_json import LaxReader

_MAX_BYTES: Final = 16 << 20
_MAX_DEPTH: Final = 100
_TIED: Final = "tie_word_embeddings"
#: The keys of the language model in the configuration of a model that also sees or hears.
_PARTS: Final = ("text_config", "language_config", "llm_config")


def ties_embeddings(folder: Path | None) -> bool | None:
    """Whether the head is the embedding, as the configuration in a model's folder says; None where it does not."""
    if folder is None:
        return None
    try:
        return _said(LaxReader(read_file(folder / "config.json", _MAX_BYTES), _MAX_DEPTH))
    except (OSError, ValueError):
        return None  # it is for those who load the model to complain


def ties_by_part(folders: Mapping[str, Path]) -> dict[str, bool | None]:
    """The same for each part of a model, by its name. folders: of the parts."""
    return {part: ties_embeddings(folder) for part, folder in folders.items()}


def _said(reader: LaxReader) -> bool | None:
    outer = inner = None
    if reader.mark != b"{":
        return None
    for key in reader.names():
        if key == _TIED and reader.mark in (b"t", b"f"):
            outer = bool(reader.value())
        elif key in _PARTS and reader.mark == b"{":
            inner = _said(reader)
        else:
            reader.skip()
    return outer if inner is None else inner
