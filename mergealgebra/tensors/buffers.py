"""Buffers: tensors that training does not change, and that some programs save and others do not [CT-10].

A buffer that does not fit the base's is left out, and the base's value stays. Nothing that is trained has such a name,
so a weight that is missing or of another model is never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Container
from types import MappingProxyType
from typing import Final

from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.models import Model
from mergealgebra.text import shown

#: The last part of a buffer's name, and what it is.
BUFFERS: Final = MappingProxyType(
    {
        "num_batches_tracked": "BatchNorm's counter",
        "position_ids": "positions counted from 0",
        "token_type_ids": "zeros",
        "inv_freq": "rotary frequencies, which follow from the configuration",
        "relative_position_index": "indices, which follow from the configuration",
        "masked_bias": "the constant of a mask",
    }
)


def unfit_buffers(form: str, model: Model, base: Model, choice: Container[str]) -> list[str]:
    """The chosen buffers that do not fit, in name order. form: of the model, as in CT-1."""
    names = sorted({*model.records, *base.records}, key=str.encode)
    return [name for name in names if kind_of(name) and name in choice and not _fits(form, name, model, base)]


def buffer_remarks(names: list[str]) -> list[str]:
    """A line for each kind of buffers that were left out."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(kind_of(name), []).append(name)
    return [
        f"left out, as in every merge, and the base's stays: {_counted(of_kind)} ({BUFFERS[kind]})"
        for kind, of_kind in kinds.items()
    ]


def kind_of(name: str) -> str:
    """The last part of a buffer's name; empty for what is not a buffer."""
    last = re.split("[./]", name)[-1]
    return last if last in BUFFERS else ""


def _counted(names: list[str]) -> str:
    return shown(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _fits(form: str, name: str, model: Model, base: Model) -> bool:
    if name not in model.records:
        return form == "task_vector"  # which may lack any
    if name not in base.records:
        return False
    ours, theirs = model.records[name], base.records[name]
    if tuple(ours.shape) != tuple(theirs.shape):
        return False
    if DTYPES[ours.dtype].is_float and DTYPES[theirs.dtype].is_float:
        return True
    return form == "finetuned" and ours.dtype == theirs.dtype and bool((model.read(name) == base.read(name)).all())
