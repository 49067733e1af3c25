"""Calling a method's equations, and refusing what they may not give: whoever wrote them is told which one, and what.

What is looked at is looked at once a block: kinds, shapes and dtypes, never the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mergealgebra.algebra.arrays import Array, array_namespace
from mergealgebra.algebra.exact import Coefficients, Sums
from mergealgebra.algebra.method import Gram, Round, Stage, Terms, View
from mergealgebra.errors import MergeAlgebraError, MethodError
from mergealgebra.text import shown


def staged(stage: Stage, view: View, found: Any) -> View:
    """A view after a stage. Raises MethodError."""
    with _named(stage):
        tau = stage(view, found)
    _check_array(tau, view.tau, f"{_name(stage)} gave")
    return view.with_tau(tau)


def lifted(round_: Round, view: View) -> Terms:
    """What a view adds to the sums of a round. Raises MethodError."""
    lift, columns = round_.lift, round_.columns
    with _named(lift):
        terms = lift(view)
    if not isinstance(terms, Terms):
        raise MethodError(f"{_name(lift)} gave {_kind(terms)}; a lift returns algebra.Terms((one array for each sum,))")
    if columns.votes and terms.votes not in (0.0, 1.0, view.coefficient):
        raise MethodError(
            f"{_name(lift)} gave votes={shown(terms.votes)}; give 0, 1 or the view's coefficient, "
            f"{view.coefficient:g}: of other numbers there is no certificate, so make them one of the sums"
        )
    for what, arrays, wanted in (("sums", terms.sums, columns.sums), ("maxima", terms.maxima, columns.maxima)):
        if not isinstance(arrays, tuple):
            raise MethodError(
                f"{_name(lift)} gave {_kind(arrays)} as {what}; write a tuple of arrays, (array,) for one"
            )
        if len(arrays) != wanted:
            raise MethodError(
                f"{_name(lift)} gave {what}: {len(arrays)}, and the round has {wanted}; write "
                f"columns=algebra.Columns({what}={len(arrays)}), or give {wanted}"
            )
        _check_all(arrays, view.tau, f"{_name(lift)} gave among its {what}")
    return terms


def finalized(round_: Round, sums: Sums, coefficients: Coefficients) -> Array:
    """What a round gives: (n,) fp32. Raises MethodError."""
    with _named(round_.finalize):
        found = round_.finalize(sums, coefficients)
    _check_array(found, (*sums.columns, *sums.maxima)[0], f"{_name(round_.finalize)} gave")
    return found


def weighed(round_: Round, gram: Gram, coefficients: Sequence[float]) -> tuple[float, ...]:
    """The coefficients that contributions have in a round, as fp32 numbers. Raises MethodError."""
    if round_.weigh is None:
        raise MethodError("the round has no function `weigh`; contributions have their own coefficients in it")
    with _named(round_.weigh):
        found = [float(np.float32(weight)) for weight in round_.weigh(gram, coefficients)]
    if len(found) != len(coefficients) or not all(map(math.isfinite, found)):
        raise MethodError(
            f"{_name(round_.weigh)} gave {shown(found)}, expected a finite fp32 number for each of "
            f"{len(coefficients)} contributions"
        )
    return tuple(found)


def _check_all(arrays: Sequence[Array], like: Array, what: str) -> None:
    for array in arrays:
        _check_array(array, like, what)


def _check_array(array: Array, like: Array, what: str) -> None:
    """Raise MethodError unless this is fp32, of the other's library and shape. what: how the message begins."""
    xp = array_namespace(like)
    if type(array) is not type(like):
        raise MethodError(f"{what} {_kind(array)}, expected {_kind(like)}: compute with the arrays of the view")
    if array.dtype != xp.float32 or array.shape != like.shape:
        found = f"{str(array.dtype).removeprefix('torch.')} of shape {list(array.shape)}"
        raise MethodError(
            f"{what} {found}, expected float32 of shape {list(like.shape)}: round with xp.astype(x, xp.float32), "
            "element by element"
        )


@contextmanager
def _named(equation: Callable[..., Any]) -> Iterator[None]:
    """Let an error say in which equation it was raised."""
    try:
        yield
    except (MergeAlgebraError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # who wrote it may call exit, which would look like success
        raise MethodError(
            f"{_name(equation)} raised {type(error).__name__}: {shown(str(error))}; equations use the array API, "
            "xp = algebra.array_namespace(x), so that they run on NumPy and torch"
        ) from error


def _name(equation: object) -> str:
    named = equation if hasattr(equation, "__qualname__") else type(equation)
    return f"{named.__module__}.{named.__qualname__}"


def _kind(found: object) -> str:
    return f"a {type(found).__module__}.{type(found).__name__}".replace("a builtins.", "a ")
