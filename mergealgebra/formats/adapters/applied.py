"""A model with an adapter applied that is not the base's: its tensors, computed when they are read [AD-1, AD-11]."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mergealgebra.errors import NamesError, NonFinite
from mergealgebra.tensors.block_vectors import add, subtract
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.derived import DerivedRecord
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.form_names import FINETUNED
from mergealgebra.tensors.forms import Formed
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.text import location


def applied(model: Checkpoint, adapter: Formed) -> Checkpoint:
    """The model plus what the adapter changes, rounded once to the model's dtypes [AD-11, MG-2, MG-3].

    Raises NamesError for a tensor that was trained whole and is not in the model, or of another shape there.
    """
    records = {}
    for name, of in adapter.records.items():
        record = model.records.get(name)
        if record is None or record.shape != of.shape or not DTYPES[record.dtype].is_float:
            raise NamesError(
                f"{location(of.path, name)} is not in {location(model.path)} with this shape: the adapter was trained "
                "on another model"
            )
        known = {field.name: getattr(record, field.name) for field in fields(TensorRecord)}
        records[name] = DerivedRecord(**known, made=_Sum(model, adapter, name))
    return model.with_derived(records)


@dataclass(frozen=True)
class _Sum:
    """Shows a tensor of a model with what an adapter changes."""

    model: Checkpoint
    adapter: Formed
    name: str

    def fill(self, buffer: memoryview, begin: int) -> None:
        """As of Made."""
        dtype = DTYPES[self.model.records[self.name].dtype].numpy
        start, stop = begin // dtype.itemsize, (begin + len(buffer)) // dtype.itemsize
        theirs = self.model.read(self.name, start, stop)
        tau = self.adapter.read(self.name, start, stop)
        if self.adapter.forms[self.name] == FINETUNED:
            tau = subtract(tau, theirs)
        with np.errstate(all="ignore"):
            found, bad = add(theirs, tau.astype(np.float32, copy=False), 1.0)
        if bad.any():
            raise NonFinite(
                f"{location(self.adapter.path, self.name)} applied to {location(self.model.path)} is not finite: "
                "repair the adapter"
            )
        buffer[:] = np.ascontiguousarray(found).view(np.uint8).data
