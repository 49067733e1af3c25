"""What laws are asked of: a merge function, and the Python code that makes it.

A named target is loaded by running its code, so what a counterexample prints is what was checked.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.laws.errors import NotInstalled, TargetError, raised
from mergealgebra.text import printable

_RECIPES: Final[Mapping[str, str]] = MappingProxyType(
    {"ties": "Ties", "mean": "Mean", "task_arithmetic": "TaskArithmetic"}
)
_PEERS: Final[Mapping[str, str]] = MappingProxyType({"mergekit": "mergekit==0.1.5", "peft": "peft==0.21.2"})

_OURS: Final = """\
import mergealgebra as ma

recipe = ma.{recipe}


def merge(base, task_vectors):
    return ma.merge(base, task_vectors, recipe, threads=1)
"""

_OUR_PARTS: Final = """\
ids = iter(range(2**63))


def finalize(base, part):
    return part.finalize().apply(base, recipe.lambda_)


merge.lift = lambda task_vector: ma.Aggregate.lift(recipe, str(next(ids)), task_vector)
merge.combine = lambda one, other: one.combine(other)
merge.finalize = finalize
"""


#: Names that an import statement can have, so that a counterexample is a program whatever was asked.
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True)
class Target:
    """A merge function by name.

    merge: takes `base`, a mapping name -> NumPy array, and `task_vectors`, a list of mappings of its names to fp32
    arrays of its shapes; returns the merged model, a mapping of its names to arrays. A shape may be () or hold no
    elements. It may have attributes lift(task_vector), combine(part, part) and finalize(base, part).
    code: Python that binds `merge` to it. parts: Python that then gives `merge` those attributes, or "".
    """

    name: str
    merge: Callable[..., Any]
    code: str
    parts: str = ""


def target(name: str, **options: str) -> Target:
    """The target of a name: ties, mean, task_arithmetic, mergekit, peft or module:function.

    options: keys of the recipe for the first three; keyword arguments for the others, read as Python literals where
    they are any. Modules are found as `import` finds them. Raises TargetError, NotInstalled, RecipeError, DecimalError.

    >>> target("ties", density="0.2").name
    'ties density=0.2'
    """
    in_parts = name in _RECIPES and options.get("dialect", "canonical") == "canonical"
    code, parts = _code(name, options), _OUR_PARTS if in_parts else ""
    title = " ".join([name, *(f"{key}={text}" for key, text in options.items())])
    scope: dict[str, Any] = {"__name__": "merge_function"}
    try:
        exec(compile(code + parts, f"<{title}>", "exec"), scope)
    except MergeAlgebraError:
        raise
    except Exception as error:
        raise TargetError(f"{title}: loading it raised {raised(error)}") from error
    return Target(title, scope["merge"], code, parts)


def function(merge: Callable[..., Any]) -> Target:
    """The target of a merge function at hand. Its code imports it, if that finds it."""
    module, name = getattr(merge, "__module__", None), getattr(merge, "__qualname__", "")
    if module and module != "__main__" and getattr(sys.modules.get(module), name, None) is merge:
        return Target(f"{module}:{name}", merge, f"from {module} import {name} as merge\n")
    title = printable(name or type(merge).__name__)
    return Target(title, merge, f"# `merge` is {title}, which cannot be imported: define it before you run this.\n")


def _code(name: str, options: Mapping[str, str]) -> str:
    _check_names(name, options)
    if name in _RECIPES:
        keys = {"lambda_" if key == "lambda" else key: text for key, text in options.items()}
        return _OURS.format(recipe=f"{_RECIPES[name]}({_written(keys)})")
    values = {key: _literal(text) for key, text in options.items()}
    code = _peer(name) if name in _PEERS else _imported(name)
    if not values:
        return code
    return f"{code}\n\nfrom functools import partial\n\nmerge = partial(merge, {_written(values)})\n"


def _check_names(name: str, options: Mapping[str, str]) -> None:
    if name not in {*_RECIPES, *_PEERS} and not _FUNCTION.fullmatch(name):
        known = ", ".join([*_RECIPES, *_PEERS])
        raise TargetError(f"{name!r} is no target; expected one of {known}, or module:function")
    for key in options:
        if not key.isidentifier():
            raise TargetError(f"{name}: {key!r} is no name of an option")


def _written(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in values.items())


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _peer(name: str) -> str:
    if find_spec(name) is None:
        raise NotInstalled(f"{name} is not installed; pip install torch==2.13.0 {_PEERS[name]}")
    _module(name, name)
    return (Path(__file__).parent / "peers" / f"{name}.py").read_text()


def _imported(name: str) -> str:
    """The code that imports module:function, once that is known to work."""
    module, wanted = name.split(":")
    found = _module(module, name)
    if not callable(getattr(found, wanted, None)):
        why = "is no function" if hasattr(found, wanted) else "has no such name"
        raise TargetError(f"{name}: {module} was imported, but {wanted!r} {why}")
    return f"from {module} import {wanted} as merge\n"


def _module(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:
        raise TargetError(f"{name}: importing {module} raised {raised(error)}") from error
