"""Models under the names of the result: tensors of one checkpoint or of several, and a base of zeros [MK-8, MK-9]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import TensorRecord


def woven(path: Path, tensors: Mapping[str, tuple[Checkpoint, str]]) -> Checkpoint:
    """Tensors of some checkpoints, under other names. path: of the model whose files go along with them."""
    records = {name: replace(held.records[of], name=name) for name, (held, of) in tensors.items()}
    parts = sorted({part for held, _ in tensors.values() for part in held.parts})
    return Checkpoint(path, dict(sorted(records.items())), tuple(parts))


class Zeros(Checkpoint):
    """A model whose float tensors are zeros: what is added to it is the whole model [MK-9]."""

    @classmethod
    def like(cls, model: Checkpoint) -> Zeros:
        """With the tensors of a model."""
        return cls(model.path, dict(model.records), model.parts)

    def _fill(self, buffer: memoryview, record: TensorRecord, begin: int) -> None:
        if DTYPES[record.dtype].is_float:
            buffer[:] = bytes(len(buffer))
        else:
            super()._fill(buffer, record, begin)
