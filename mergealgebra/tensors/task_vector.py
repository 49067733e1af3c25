"""Task vectors: a fine-tune minus its base, and a base plus one, in the dtypes that checkpoints hold [TV-2 to TV-6]."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Container, Iterator, Mapping
from typing import Final, Self

import numpy as np

from mergealgebra.algebra import decimals
from mergealgebra.algebra.arrays import Array, array_namespace, first_true, refuse_flushed_subnormals
from mergealgebra.errors import DtypeError, MergeAlgebraWarning, NamesError, NonFinite, ShapeError
from mergealgebra.tensors.agreement import agreement
from mergealgebra.tensors.block_vectors import add, index_in, read_stored, subtract
from mergealgebra.tensors.buffers import buffer_remarks, kind_of, unfit_buffers
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice, Patterns, count_of, escaped, leave_out_in_python, leave_patterns
from mergealgebra.tensors.configuration import ties_by_part
from mergealgebra.tensors.dtypes import DTYPES, bits, like, name_of, to_host, unmerged, widen
from mergealgebra.tensors.models import Arrays
from mergealgebra.tensors.prefixes import prefix_advice
from mergealgebra.tensors.quantised import refuse_quantised
from mergealgebra.tensors.strange_names import name_advice

#: Parts of the names of tensors with a row for each token.
_VOCABULARIES: Final = ("embed", "wte", "lm_head", "vocab", "shared.weight", "predictions.decoder")

#: Named arrays, or the path of a checkpoint.
Tensors = Mapping[str, Array] | str | os.PathLike[str]


class TaskVector(Mapping[str, Array]):
    """A task vector in memory: name -> float array of the tensor's shape; a Mapping, so `merge` takes it.

    lambda_: with which `apply` adds it where nothing else is said, a decimal string; the recipe's for what an Aggregate
    finalized. What is computed here is fp32; arrays of other float dtypes are rounded when they are used [TV-5].
    Raises NamesError, and DtypeError for what is not an array.

    >>> vector = TaskVector({"w": np.array([0.5, -1], np.float32)})
    >>> vector, vector["w"].shape
    (TaskVector(tensors=1, elements=2), (2,))
    """

    def __init__(self, tensors: Mapping[str, Array], *, lambda_: str = "1") -> None:
        if not isinstance(tensors, Mapping):
            raise NamesError(
                f"a {type(tensors).__name__} is not a mapping of names to arrays; TaskVector.between makes a task "
                "vector of paths"
            )
        self._tensors = {name: tensors[name] for name in in_name_order(tensors)}
        for name, array in self._tensors.items():
            name_of(array, f"tensor {name!r} of the task vector")
        self.lambda_ = lambda_

    @classmethod
    def between(cls, base: Tensors, finetuned: Tensors, *, take: Patterns = (), leave: Patterns = ()) -> Self:
        """finetuned - base [TV-2]. Tensors that are not float must be equal and are left out [TV-7].

        Names and shapes of both must agree. The arrays are of the fine-tune's kind, NumPy or torch; of a path, NumPy.
        take, leave: patterns of tensor names [CT-8]. Buffers that do not fit are left out, and a head that one side
        lacks is the embedding to which it is tied [CT-10, TV-11]; a Python warning says so.
        Raises NamesError, ShapeError, DtypeError or NonFinite, naming tensor and index, and CheckpointError for a
        quantised model.

        >>> base = {"w": np.zeros(2, np.float32), "head": np.zeros(2, np.float32)}
        >>> TaskVector.between(base, {"w": np.ones(2, np.float32)}, leave="head")
        TaskVector(tensors=1, elements=2)
        """
        refuse_flushed_subnormals(np)
        old, new = _hosts(base, "the base"), _hosts(finetuned, "the fine-tune")
        kinds = dict(finetuned) if isinstance(finetuned, Mapping) else dict(new)
        choice = Choice.among({*old, *new}, take, leave)
        own = _says(finetuned)
        both = agreement("finetuned", Arrays(new), Arrays(old), choice, _unties(base), own, leave_out_in_python)
        for name, other in both.stands_for.items():
            new[name], kinds[name] = new[other], kinds[other]
        for remark in both.remarks:
            warnings.warn(remark, MergeAlgebraWarning, stacklevel=2)
        old = {name: array for name, array in old.items() if name in both.names}
        _refuse_other_names(old, {name: array for name, array in new.items() if name in both.names})
        names = [name for name in old if _is_float(name, old[name], new[name])]
        return cls({name: like(_difference(name, new[name], old[name]), kinds[name]) for name in names})

    def apply(self, base: Tensors, lambda_: str | None = None) -> dict[str, Array]:
        """base + lambda * this, in the base's dtypes; tensors that this lacks are copied [MG-2, MG-3].

        Buffers that do not fit, such as BatchNorm's counters, are copied too, and a Python warning says so [CT-10].

        lambda_: a decimal string; left out, that of the recipe by which an Aggregate finalized this, and else "1".
        Raises NamesError, ShapeError, DecimalError or NonFinite.

        >>> TaskVector({"w": np.array([0.5, -1], np.float32)}).apply({"w": np.ones(2, np.float16)}, "2")
        {'w': array([ 2., -1.], dtype=float16)}
        """
        refuse_flushed_subnormals(np)
        lambda32 = decimals.fp32(self.lambda_ if lambda_ is None else lambda_, "lambda")
        arrays = base if isinstance(base, Mapping) else _hosts(base, "the base")
        buffers = self._unfit_buffers(arrays)
        for remark in buffer_remarks(buffers):
            warnings.warn(remark, MergeAlgebraWarning, stacklevel=2)
        names = self.keys() - {*buffers}
        if unknown := names - arrays.keys():
            todo = name_advice(unknown) or "it belongs to another model"
            raise NamesError(f"tensor {min(unknown)!r} is not in the base: {todo}")
        return {name: self._added(name, array, lambda32, names) for name, array in arrays.items()}

    def _unfit_buffers(self, base: Mapping[str, Array]) -> list[str]:
        """The buffers that are not added, as in every merge [CT-10]."""
        ours, theirs = _buffers(self, "the task vector"), _buffers(base, "the base")
        return unfit_buffers("task_vector", ours, theirs, ours.records)

    def _added(self, name: str, base: Array, lambda32: float, names: Container[str]) -> Array:
        host = to_host(base, f"tensor {name!r} of the base")
        if name not in names:
            return like(host.copy(), base)
        vector = to_host(self[name], f"tensor {name!r} of the task vector")
        check_shapes(f"tensor {name!r}", name, vector.shape, host.shape)
        for array, whose in ((host, "the base"), (vector, "the task vector")):
            if not DTYPES[name_of(array)].is_float:
                raise DtypeError(
                    f"tensor {name!r} of {whose} is {name_of(array)}; only float tensors have a task vector"
                )
        with np.errstate(all="ignore"):
            tau = read_stored(vector.reshape(-1))
            _refuse(name, host.shape, ~np.isfinite(tau), "the task vector is not finite; repair it")
            merged, bad = add(host.reshape(-1), tau, lambda32)
        first = bad & (np.cumsum(bad) == 1)
        _refuse(name, host.shape, first & ~np.isfinite(widen(host.reshape(-1))), "the base is not finite; repair it")
        _refuse(name, host.shape, first, "the result is not finite; use a smaller lambda")
        return like(merged.reshape(host.shape), base)

    def __getitem__(self, name: str) -> Array:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"TaskVector(tensors={len(self)}, elements={sum(int(np.prod(t.shape)) for t in self.values())})"


def _buffers(tensors: Mapping[str, Array], whose: str) -> Arrays:
    names = filter(kind_of, in_name_order(tensors))
    return Arrays({name: to_host(tensors[name], f"tensor {name!r} of {whose}") for name in names})


def in_name_order(tensors: Mapping[str, Array]) -> list[str]:
    """The names in canonical order. Raises NamesError when one is not text that UTF-8 can write."""
    for name in tensors:
        if not isinstance(name, str) or any("\ud800" <= character <= "\udfff" for character in name):
            raise NamesError(f"tensor {name!r}: a name must be text that UTF-8 can write")
    return sorted(tensors, key=str.encode)


def check_shapes(
    what: str,
    name: str,
    shape: tuple[int, ...],
    base: tuple[int, ...],
    todo: str = "give it the base's shape, or leave it out",
) -> None:
    """Raise ShapeError unless both shapes agree [TV-1]. what: the tensor, as the message names it. todo: its advice."""
    if shape != base:
        raise ShapeError(f"{what} has shape {list(shape)}, the base's {list(base)}{_cause(name, shape, base)}: {todo}")


def _cause(name: str, shape: tuple[int, ...], base: tuple[int, ...]) -> str:
    """Why shapes mostly differ so; empty where nobody knows."""
    if 0 in shape and 0 not in base:
        return (
            "; it was saved empty, as ZeRO-3 leaves a weight that is spread over devices: gather it first, "
            "with zero_to_fp32.py or stage3_gather_16bit_weights_on_model_save"
        )
    return "; a resized vocabulary is the usual cause" if _is_resized(name, shape, base) else ""


def fitting(name: str, shape: tuple[int, ...], base: tuple[int, ...]) -> str:
    """How to make a tensor of another shape fit."""
    if _is_resized(name, shape, base) and shape[0] > base[0] > 0:
        return f"cut it to the base's {base[0]:,} rows"
    return "give it the base's shape"


def _is_resized(name: str, shape: tuple[int, ...], base: tuple[int, ...]) -> bool:
    return any(part in name for part in _VOCABULARIES) and shape[1:] == base[1:] != ()


def _refuse_other_names(old: Collection[str], new: Collection[str]) -> None:
    """Raise NamesError unless the base and the fine-tune have the same names [TV-8]."""
    different = sorted({*old} ^ {*new})
    if different and old and new and not {*old} & {*new} and not prefix_advice(new, old):
        why = name_advice(new) or "it is another kind of model; pass another"
        raise NamesError(f"the fine-tune shares no tensor with the base: {why}")
    if different:
        where = "the base" if different[0] in old else "the fine-tune"
        patterns = leave_patterns(different, {*old} & {*new})
        todo = name_advice({*new} - {*old}) or prefix_advice(new, old)
        todo = todo or f"leave out what only one has, with leave={patterns!r}"
        more = count_of(different, "and so is", "and so are")
        raise NamesError(f"tensor {different[0]!r} is only in {where}{more}: {todo}")


def _unties(base: Tensors) -> dict[str, bool | None]:
    """False for the parts whose configuration unties the head; None otherwise: nothing is refused in memory [TV-11]."""
    return {part: False if tied is False else None for part, tied in _says(base).items()}


def _says(model: Tensors) -> dict[str, bool | None]:
    """What the configurations of a model say, by part; nothing for arrays."""
    if isinstance(model, Mapping):
        return {}
    with Checkpoint.open(model) as checkpoint:
        return ties_by_part(checkpoint.part_folders())


def _hosts(tensors: Tensors, whose: str) -> dict[str, Array]:
    """The tensors as NumPy arrays in name order. Raises CheckpointError for those of a quantised model.

    whose: of which model they are.
    """
    if isinstance(tensors, Mapping):
        hosts = {name: to_host(tensors[name], f"tensor {name!r} of {whose}") for name in in_name_order(tensors)}
        refuse_quantised({name: name_of(host) for name, host in hosts.items()}, whose)
        return hosts
    with Checkpoint.open(tensors) as checkpoint:
        return {name: checkpoint.read(name).reshape(r.shape_read) for name, r in checkpoint.records.items()}


def _is_float(name: str, old: Array, new: Array) -> bool:
    """Whether the tensor is part of the task vector; one that is not must be unchanged [TV-7]."""
    shapes = tuple(new.shape), tuple(old.shape)
    check_shapes(f"tensor {name!r}", name, *shapes, _leave(name, fitting(name, *shapes)))
    floats = [DTYPES[name_of(array, f"tensor {name!r}")].is_float for array in (old, new)]
    if floats == [False, False] and old.dtype == new.dtype and bool((bits(old) == bits(new)).all()):
        return False
    if floats != [True, True]:
        raise DtypeError(
            f"tensor {name!r} is {name_of(new)} against the base's {name_of(old)} and is not a float tensor "
            f"equal to it: only float tensors can differ{unmerged(name_of(new), name_of(old))}; "
            f"{_leave(name, 'convert it')}"
        )
    return True


def _leave(name: str, otherwise: str) -> str:
    return f"{otherwise}, or leave it out with leave={escaped(name)!r}"


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
