"""What an equation of mergekit 0.1.5 is given: one tensor of the base and of the models, and their settings [NA-13]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mergealgebra.dialects.mergekit_numbers import Numbers

Array = np.ndarray[Any, Any]
#: Settings by key: a number, a flag, or a word.
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """One tensor of all that is merged, in one dtype and of one shape, in the order of mergekit's file.

    shared: what holds for the tensor. own: what holds for each model of it, the `weight` among it. masks: for each
    model, the mask that was drawn; None where none was.
    """

    numbers: Numbers
    base: Array
    models: Sequence[Array]
    shared: Values = field(default_factory=dict)
    own: Sequence[Values] = ()
    masks: Sequence[Array | None] = ()

    @cached_property
    def taus(self) -> list[Array]:
        """The models minus the base."""
        return [model - self.base for model in self.models]

    def weights(self) -> list[float]:
        """Those of the models."""
        return [float(own["weight"]) for own in self.own]
