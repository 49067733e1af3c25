"""Task vectors: a fine-tune minus its base, and a base plus one, in the dtypes that checkpoints hold [TV-2 to TV-6].

`subtract` and `add` work on blocks in storage dtypes, NumPy or torch; `TaskVector` on whole models in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.apply import apply, changed
from mergealgebra.algebra.arrays import Array, array_namespace, first_true, refuse_flushed_subnormals
from mergealgebra.algebra.difference import difference, stored
from mergealgebra.errors import DtypeError, NamesError, NonFinite, ShapeError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES, bits, like, name_of, narrow, to_host, unmerged, widen
from mergealgebra.tensors.quantised import refuse_quantised

#: Named arrays, or the path of a checkpoint.
Tensors = Mapping[str, Array] | str | os.PathLike[str]


def subtract(finetuned: Array, base: Array) -> Array:
    """tau of a block of a fine-tune [TV-2, TV-3]. Both (n,), float dtypes. Returns (n,) fp32, perhaps not finite."""
    xp = array_namespace(finetuned, base)
    same = bits(finetuned) == bits(base) if finetuned.dtype == base.dtype else xp.zeros_like(base, dtype=xp.bool)
    return difference(widen(finetuned), widen(base), same)


def read_stored(values: Array) -> Array:
    """tau of a block of a stored task vector [TV-5]. (n,) of a float dtype. Returns (n,) fp32, perhaps not finite."""
    xp = array_namespace(widen(values))
    tau = stored(widen(values))
    # RN32 of a finite number may be infinite, never the other way round, so tau alone tells what is not finite.
    return xp.where(xp.isfinite(tau), tau, xp.nan)


def add(base: Array, tau_m: Array, lambda32: float) -> tuple[Array, Array]:
    """The merged block and a mask of where it is not finite [MG-2 to MG-5].

    base: (n,) of a float dtype. tau_m: (n,) fp32. Returns (n,) of the base's dtype, and (n,) bool.
    """
    xp = array_namespace(widen(base), tau_m)
    merged = narrow(apply(widen(base), tau_m, lambda32), name_of(base))
    moved = changed(tau_m, lambda32)
    return xp.where(moved, merged, base), moved & ~xp.isfinite(widen(merged))


def index_in(shape: tuple[int, ...], position: int) -> list[int]:
    """The coordinates of an element from its position in C order [TV-9]."""
    return [int(i) for i in np.unravel_index(position, shape)] if shape else []


class TaskVector(Mapping[str, Array]):
    """A task vector in memory: name -> fp32 array of the tensor's shape; a Mapping, so `merge` takes it."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._tensors = {name: tensors[name] for name in in_name_order(tensors)}

    @classmethod
    def between(cls, base: Tensors, finetuned: Tensors) -> Self:
        """finetuned - base [TV-2]. Tensors that are not float must be equal and are left out [TV-7].

        Names and shapes of both must agree. The arrays are of the fine-tune's kind, NumPy or torch; of a path, NumPy.
        Raises NamesError, ShapeError, DtypeError or NonFinite, naming tensor and index, and CheckpointError for a
        quantised model.
        """
        refuse_flushed_subnormals(np)
        old, new = _hosts(base), _hosts(finetuned)
        if different := sorted(old.keys() ^ new.keys()):
            where = "the base" if different[0] in old else "the fine-tune"
            raise NamesError(f"tensor {different[0]!r} is only in {where} ({len(different)} such): pass equal names")
        names = [name for name in old if _is_float(name, old[name], new[name])]
        models = finetuned if isinstance(finetuned, Mapping) else new
        return cls({name: like(_difference(name, new[name], old[name]), models[name]) for name in names})

    def apply(self, base: Tensors, lambda_: str = "1") -> dict[str, Array]:
        """base + lambda * this, in the base's dtypes; tensors that this lacks are copied [MG-2, MG-3].

        lambda_: a decimal string. Raises NamesError, ShapeError, DecimalError or NonFinite.
        """
        refuse_flushed_subnormals(np)
        lambda32 = decimals.fp32(lambda_, "lambda")
        arrays = base if isinstance(base, Mapping) else _hosts(base)
        if unknown := self.keys() - arrays.keys():
            raise NamesError(f"tensor {min(unknown)!r} is not in the base: it belongs to another model")
        return {name: self._added(name, array, lambda32) for name, array in arrays.items()}

    def _added(self, name: str, base: Array, lambda32: float) -> Array:
        host = to_host(base)
        if name not in self:
            return like(host.copy(), base)
        vector = to_host(self[name])
        check_shapes(f"tensor {name!r}", vector.shape, host.shape)
        for array, whose in ((host, "the base"), (vector, "the task vector")):
            if not DTYPES[name_of(array)].is_float:
                raise DtypeError(
                    f"tensor {name!r} of {whose} is {name_of(array)}; only float tensors have a task vector"
                )
        with np.errstate(all="ignore"):
            tau = read_stored(vector.reshape(-1))
            _refuse(name, host.shape, ~np.isfinite(tau), "the task vector is not finite; repair it")
            merged, bad = add(host.reshape(-1), tau, lambda32)
        _refuse(name, host.shape, bad, "the result is not finite; use a smaller lambda")
        return like(merged.reshape(host.shape), base)

    def __getitem__(self, name: str) -> Array:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"TaskVector({len(self)} tensors, {sum(int(np.prod(t.shape)) for t in self.values())} elements)"


