"""Dialects that differ from the canonical one at some points, and what they make of short lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import ml_dtypes
import numpy as np

from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, Dialect
from mergealgebra.errors import RecipeError

REFUSED = "refused"
BF16 = ml_dtypes.bfloat16


def canonical_but(**options: str) -> Dialect:
    """The canonical dialect with other options at some points; `lambda_` is the point `lambda`."""
    options = {point.rstrip("_"): option for point, option in options.items()}
    canonical = DIALECTS["canonical"]
    return replace(canonical, options=MappingProxyType({**canonical.options, **options}))


def merged(dialect, task_vectors: Sequence[Sequence[float]], **parameters):
    """What a dialect makes of task vectors of one fp32 tensor, added to zeros, or REFUSED."""
    base = {"w": np.zeros(len(task_vectors[0]), np.float32)}
    try:
        result = merge_in_dialect(dialect, base, [{"w": np.float32(w)} for w in task_vectors], **parameters)
    except RecipeError:
        return REFUSED
    return result["w"].tolist()


TEN = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def top(count, of=TEN):
    return [x if x > len(of) - count else 0 for x in of]
