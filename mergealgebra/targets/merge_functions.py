"""A merge function in this process, and the Python code that makes it: what `laws` are asked of."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mergealgebra.errors import MergeAlgebraError, TargetError
from mergealgebra.methods.in_dialect import is_in_dialect
from mergealgebra.methods.registry import find_method, known_names
from mergealgebra.targets.errors import raised
from mergealgebra.targets.functions import PATTERN, NotAMergeFunction, call_of, find, refuse_hidden
from mergealgebra.targets.methods import method_code, method_parts
from mergealgebra.targets.source import PEERS, SAME_PARTS, call_code, function_code, peer_code
from mergealgebra.text import did_you_mean, printable


@dataclass(frozen=True)
class Target:
    """A merge function by name.

    merge: takes `base`, a mapping name -> NumPy array, and `task_vectors`, a list of mappings of its names to fp32
    arrays of its shapes; returns the merged model, a mapping of its names to arrays. A shape may be () or hold no
    elements. It may have attributes lift(task_vector), combine(part, part) and finalize(base, part). What a user's
    function may take besides, or instead, `functions` says.
    code: Python that binds `merge` to it. parts: Python that then gives `merge` those attributes, or "".
    """

    name: str
    merge: Callable[..., Any]
    code: str
    parts: str = ""


def target(name: str, **options: str) -> Target:
    """The target of a name: a method of ours or of a plug-in, mergekit, peft or module:function.

    options: keys of the recipe for a method; keyword arguments for the others, read as Python literals where
    they are any, but for a function's density and lambda, which are text. Modules are found as `import` finds them.
    Raises TargetError, NotInstalled, RecipeError, DecimalError.

    >>> target("ties", density="0.2").name
    'ties density=0.2'
    """
    _check_names(name, options)
    title = " ".join([name, *(f"{key}={text}" for key, text in options.items())])
    if find_method(name) or is_in_dialect({"method": name, **options}):
        code, parts = method_code(name, options), method_parts(name, options)
        return Target(title, _run(title, code + parts), code, parts)
    if name in PEERS:
        code = peer_code(name, options)
        return Target(title, _run(title, code), code)
    code = function_code(name, options)
    _check_options(name, _found(name), options)
    return _fitted(title, _run(title, code), code)


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
    except NotAMergeFunction as error:
        raise TargetError(f"{title} cannot be asked: {error}") from error
    if not (call.models or call.needs):
        return Target(title, merge, code)
    fit = call_code(call)
    return Target(title, _run(title, fit + SAME_PARTS, merge=merge), f"{code}\n{fit}", SAME_PARTS)


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


def _check_names(name: str, options: Mapping[str, str]) -> None:
    ours = find_method(name) or is_in_dialect({"method": name, **options})
    if not ours and name not in PEERS and not PATTERN.fullmatch(name):
        known = ", ".join([*known_names(), *PEERS])
        raise TargetError(f"{name!r} is not a target; expected one of {known}, or module:function")
    for key in options:
        if not key.isidentifier():
            raise TargetError(f"{name}: {key!r} is not the name of an option")


def _found(name: str) -> Callable[..., Any]:
    """What MODULE:FUNCTION names. Raises TargetError."""
    try:
        found: Callable[..., Any] = find(name, raised)
    except NotAMergeFunction as error:
        raise TargetError(f"{name} cannot be asked: {error}") from error
    return found


def refuse_hidden_function(name: str, folder: str) -> None:
    """Raise TargetError where MODULE:FUNCTION is in this folder, and not what an import finds."""
    try:
        refuse_hidden(name, folder)
    except NotAMergeFunction as error:
        raise TargetError(f"{name} cannot be asked: {error}") from error


def _check_options(name: str, found: Callable[..., Any], options: Mapping[str, str]) -> None:
    """Raise TargetError for an option that is not a parameter of the function."""
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        return  # `call_of` says so
    if any(one.kind == one.VAR_KEYWORD for one in parameters.values()):
        return
    for key in options:
        parameter = "lambda_" if key == "lambda" else key
        if parameter not in parameters:
            meant = did_you_mean(parameter, parameters) or ";"
            raise TargetError(f"{name} has no parameter {key!r}{meant} its parameters are {', '.join(parameters)}")
