"""`merge.lock`: what a merged model was made from, and the check that it still is that model [LK-1 to LK-6]."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from mergealgebra import lock_file
from mergealgebra.algebra import decimals
from mergealgebra.crdt.genesis import merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.disk import read_file
from mergealgebra.encoding import model_root
from mergealgebra.errors import LockError, MergeAlgebraError, MethodMissing, OutputError, VerificationFailed
from mergealgebra.lock_file import LockedContribution, LockedTensor, read_fields
from mergealgebra.lock_size import size_of_lock
from mergealgebra.methods.method import Method
from mergealgebra.permissions import reading_advice
from mergealgebra.progress import Progress, counter, quiet
from mergealgebra.recipe import computable_recipe
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import LOCK
from mergealgebra.tensors.header import TensorRecord
from mergealgebra.tensors.single_file import is_single_file, lock_beside
from mergealgebra.text import location, printable, shown


@dataclass(frozen=True, repr=False)
class Lock:
    """The content of `merge.lock`, in the order in which it is written [LK-2]."""

    format: int
    spec: int
    base: str
    recipe: dict[str, Any]
    contributions: list[LockedContribution]
    merge_id: str
    tensors: dict[str, LockedTensor]
    model_root: str
    achieved_density: str
    uncertified: int
    backend: str

    def __repr__(self) -> str:
        made_of, tensors = len(self.contributions), len(self.tensors)
        return f"Lock(contributions={made_of}, tensors={tensors}, model_root={self.model_root[:12]}...)"

    def to_bytes(self) -> bytes:
        """The file: JSON, two spaces of indentation, a final line feed."""
        contributions = [contribution.to_map(self.format) for contribution in self.contributions]
        written = vars(self) | {"contributions": contributions}
        return json.dumps(written, ensure_ascii=False, indent=2, default=asdict).encode() + b"\n"

    @classmethod
    def read(cls, model: Path) -> Self:
        """The lock of a merged model, which agrees with itself [LK-4]. Raises LockError, naming the file."""
        _refuse_no_lock(model, lock_of(model))
        return cls.read_file(lock_of(model))

    @classmethod
    def read_named(cls, path: Path) -> Self:
        """The lock in a file, or of the model that is named in place of it. Raises as `read` does."""
        return cls.read(path) if path.is_dir() or is_single_file(path) else cls.read_file(path)

    @classmethod
    def read_file(cls, path: Path) -> Self:
        """The lock in a file. Raises as `read` does."""
        try:
            lock = cls(**read_fields(read_file(path, lock_file.MAX_BYTES)))
            lock.check()
            return lock
        except FileNotFoundError:
            raise LockError(f"{location(path)} is not there; check the path") from None
        except OSError as error:
            advice = reading_advice(error, path, "name a model that a merge wrote")
            raise LockError(f"{location(path)} cannot be read: {error.strerror}; {advice}") from None
        except MethodMissing as error:
            raise LockError(f"{location(path)}: {error}") from None
        except (ValueError, MergeAlgebraError) as error:
            raise LockError(f"{location(path)}: {error}; merge again") from None

    def check(self) -> None:
        """Raise LockError unless what follows from other parts of the lock does [LK-4]."""
        recipe = computable_recipe(self.recipe)
        for contribution in self.contributions:
            self._check_contribution(contribution, recipe)
        ids = [contribution.id for contribution in self.contributions]
        if not ids:
            raise LockError("it has no contributions, but nothing merges to nothing")
        if self.format != (needed := lock_format(map(self.manifest, self.contributions))):
            raise LockError(f"its format is {self.format}, and its contributions need {needed}")
        if ids != sorted(set(ids)):
            raise LockError("contributions are not in the order of their ids, each once")
        self._check_number(recipe, ids)
        density = achieved_density([c.kept for c in self.contributions], [c.elements for c in self.contributions])
        if self.achieved_density != density:
            raise LockError(f"the achieved density {shown(self.achieved_density)} is {density}")
        if self.merge_id != merge_id(self.base, recipe.id, ids):
            raise LockError("the merge id does not follow from base, recipe and contributions")
        if self.model_root != tensors_root(self.tensors):
            raise LockError("the model root does not follow from the tensors")

    def _check_number(self, recipe: Method, ids: Sequence[str]) -> None:
        arity, task = recipe.needs.arity, recipe.needs.task
        if arity not in (None, len(ids)):
            raise LockError(f"{recipe.name} merges exactly {arity}, and it has {len(ids)} contributions")
        if task and task not in ids:
            raise LockError(f"the recipe's task {task} is not the id of one of its contributions")

    def _check_contribution(self, contribution: LockedContribution, recipe: Method) -> None:
        id_, kept, elements = contribution.id, contribution.kept, contribution.elements
        if id_ != self.manifest(contribution).id:
            raise LockError(f"contribution {id_} does not follow from its manifest")
        if kept > elements or (kept < elements and not recipe.drops):
            raise LockError(f"contribution {id_} cannot have kept {kept} of {elements} elements")
        coefficient = decimals.from_hex(contribution.coefficient)
        recipe.check_coefficient(coefficient, f"contribution {id_}")

    @property
    def remarks(self) -> list[str]:
        """A line where the model is the base [LK-1]: what was wanted is hardly that."""
        said = "the merged model is the base, bit for bit: by this recipe the contributions change nothing"
        return [said] if self.model_root == self.base else []

    def refuse_other_model(self, computed: Lock) -> None:
        """Raise VerificationFailed when a model that was computed anew is not the one of this lock [LK-6]."""
        if difference := first_difference(self.tensors, computed.tensors):
            raise VerificationFailed(
                f"what the lock describes gives another model here: {difference} of the lock; nothing is written"
            )

    def manifest(self, contribution: LockedContribution) -> Manifest:
        """The manifest of one of the contributions [CT-2]."""
        return Manifest(
            self.base,
            contribution.coefficient,
            contribution.elements,
            contribution.form,
            contribution.tensors,
            contribution.auxiliary,
        )


@dataclass(frozen=True, repr=False)
class Verification:
    """What `verify` found. problem: the first thing that differs, in one line; empty when all is well.

    remarks: what is true and may surprise, a line each; no failure.

    >>> found = Verification(model_root="ab" * 32, merge_id="cd" * 32)
    >>> found, found.ok, found.raise_if_failed()
    (Verification(ok, model_root=abababababab...), True, None)
    """

    model_root: str
    merge_id: str
    problem: str = ""
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = f"problem={self.problem!r}" if self.problem else f"ok, model_root={self.model_root[:12]}..."
        return f"Verification({found})"

    @property
    def ok(self) -> bool:
        """Whether it is the model that its lock says it is."""
        return not self.problem

    def raise_if_failed(self) -> None:
        """Raise VerificationFailed with the problem, if there is one."""
        if self.problem:
            raise VerificationFailed(self.problem)


def tensors_root(tensors: Mapping[str, LockedTensor]) -> str:
    """The model root of locked tensors [EN-7]."""
    return model_root((name, t.dtype, t.shape, t.root) for name, t in tensors.items())


def lock_format(manifests: Iterable[Manifest]) -> int:
    """The format of the lock of these contributions: the first that can say what they are [LK-2]."""
    return max((manifest.format for manifest in manifests), default=1)


def achieved_density(kept: Sequence[int], elements: Sequence[int]) -> str:
    """All elements kept over all elements, six decimals, rounded to nearest even [LK-2].

    >>> achieved_density([1, 2], [5, 5])
    '0.300000'
    """
    fraction = Fraction(sum(kept), sum(elements)) if sum(elements) else Fraction(0)
    return f"{round(fraction * 10**6) / 10**6:.6f}"


def lock_of(model: Path) -> Path:
    """Where the lock of a merged model is: in its folder, or beside its file [LK-1, LK-9]."""
    return lock_beside(model) if is_single_file(model) and not model.is_dir() else model / LOCK


def _refuse_no_lock(model: Path, lock: Path) -> None:
    """Raise LockError for what has no lock, and say what to name in its place."""
    with suppress(OSError):  # it may be there, and closed to us
        if lock.exists():
            return
        if not model.exists():
            raise LockError(f"{location(model)} is not there; check the path")
        if model.is_file() and (model.parent / LOCK).is_file():
            command = f"mergealgebra verify {shlex.quote(location(model.parent))}"
            raise LockError(f"{location(model)} is a file of a merged model: name its folder, `{command}`")
        raise LockError(f"{location(lock)} is not there; name a model that a merge wrote")


def verify_model(
    model: str | os.PathLike[str], threads: int = 1, progress: Progress = quiet
) -> tuple[Lock, Verification]:
    """Hash the tensors of a merged model, a folder or a file, against its lock [LK-5, LK-9].

    Raises LockError for the lock, and as Checkpoint.open does when the model cannot be read.
    """
    model = Path(model)
    lock = Lock.read(model)
    with Checkpoint.open(model) as checkpoint:
        roots = checkpoint.roots(threads, more=counter(progress, "reading the model", checkpoint.nbytes))
        found = {
            record.name: LockedTensor(record.dtype, record.shape, root)
            for record, root in zip(checkpoint.records.values(), roots.values(), strict=True)
        }
    problem = first_difference(lock.tensors, found)
    if problem:
        problem = f"{location(model)}: {problem} of {printable(lock_of(model).name)}"
    return lock, Verification(tensors_root(found), lock.merge_id, problem)


def first_difference(expected: Mapping[str, LockedTensor], found: Mapping[str, LockedTensor]) -> str:
    """How the first tensor in name order differs from the expected one; empty when all are equal [LK-5]."""
    for name in sorted(expected.keys() | found.keys(), key=str.encode):
        if name not in found:
            return f"tensor {shown(name)} is missing, but is one"
        if name not in expected:
            return f"tensor {shown(name)} is not one"
        ours, theirs = found[name], expected[name]
        if ours != theirs:
            return f"tensor {shown(name)} has {_difference(ours, theirs)}"
    return ""


def _difference(ours: LockedTensor, theirs: LockedTensor) -> str:
    if ours.dtype != theirs.dtype:
        return f"dtype {shown(ours.dtype)}, not the {shown(theirs.dtype)}"
    if ours.shape != theirs.shape:
        return f"shape {list(ours.shape)}, not the {list(theirs.shape)}"
    return f"root {shown(ours.root)}, not the {shown(theirs.root)}"


def refuse_large(records: Iterable[TensorRecord], contributions: int, format_: int = 1) -> None:
    """Raise OutputError where the lock of a merge would be larger than any that is read, before there is work."""
    nbytes = size_of_lock(records, contributions, format_)
    if nbytes > lock_file.MAX_BYTES:
        raise OutputError(
            f"{LOCK} would have about {nbytes:,} bytes, and at most {lock_file.MAX_BYTES:,} are read: "
            "merge a model of fewer tensors"
        )
