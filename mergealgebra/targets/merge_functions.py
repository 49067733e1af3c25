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

import numpy as np

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.errors import NotInstalled, TargetError, raised
from mergealgebra.targets.functions import SETTINGS, Call, DoesNotFit, call_of
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


#: Calls a function that has to be given settings as laws call one.
_SET: Final = """\

def merge(base, task_vectors, called=merge):
    return called(base, task_vectorsSETTINGS)
"""

#: Gives a function fine-tuned models, whose dtypes are the base's, and has the task vectors tell if it changes them.
_MODELED: Final = """\

def as_models(base, task_vectors):
    moved = [{name: base[name] + vector[name] for name in base} for vector in task_vectors]
    return [{name: np.asarray(array, base[name].dtype) for name, array in model.items()} for model in moved]


def merge(base, task_vectors, called=merge):
    models, before = as_models(base, task_vectors), as_models(base, task_vectors)
    merged = called(base, list(models)SETTINGS)
    for vector, model, then in zip(task_vectors, models, before):
        vector.update({name: model[name] for name in then if (model[name] != then[name]).any()})
    return merged
"""

#: Where such a function has parts, they are those of what calls it.
_SAME_PARTS: Final = """\

for part in ("lift", "combine", "finalize"):
    if hasattr(merge.__defaults__[0], part):
        setattr(merge, part, getattr(merge.__defaults__[0], part))
"""

#: What a setting is that has no default, and is not given as an option.
_PLAIN: Final = {"density": '"1"', "lambda_": '"1"', "coefficients": '["1"] * len(task_vectors)'}

#: Names that an import statement can have, so that a counterexample is a program whatever was asked.
_FUNCTION: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Target:
    """A merge function by name.

    merge: takes `base`, a mapping name -> NumPy array, and `task_vectors`, a list of mappings of its names to fp32
    arrays of its shapes; returns the merged model, a mapping of its names to arrays. A shape may be () or hold no
    elements. It may have attributes lift(task_vector), combine(part, part) and finalize(base, part). What a user's
    function may take besides, or instead, `signature` says.
    code: Python that binds `merge` to it. parts: Python that then gives `merge` those attributes, or "".
    """

    name: str
    merge: Callable[..., Any]
    code: str
    parts: str = ""


def target(name: str, **options: str) -> Target:
    """The target of a name: ties, mean, task_arithmetic, mergekit, peft or module:function.

    options: keys of the recipe for the first three; keyword arguments for the others, read as Python literals where
    they are any, but for a function's density and lambda, which are text. Modules are found as `import` finds them.
    Raises TargetError, NotInstalled, RecipeError, DecimalError.

    >>> target("ties", density="0.2").name
    'ties density=0.2'
    """
    in_parts = name in _RECIPES and options.get("dialect", "canonical") == "canonical"
    code, parts = _code(name, options), _OUR_PARTS if in_parts else ""
    title = " ".join([name, *(f"{key}={text}" for key, text in options.items())])
    merge = _run(title, code + parts)
    return Target(title, merge, code, parts) if name in {*_RECIPES, *_PEERS} else _fitted(title, merge, code)


def function(merge: Callable[..., Any]) -> Target:
    """The target of a merge function at hand. Its code imports it, if that finds it."""
    module, name = getattr(merge, "__module__", None), getattr(merge, "__qualname__", "")
    if module and module != "__main__" and getattr(sys.modules.get(module), name, None) is merge:
        return _fitted(f"{module}:{name}", merge, f"from {module} import {name} as merge\n")
    title = printable(name or type(merge).__name__)
    code = f"# `merge` is {title}, which cannot be imported: define it before you run this.\n"
    return _fitted(title, merge, code)


def _fitted(title: str, merge: Callable[..., Any], code: str) -> Target:
    """The target of a function that a user wrote, called as laws call one. Raises TargetError."""
    try:
        call = call_of(merge)
    except DoesNotFit as error:
        raise TargetError(f"{title} cannot be asked: {error}") from error
    if not (call.models or call.needs):
        return Target(title, merge, code)
    fit = _fit(call)
    return Target(title, _run(title, fit + _SAME_PARTS, merge=merge), f"{code}\n{fit}", _SAME_PARTS)


def _fit(call: Call) -> str:
    """Code that binds `merge` anew. It needs `np`, which every counterexample imports."""
    settings = "".join(f", {name}={_PLAIN[name]}" for name in call.needs)
    return _MODELED.replace("SETTINGS", settings) if call.models else _SET.replace("SETTINGS", settings)


def _run(title: str, code: str, **names: object) -> Any:
    """The `merge` that code binds. Raises what a recipe raises, and TargetError."""
    scope: dict[str, Any] = {"__name__": "merge_function", "np": np, **names}
    try:
        exec(compile(code, f"<{title}>", "exec"), scope)
    except MergeAlgebraError:
        raise
    except Exception as error:
        raise TargetError(f"{title}: loading it raised {raised(error)}") from error
    return scope["merge"]


def _code(name: str, options: Mapping[str, str]) -> str:
    _check_names(name, options)
    if name in _RECIPES:
        keys = {"lambda_" if key == "lambda" else key: text for key, text in options.items()}
        return _OURS.format(recipe=f"{_RECIPES[name]}({_written(keys)})")
    if name in _PEERS:
        code, values = _peer(name), {key: _literal(text) for key, text in options.items()}
    else:
        code, values = _imported(name), _settings(name, options)
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


def _settings(name: str, options: Mapping[str, str]) -> dict[str, object]:
    """The options of a function: its settings as conformance gives them too, all else as Python reads it."""
    named = {"lambda_" if key == "lambda" else key: text for key, text in options.items()}
    if "coefficients" in named:
        raise TargetError(f"{name}: coefficients is one a model, and laws merge any number of models; leave it out")
    return {key: text if key in SETTINGS else _literal(text) for key, text in named.items()}


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
    return (Path(__file__).parent / "adapters" / f"{name}_by_method.py").read_text()


def _imported(name: str) -> str:
    """The code that imports module:function, once that is known to work."""
    module, wanted = name.split(":")
    first, *parts = wanted.split(".")
    found: Any = _module(module, name)
    for part in (first, *parts):
        if not hasattr(found, part):
            raise TargetError(f"{name} cannot be asked: {module} was imported, but {wanted!r} has no such name")
        found = getattr(found, part)
    if not callable(found):
        raise TargetError(f"{name} cannot be asked: {module} was imported, but {wanted!r} is no function")
    return f"from {module} import {first} as merge\n" + (f"\nmerge = merge.{'.'.join(parts)}\n" if parts else "")


def _module(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:
        raise TargetError(f"{name} cannot be asked: importing {module} raised {raised(error)}") from error
