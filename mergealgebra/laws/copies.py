"""How a law calls the merge function: on copies, so that one that writes into its arguments breaks purity alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mergealgebra.laws.equations import Merge, Model


def on_copies(merge: Callable[..., Mapping[str, Any]]) -> Merge:
    """`merge` on copies of its arguments, its answer as a plain mapping of NumPy arrays."""

    def called(base: Model, task_vectors: list[Model]) -> Model:
        copies = [{name: np.array(array) for name, array in model.items()} for model in (base, *task_vectors)]
        merged = merge(copies[0], copies[1:])
        if not hasattr(merged, "items"):
            raise TypeError(f"it returned {type(merged).__name__}, not a dict of arrays by name")
        return {name: np.asarray(array) for name, array in merged.items()}

    return called
