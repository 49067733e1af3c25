"""How a merge function is called, the same by `laws` and by `conformance`: what it takes is read off its parameters.

    def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None): ...

base: a dict name -> NumPy array. task_vectors: a list of dicts of fp32 arrays, fine-tuned minus base; if that parameter
is called `models`, the fine-tuned models. It returns a dict of arrays of the base's names and shapes. density, lambda_:
decimals as text; coefficients: a list of them, one a model. Of these three it may have any; the others are never given.

`targets/adapters/serve.py` loads this file by its path, in interpreters that have nothing of ours: it imports the
standard library alone, and runs on Python 3.8.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Tuple  # noqa: UP035  Python 3.8

#: How to write one, for errors and help texts.
HOW = (
    'def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None)',
    "with models in place of task_vectors, it is given fine-tuned models; it need not have the last three",
)

SETTINGS = ("density", "lambda_", "coefficients")


class DoesNotFit(Exception):
    """A function cannot be called as a merge function; the message says why, and how one is written."""


@dataclass(frozen=True)
class Call:
    """What a merge function takes.

    models: fine-tuned models, not task vectors. settings: which of `SETTINGS`. needs: which of these have no default.
    """

    models: bool
    settings: Tuple[str, ...]  # noqa: UP006
    needs: Tuple[str, ...]  # noqa: UP006


def call_of(function: Callable[..., Any]) -> Call:
    """How a function is to be called, by its parameters. Raises DoesNotFit.

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
            raise _unfit(parameters, f"nobody knows what to give as {one.name}, which has no default")
    takes_any = any(one.kind == one.VAR_KEYWORD for one in parameters)
    settings = tuple(name for name in SETTINGS if takes_any or name in named)
    return Call(first_two[1] == "models", settings, tuple(n for n in settings if n in named and _is_needed(named[n])))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise DoesNotFit(f"Python cannot tell its parameters. Call it from a function: {'; '.join(HOW)}") from None


def _is_needed(one: inspect.Parameter) -> bool:
    return one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)


def _unfit(parameters: list[inspect.Parameter], why: str) -> DoesNotFit:
    stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = ", ".join(stars.get(one.kind, "") + one.name for one in parameters)
    return DoesNotFit(f"its parameters are ({names}), and {why}. Write {'; '.join(HOW)}")
