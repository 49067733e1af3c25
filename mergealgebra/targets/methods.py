"""Our own methods as merge functions: the code that makes one, from the registry alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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

#: Of a method whose `task` is chosen anew in each merge: its id is that of one task vector, whatever that holds.
_OF_TASK: Final = """\
import mergealgebra.engine.memory
import {module}

task = {task!r}
recipe = {module}.{recipe}


def place_of_task(task_vectors):
    return {place}


def merge(base, task_vectors):
    label = f"task vector {{place_of_task(task_vectors)}}"

    def identify(base_root, contribution, root):
        return task if contribution.label == label else "0" * 64

    return mergealgebra.engine.memory.merge(base, task_vectors, recipe, threads=1, identify=identify)
"""

#: What `task` may be, where a merge makes its contributions itself: the first, or the one of the greatest bytes.
TASKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "first": "0",
        "greatest": "max(range(len(task_vectors)), key=lambda i: [x.tobytes() for x in task_vectors[i].values()])",
    }
)
_TASK: Final = "1" * 64

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
    than that they belong to it. A task may be one of `TASKS`, for nobody knows the ids of what a law makes up. Raises
    RecipeError and DecimalError.
    """
    recipe = _recipe(name, options)
    if recipe.needs.task == _TASK:
        given = {key: text for key, text in options.items() if key != "task"}
        call = _call(type(recipe), given, "task=task")
        return _OF_TASK.format(module=type(recipe).__module__, recipe=call, task=_TASK, place=TASKS[options["task"]])
    written = repr(recipe) if isinstance(recipe, InDialect) else _call(type(recipe), options)
    code = _CODE if recipe.needs.arity is None else _CODE + _ARITY
    return code.format(
        arity=recipe.needs.arity,
        module=type(recipe).__module__,
        recipe=written,
        kinds=sorted(recipe.needs.auxiliary),
    )


def _recipe(name: str, options: Mapping[str, str]) -> Method:
    """The recipe, a task that is to be chosen being the one id that `merge` gives. Raises RecipeError, DecimalError."""
    chosen = {"task": _TASK} if options.get("task") in TASKS else {}
    return recipe_from_map({"method": name, **options, **chosen})


def _call(kind: type[Method], options: Mapping[str, str], *more: str) -> str:
    keys = [f"{field_of(key)}={text!r}" for key, text in options.items()]
    return f"{kind.__qualname__}({', '.join([*keys, *more])})"


def method_parts(name: str, options: Mapping[str, str]) -> str:
    """Python that gives that `merge` its parts; "" where the method has none."""
    return _PARTS if has_parts(_recipe(name, options)) else ""


def has_parts(recipe: Method) -> bool:
    """Whether contributions can be lifted one by one, and what they give combined [EX-4]."""
    first, *later = recipe.rounds
    if later or isinstance(first, WholeRound) or first.weigh is not None:
        return False
    return recipe.needs.on == "tau" and recipe.needs.arity is None
