"""How a law calls the merge function. A counterexample prints the function it used, so each needs nothing but NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mergealgebra.laws.equations import Merge, Model


def on_copies(merge: Callable[..., Mapping[str, Any]]) -> Merge:
    """`merge` on copies of its arguments, so that one that writes into them breaks purity alone."""

    def called(base: Model, task_vectors: list[Model]) -> Model:
        copies = [{name: np.array(array) for name, array in model.items()} for model in (base, *task_vectors)]
        return as_given(merge)(copies[0], copies[1:])

    return called


def as_given(merge: Callable[..., Mapping[str, Any]]) -> Merge:
    """`merge` on its very arguments, its answer as a plain mapping of NumPy arrays."""

    def called(base: Model, task_vectors: list[Model]) -> Model:
        merged = merge(base, task_vectors)
        if not hasattr(merged, "items"):
            raise TypeError(f"it returned {type(merged).__name__}, expected a dict of arrays by name")
        for name, array in merged.items():
            if not hasattr(array, "dtype"):
                raise TypeError(f"it returned {type(array).__name__} as {name}, expected an array")
        return {name: np.asarray(array) for name, array in merged.items()}

    return called


def arity_of(merge: Any) -> int | None:
    """How many task vectors a merge function takes, by its attribute `arity`; None for any number."""
    arity = getattr(merge, "arity", None)
    return arity if isinstance(arity, int) and arity > 0 else None


def by_parts(merge: Any) -> Any:
    """`merge` itself, whose parts are called too."""
    return merge
