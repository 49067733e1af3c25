"""Arrays in memory where a checkpoint on disk is expected: read block by block, as one from files is [TV-12]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from mergealgebra.algebra.arrays import Array
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import name_of, to_host
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.quantised import refuse_quantised
from mergealgebra.tensors.task_vector import Tensors, in_name_order

#: Of no file.
_NOWHERE: Final = ()


def as_checkpoint(tensors: Tensors, what: str) -> Checkpoint:
    """Named arrays, or the checkpoint at a path. what: how messages name arrays.

    Raises as `Checkpoint.open` and ArrayCheckpoint do.
    """
    return ArrayCheckpoint(tensors, what) if isinstance(tensors, Mapping) else Checkpoint.open(tensors)


class ArrayCheckpoint(Checkpoint):
    """Named arrays, NumPy or torch, as a checkpoint. what: how messages name them, in place of a path.

    Raises NamesError, DtypeError for what is not an array of numbers, and CheckpointError for a quantised model.
    """

    def __init__(self, arrays: Mapping[str, Array], what: str) -> None:
        names = in_name_order(arrays)
        hosts = [to_host(arrays[name], f"{what}: tensor {name!r}") for name in names]
        path = Path(what)
        records = {
            # The offset is the position in the list: a copy under another name has the same.
            name: TensorRecord(name, name_of(host), host.shape, path, position, host.nbytes, _NOWHERE)
            for position, (name, host) in enumerate(zip(names, hosts, strict=True))
        }
        super().__init__(path, records)
        self.folder = None
        self._files.clear()
        self._bytes = [np.ascontiguousarray(host).reshape(-1).view(np.uint8) for host in hosts]
        refuse_quantised({record.name: record.dtype for record in records.values()}, what)

    def _fill(self, buffer: memoryview, record: TensorRecord, begin: int) -> None:
        buffer[:] = self._bytes[record.offset][begin : begin + len(buffer)].data
