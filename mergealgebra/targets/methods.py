"""Our own methods as merge functions: which there are, and the code that makes one. Nothing else here lists them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: The class of the recipe, by the name of the method.
METHODS: Final[Mapping[str, str]] = MappingProxyType(
    {"ties": "Ties", "mean": "Mean", "task_arithmetic": "TaskArithmetic"}
)

_CODE: Final = """\
import mergealgebra as ma

recipe = ma.{recipe}


def merge(base, task_vectors):
    return ma.merge(base, task_vectors, recipe, threads=1)
"""

_PARTS: Final = """\
ids = iter(range(2**63))


def finalize(base, part):
    return part.finalize().apply(base, recipe.lambda_)


merge.lift = lambda task_vector: ma.Aggregate.lift(recipe, str(next(ids)), task_vector)
merge.combine = lambda one, other: one.combine(other)
merge.finalize = finalize
"""


def method_code(name: str, options: Mapping[str, str]) -> str:
    """Python that binds `merge` to a method with these keys of its recipe."""
    keys = {"lambda_" if key == "lambda" else key: text for key, text in options.items()}
    written = ", ".join(f"{key}={text!r}" for key, text in keys.items())
    return _CODE.format(recipe=f"{METHODS[name]}({written})")


def method_parts(options: Mapping[str, str]) -> str:
    """Python that gives that `merge` its parts; "" where the dialect has none."""
    return _PARTS if options.get("dialect", "canonical") == "canonical" else ""
