"""`merge.lock`: what a merged model was made from, and the check that it still is that model [LK-1 to LK-6]."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, FailFast, Field, StringConstraints, ValidationError

from mergealgebra.algebra import decimals
from mergealgebra.crdt.genesis import SPEC, merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import model_root
from mergealgebra.errors import LockError, MergeAlgebraError, VerificationFailed
from mergealgebra.recipe import Recipe, complete_recipe
from mergealgebra.tensors import strict_json
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.text import place, shown

LOCK = "merge.lock"
#: The version of the lock's format.
FORMAT = 1

_MAX_BYTES = 100_000_000
_MAX_DEPTH = 8

Root = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Strict(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", strict=True)


class LockedContribution(_Strict):
    """A contribution's manifest without what all share, its id, and how many elements trim kept."""

    id: Root
    form: str
    coefficient: str
    elements: Count
    tensors: Root
    kept: Count


class LockedTensor(_Strict):
    """A tensor of the merged model."""

    dtype: str
    shape: Annotated[list[Count], FailFast()]
    root: Root


class Lock(_Strict):
    """The content of `merge.lock`, in the order in which it is written [LK-2]."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    spec: Annotated[int, Field(ge=SPEC, le=SPEC)]
    base: Root
    recipe: dict[str, str]
    contributions: Annotated[list[LockedContribution], FailFast()]  # one error is told, and each takes memory
    merge_id: Root
    tensors: dict[str, LockedTensor]
    model_root: Root
    achieved_density: str
    uncertified: Count
    backend: str

    def to_bytes(self) -> bytes:
        """The file: JSON, two spaces of indentation, a final line feed."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=2).encode() + b"\n"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The lock of a model folder, which agrees with itself [LK-4]. Raises LockError, naming the file."""
        path = folder / LOCK
        try:
            return cls._parse(_content(path))
        except OSError as error:
            where = place(path)
            raise LockError(f"{where} cannot be read: {error.strerror}; name a folder that a merge wrote") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise LockError(f"{place(path)}: {shown(where)}: {first['msg'].lower()}; merge again") from None
        except (ValueError, MergeAlgebraError) as error:
            raise LockError(f"{place(path)}: {error}; merge again") from None

    @classmethod
    def _parse(cls, data: bytes) -> Self:
        lock = cls.model_validate(_plain(strict_json.parse(data.strip(b" \t\r\n"), _MAX_DEPTH)))
        lock.check()
        return lock

    def check(self) -> None:
        """Raise LockError unless what follows from other parts of the lock does [LK-4]."""
        recipe = complete_recipe(self.recipe)
        for contribution in self.contributions:
            self._check_contribution(contribution, recipe)
        ids = [contribution.id for contribution in self.contributions]
        if not ids:
            raise LockError("it has no contributions, but nothing merges to nothing")
        if ids != sorted(set(ids)):
            raise LockError("contributions are not in the order of their ids, each once")
        density = achieved_density([c.kept for c in self.contributions], [c.elements for c in self.contributions])
        if self.achieved_density != density:
            raise LockError(f"the achieved density {self.achieved_density!r} is {density}")
        if self.merge_id != merge_id(self.base, recipe.id, ids):
            raise LockError("the merge id does not follow from base, recipe and contributions")
        if self.model_root != tensors_root(self.tensors):
            raise LockError("the model root does not follow from the tensors")

    def _check_contribution(self, contribution: LockedContribution, recipe: Recipe) -> None:
        id_, kept, elements = contribution.id, contribution.kept, contribution.elements
        if id_ != self.manifest(contribution).id:
            raise LockError(f"contribution {id_} does not follow from its manifest")
        if kept > elements or (kept < elements and recipe.keeps_all):
            raise LockError(f"contribution {id_} cannot have kept {kept} of {elements} elements")
        coefficient = decimals.from_hex(contribution.coefficient)
        decimals.check_coefficient(coefficient, f"contribution {id_}", negative=recipe.negative_coefficients)

    def manifest(self, contribution: LockedContribution) -> Manifest:
        """The manifest of one of the contributions [CT-2]."""
        fields = contribution.model_dump(exclude={"id", "kept"})
        return Manifest(base=self.base, **fields)


@dataclass(frozen=True)
class Verification:
    """What `verify` found. problem: the first thing that differs, in one line; empty when all is well."""

    model_root: str
    merge_id: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the folder is the model that its lock says it is."""
        return not self.problem

    def raise_if_failed(self) -> None:
        """Raise VerificationFailed with the problem, if there is one."""
        if self.problem:
            raise VerificationFailed(self.problem)


def tensors_root(tensors: Mapping[str, LockedTensor]) -> str:
    """The model root of locked tensors [EN-7]."""
    return model_root((name, t.dtype, tuple(t.shape), t.root) for name, t in tensors.items())


def achieved_density(kept: Sequence[int], elements: Sequence[int]) -> str:
    """All elements kept over all elements, six decimals, rounded to nearest even [LK-2].

    >>> achieved_density([1, 2], [5, 5])
    '0.300000'
    """
    fraction = Fraction(sum(kept), sum(elements)) if sum(elements) else Fraction(0)
    return f"{round(fraction * 10**6) / 10**6:.6f}"


def verify_folder(folder: str | os.PathLike[str], threads: int = 1) -> tuple[Lock, Verification]:
    """Hash the tensors of a model folder against its lock [LK-5].

    Raises LockError for the lock, and as Checkpoint.open does when the model cannot be read.
    """
    folder = Path(folder)
    lock = Lock.read(folder)
    with Checkpoint.open(folder) as checkpoint:
        found = {
            record.name: LockedTensor(dtype=record.dtype, shape=list(record.shape), root=root)
            for record, root in zip(checkpoint.records.values(), checkpoint.roots(threads).values(), strict=True)
        }
    problem = first_difference(lock.tensors, found)
    root = tensors_root(found)
    return lock, Verification(root, lock.merge_id, f"{place(folder)}: {problem} of {LOCK}" if problem else "")


def first_difference(expected: Mapping[str, LockedTensor], found: Mapping[str, LockedTensor]) -> str:
    """How the first tensor in name order differs from the expected one; empty when all are equal [LK-5]."""
    for name in sorted(expected.keys() | found.keys(), key=str.encode):
        if name not in found:
            return f"tensor {shown(name)} is missing, but is one"
        if name not in expected:
            return f"tensor {shown(name)} is not one"
        for field in LockedTensor.model_fields:
            ours, theirs = getattr(found[name], field), getattr(expected[name], field)
            if ours != theirs:
                return f"tensor {shown(name)} has {field} {shown(ours)}, not the {shown(theirs)}"
    return ""


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # before opening: a pipe would block
        raise LockError("it is no file")
    if path.stat().st_size > _MAX_BYTES:  # before reading: read(n) makes room for n bytes
        raise LockError(f"it is larger than {_MAX_BYTES} bytes")
    return path.read_bytes()


def _plain(value: object) -> Any:
    """Parsed JSON as plain values, repeated keys and lone surrogates refused; a `Number` stays, and fits no field."""
    if isinstance(value, strict_json.Object):
        if value.repeated is not None:
            raise LockError(f"the key {shown(value.repeated)} stands twice")
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        value.encode()
    return [_plain(item) for item in value] if isinstance(value, list) else value
