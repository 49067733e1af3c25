"""Whether a model of a one-shot merge looks like a fine-tune of the base, by a sample of its values [RC-10]."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mergealgebra.errors import RecipeError
from mergealgebra.likeness import sample
from mergealgebra.merge_input import Input
from mergealgebra.methods.mean import Mean
from mergealgebra.methods.method import Method
from mergealgebra.tensors.block_vectors import subtract
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.choice import Choice
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.form_names import FINETUNED
from mergealgebra.tensors.forms import Held
from mergealgebra.text import listed, location, shown

#: A model whose norm is below this share of the base's is not one [CT-11].
_SMALL: Final = 0.5
#: Elements that are compared at a time.
_STEP: Final = 1 << 20


@dataclass(frozen=True)
class Look:
    """What a sample shows of a model: does it change anything? The norms of its difference, of the base, of itself."""

    changed: bool
    difference: float
    base: float
    own: float

    def doubt(self, remove: str) -> str:
        """What looks like a mistake; empty if nothing does. remove: what to do about a model of another base."""
        if not self.base:
            return ""
        if self.own < _SMALL * self.base:
            return (
                f"its size is about {self._times(self.own)} the base's (by a sample of its values), as if it were a "
                "difference and not a model; if so, name the model that it is the difference of"
            )
        if self.difference > self.base:
            return (
                f"its difference from the base is about {self._times(self.difference)} the base's size (by a sample "
                f"of its values), as if it came from another base; if so, {remove}"
            )
        return ""

    def _times(self, norm: float) -> str:
        return f"{norm / self.base:.2g} times"


def look(model: Held, base: Checkpoint, names: Sequence[str]) -> Look:
    """Sample these tensors, which both have as floats of one shape. Raises CheckpointError."""
    squares, changed = np.zeros(3), False
    for block in sample([model.records[name] for name in names], names):
        ours, theirs = (side.read(block.name, block.start, block.stop) for side in (model, base))
        with np.errstate(all="ignore"):
            tau = subtract(ours, theirs)
            changed |= bool(np.count_nonzero(tau))
            wide = (array.astype(np.float64) for array in (tau, theirs, ours))
            squares += [float(np.square(array[np.isfinite(array)]).sum()) for array in wide]
    return Look(changed, *(math.sqrt(square) for square in squares))


def refuse_base(base: Path, models: Sequence[Path], recipe: Method) -> None:
    """Raise RecipeError for a model that is the base by its path."""
    for number, path in enumerate(models):
        if os.path.realpath(path) == os.path.realpath(base):  # of a loop of links too
            raise _the_base_itself(number, location(path), recipe)


def doubts(inputs: Sequence[Input], base: Checkpoint, recipe: Method, remove: str) -> list[str]:
    """A line for each model that looks like a mistake. remove: as of `Look.doubt`.

    Raises RecipeError where all that is chosen of a model is as in the base.
    """
    found = []
    for number, input_ in enumerate(inputs):
        one, names = input_.contribution, input_.names
        if any(one.form_of(name) != FINETUNED for name in names):
            continue  # a difference looks like none
        label = one.label
        seen = look(input_.checkpoint, base, names)
        if not seen.changed and _is_base(input_.checkpoint, base, names):
            if any(_fits(input_.checkpoint, base, name) for name in base.records.keys() - {*names}):
                raise RecipeError(
                    f"models[{number}] ({label}) has the base's values in all that is taken of it: remove it"
                )
            raise _the_base_itself(number, label, recipe)
        if doubt := seen.doubt(remove):
            found.append(f"{label}: {doubt}")
    return found


def twice(paths: Sequence[Path], inputs: Sequence[Input]) -> list[str]:
    """A line for each model that a file names twice for a tensor: it counts twice [RC-10]."""
    found = []
    for number, (path, input_) in enumerate(zip(paths, inputs, strict=True)):
        for before, (other, earlier) in enumerate(zip(paths[:number], inputs, strict=False)):
            if os.path.realpath(path) == os.path.realpath(other) and {*input_.names} & {*earlier.names}:
                label = input_.contribution.label
                found.append(
                    f"models[{before}] and models[{number}] are both {label}, and count as two: remove one of them if "
                    "one is meant"
                )
    return found


def _the_base_itself(number: int, label: str, recipe: Method) -> RecipeError:
    dilutes = " and only dilutes" if isinstance(recipe, Mean) else ""
    return RecipeError(f"models[{number}] ({label}) is the base itself, which changes nothing{dilutes}: remove it")


def left_by_all(base: Checkpoint, models: Sequence[Held], left: Choice) -> list[str]:
    """A line for tensors that one model alone made it necessary to leave out, and that others change."""
    lost = []
    for name in (name for name in base.records if left.leave and name not in left):
        fitting = [model for model in models if _fits(model, base, name)]
        if 0 < len(fitting) < len(models) and any(look(model, base, [name]).changed for model in fitting):
            lost.append(name)
    if not lost:
        return []
    are, stays, it = ("is", "stays", "it") if len(lost) == 1 else ("are", "stay", "them")
    return [f"{listed(map(shown, lost))} {are} left out of all models, so the base's {stays}, though some change {it}"]


def _fits(model: Held, base: Checkpoint, name: str) -> bool:
    ours, theirs = model.records.get(name), base.records[name]
    if ours is None or ours.shape != theirs.shape:
        return False
    return DTYPES[ours.dtype].is_float and DTYPES[theirs.dtype].is_float


def _is_base(model: Held, base: Checkpoint, names: Sequence[str]) -> bool:
    """Whether these tensors have elements, and the base's values. It reads up to the first that differs."""
    return any(model.records[name].size for name in names) and not any(_differs(model, base, name) for name in names)


def _differs(model: Held, base: Checkpoint, name: str) -> bool:
    size = model.records[name].size
    for start in range(0, size, _STEP):
        stop = min(start + _STEP, size)
        with np.errstate(all="ignore"):
            if np.count_nonzero(subtract(model.read(name, start, stop), base.read(name, start, stop))):
                return True
    return False