def in_name_order(tensors: Mapping[str, Array]) -> list[str]:
    """The names in canonical order. Raises NamesError when one is no text that UTF-8 can write."""
    for name in tensors:
        if not isinstance(name, str) or any("\ud800" <= character <= "\udfff" for character in name):
            raise NamesError(f"tensor {name!r}: a name must be text that UTF-8 can write")
    return sorted(tensors, key=str.encode)


def check_shapes(what: str, shape: tuple[int, ...], base: tuple[int, ...]) -> None:
    """Raise ShapeError unless both shapes agree [TV-1]."""
    if shape != base:
        cause = "; a resized vocabulary is the usual cause" if shape[1:] == base[1:] else ""
        raise ShapeError(
            f"{what} has shape {list(shape)}, the base's {list(base)}{cause}: give it the base's shape, or leave it out"
        )


def _hosts(tensors: Tensors) -> dict[str, Array]:
    """The tensors as NumPy arrays in name order. Raises CheckpointError for those of a quantised model."""
    if isinstance(tensors, Mapping):
        hosts = {name: to_host(tensors[name]) for name in in_name_order(tensors)}
        refuse_quantised({name: name_of(host) for name, host in hosts.items()}, "the model")
        return hosts
    with Checkpoint.open(tensors) as checkpoint:
        return {name: checkpoint.read(name).reshape(r.shape_read) for name, r in checkpoint.records.items()}


def _is_float(name: str, old: Array, new: Array) -> bool:
    """Whether the tensor is part of the task vector; one that is not must be unchanged [TV-7]."""
    check_shapes(f"tensor {name!r}", tuple(new.shape), tuple(old.shape))
    floats = [DTYPES[name_of(array, f"tensor {name!r}")].is_float for array in (old, new)]
    if floats == [False, False] and old.dtype == new.dtype and bool((bits(old) == bits(new)).all()):
        return False
    if floats != [True, True]:
        raise DtypeError(
            f"tensor {name!r} is {name_of(new)} against the base's {name_of(old)} and is not a float tensor "
            f"equal to it: only float tensors can differ{unmerged(name_of(new), name_of(old))}"
        )
    return True


def _difference(name: str, new: Array, old: Array) -> Array:
    with np.errstate(all="ignore"):
        tau = subtract(new.reshape(-1), old.reshape(-1))
    xp = array_namespace(tau)
    _refuse(name, tuple(old.shape), ~xp.isfinite(tau), "the difference is not finite; repair the fine-tune")
    return tau.reshape(old.shape)


def _refuse(name: str, shape: tuple[int, ...], bad: Array, why: str) -> None:
    position = first_true(bad)
    if position is not None:
        raise NonFinite(f"tensor {name!r} at index {index_in(shape, position)}: {why}")
