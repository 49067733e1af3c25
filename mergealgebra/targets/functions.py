"""MODULE:FUNCTION, the same for `laws` and for `conformance`: how it is found, and how it is called.

    def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None): ...

base: a dict name -> NumPy array. task_vectors: a list of dicts of fp32 arrays, fine-tuned minus base; if that parameter
is called `models`, the fine-tuned models. It returns a dict of arrays of the base's names and shapes. density, lambda_:
decimals as text; coefficients: a list of them, one a model. Of these three it may have any; the others are never given.

`targets/adapters/serve.py` loads this file by its path, in interpreters that have nothing of ours: it imports the
standard library alone, and runs on Python 3.8.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Callable, Tuple  # noqa: UP035  Python 3.8

#: How to write one, for errors and help texts.
HOW = (
    'def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None)',
    "with models in place of task_vectors, it is given fine-tuned models; it need not have the last three",
)

SETTINGS = ("density", "lambda_", "coefficients")


#: Names that an import statement can have, so that a counterexample is a program whatever was asked.
PATTERN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")

#: How many names of a module an error tells.
_NAMES_TOLD = 8


class NotAMergeFunction(Exception):
    """A text names no function, or one that cannot be called as a merge function; the message says why."""


@dataclass(frozen=True)
class Call:
    """What a merge function takes.

    models: fine-tuned models, not task vectors. settings: which of `SETTINGS`. needs: which of these have no default.
    """

    models: bool
    settings: Tuple[str, ...]  # noqa: UP006
    needs: Tuple[str, ...]  # noqa: UP006


def find(text: str, told: Callable[[BaseException], str]) -> Any:
    """The function that MODULE:FUNCTION names. Raises NotAMergeFunction.

    told: how an error that the import raises is written.
    """
    module, _, name = text.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise NotAMergeFunction(f"importing {module} raised {told(error)}") from error
    where = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise NotAMergeFunction(f"{where} has no {part!r}; it has {_functions_of(found, part)}")
        found, where = getattr(found, part), f"{where}.{part}"
    if not callable(found):
        raise NotAMergeFunction(f"{where} is not a function; {module} has {_functions_of(sys.modules[module], name)}")
    return found


def refuse_hidden(text: str, folder: str) -> None:
    """Raise NotAMergeFunction where an installed module hides the one of this name in the folder that comes last.

    Nobody could tell by the answers which of the two was asked.
    """
    name = text.partition(":")[0].partition(".")[0]
    beside = [Path(folder) / f"{name}.py", Path(folder) / name / "__init__.py"]
    here = next((path for path in beside if path.is_file()), None)
    try:
        spec = importlib.util.find_spec(name) if here else None
    except ValueError:  # a module that was not imported, such as __main__
        return
    if spec is None or here is None or (spec.origin and Path(spec.origin).resolve() == here.resolve()):
        return
    installed = f"is {spec.origin}" if spec.origin and Path(spec.origin).is_absolute() else "is a part of Python"
    raise NotAMergeFunction(
        f"{name} {installed}, which comes before {here.relative_to(folder)} here: the current folder is the last "
        "to be searched. Rename that file to ask it, or run this in another folder"
    )


def _functions_of(owner: Any, wanted: str) -> str:
    """The public functions of a module or a class, those first whose names are like the one that was wanted."""
    attributes = vars(owner) if hasattr(owner, "__dict__") else {}
    names = [name for name, value in attributes.items() if callable(value) and not name.startswith("_")]
    own = [name for name in names if getattr(attributes[name], "__module__", "") == getattr(owner, "__name__", None)]
    near = get_close_matches(wanted, names)
    told = list(dict.fromkeys([*near, *(own or names)]))
    more = ["..."] if len(told) > _NAMES_TOLD else []
    return ", ".join([*told[:_NAMES_TOLD], *more]) or "no functions"


def call_of(function: Callable[..., Any]) -> Call:
    """How a function is to be called, by its parameters. Raises NotAMergeFunction.

    >>> call_of(lambda base, models, density: base)
    Call(models=True, settings=('density',), needs=('density',))
    """
    parameters = _parameters(function)
    first_two = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)][:2]
    if parameters and parameters[0].name == "self":
        raise _unfit(parameters, "it is a method of a class; name one of an object: m = Merger(), then MODULE:m.merge")
    named = {one.name: one for one in parameters if one.name not in first_two}
    if len(first_two) < 2:
        raise _unfit(parameters, "it has no two parameters for the base and the task vectors")
    if first_two[1] not in ("task_vectors", "models"):
        raise _unfit(parameters, f"the second, {first_two[1]}, does not say which it wants: task_vectors or models")
    for one in named.values():
        if _is_needed(one) and (one.name not in SETTINGS or one.kind == one.POSITIONAL_ONLY):
            raise _unfit(parameters, f"{one.name} has no default, and is not one of the settings that it is given")
    takes_any = any(one.kind == one.VAR_KEYWORD for one in parameters)
    settings = tuple(name for name in SETTINGS if takes_any or name in named)
    return Call(first_two[1] == "models", settings, tuple(n for n in settings if n in named and _is_needed(named[n])))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise NotAMergeFunction(
            f"Python cannot tell its parameters. Call it from a function: {'; '.join(HOW)}"
        ) from None


def _is_needed(one: inspect.Parameter) -> bool:
    return one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)


def _unfit(parameters: list[inspect.Parameter], why: str) -> NotAMergeFunction:
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = ", ".join(stars.get(one.kind, "") + one.name for one in parameters)
    return NotAMergeFunction(f"its parameters are ({names}), and {why}. Write {'; '.join(HOW)}")
