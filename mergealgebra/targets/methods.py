"""Our own methods as merge functions: the code that makes one, from the registry alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mergealgebra.algebra.method import WholeRound
from mergealgebra.methods.in_dialect import InDialect
from mergealgebra.methods.method import Method, field_of
from mergealgebra.recipe import recipe_from_map

_CODE: Final = """\
import mergealgebra as ma
import {module}

recipe = {module}.{recipe}
kinds = {kinds}


def auxiliary(task_vector):
    return {{kind: {{name: (array != 0) + np.float32(1) for name, array in task_vector.items()}} for kind in kinds}}


def merge(base, task_vectors):
    return ma.merge(base, task_vectors, recipe, auxiliary=[auxiliary(vector) for vector in task_vectors], threads=1)
"""

_PARTS: Final = """\
ids = iter(range(2**63))


def lift(task_vector):
    return ma.Aggregate.lift(recipe, str(next(ids)), task_vector, auxiliary=auxiliary(task_vector))


def finalize(base, part):
    return part.finalize().apply(base, recipe.lambda_text)


merge.lift = lift
merge.combine = lambda one, other: one.combine(other)
merge.finalize = finalize
"""

_ARITY: Final = """\
merge.arity = {arity}
"""


def method_code(name: str, options: Mapping[str, str]) -> str:
    """Python that binds `merge` to a method with these keys of its recipe.

    Auxiliary tensors, where a method needs them, are 2 where a task vector is not zero, else 1: laws ask for no more
    than that they belong to it. Raises RecipeError and DecimalError.
    """
    recipe = recipe_from_map({"method": name, **options})
    written = repr(recipe) if isinstance(recipe, InDialect) else _call(type(recipe), options)
    code = _CODE if recipe.needs.arity is None else _CODE + _ARITY
    return code.format(
        arity=recipe.needs.arity,
        module=type(recipe).__module__,
        recipe=written,
        kinds=sorted(recipe.needs.auxiliary),
    )


def _call(kind: type[Method], options: Mapping[str, str]) -> str:
    keys = {field_of(key): text for key, text in options.items()}
    return f"{kind.__qualname__}({', '.join(f'{key}={text!r}' for key, text in keys.items())})"


def method_parts(name: str, options: Mapping[str, str]) -> str:
    """Python that gives that `merge` its parts; "" where the method has none."""
    return _PARTS if has_parts(recipe_from_map({"method": name, **options})) else ""


def has_parts(recipe: Method) -> bool:
    """Whether contributions can be lifted one by one, and what they give combined [EX-4]."""
    first, *later = recipe.rounds
    if later or isinstance(first, WholeRound) or first.weigh is not None:
        return False
    return recipe.needs.on == "tau" and recipe.needs.arity is None
