"""Hypothesis strategies: random cases, the parts of a directed one, and the arguments of a law for either.

Everything here needs Hypothesis, so nothing imports this file before a search begins.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from mergealgebra.laws.arrangements import Arguments, Arrangement
from mergealgebra.laws.cases import Case
from mergealgebra.laws.equations import Array

#: Shapes of tensors, the simplest first.
SHAPES: Final = ((1,), (2,), (3,), (5,), (), (0,), (2, 2))

#: Numbers that cancel, tie, vanish or round when they meet, the simplest first.
FAMILIES: Final = (
    (0.0, 1.0, -1.0, 2.0, -2.0),
    (0.0, 1.0, -1.0, 2.0**24, -(2.0**24)),
    (0.0, 1.0, -1.0, 2.0**53, -(2.0**53)),
    (0.0, -0.0, 1.0, 2.0**-149, -(2.0**-149)),
    (0.0, 1.0, 1 + 2.0**-23, -1 - 2.0**-23, -(2.0**-24)),
)


@st.composite
def cases(draw: st.DrawFn, span: tuple[float, float]) -> Case:
    """Cases of one to five task vectors of one or two tensors, with magnitudes in the span."""
    shapes = dict(zip("uv", draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2)), strict=False))
    numbers = draw(families(span))

    def tensor(shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), np.float32).reshape(shape)

    vectors = [{name: tensor(shapes[name]) for name in shapes} for _ in range(draw(st.integers(1, 5)))]
    return Case({name: tensor(shapes[name]) for name in shapes}, tuple(vectors))


def families(span: tuple[float, float]) -> st.SearchStrategy[st.SearchStrategy[float]]:
    """Strategies for the numbers of a case: those of one family, any fp32 number in the span, or both."""
    least, most = span
    few = [st.sampled_from([x for x in family if x == 0 or least <= abs(x) <= most]) for family in FAMILIES]
    anything = st.floats(-most, most, width=32).map(lambda x: x if abs(x) >= least else 0.0)
    return st.sampled_from([*few, anything, *(st.one_of(family, anything) for family in few)])


@st.composite
def parts(draw: st.DrawFn, whole: Case) -> Case:
    """What is left of a case without some of its task vectors, tensors and elements, or with a base of zeros."""
    keep = st.sampled_from([False] + [True] * 11)
    vectors = [vector for vector in whole.task_vectors if draw(keep)]
    kept = {name: [i for i in range(a.size) if draw(keep)] for name, a in whole.base.items() if draw(keep)}
    assume(vectors and kept)
    base, *left = [{name: _taken(model[name], kept[name]) for name in kept} for model in (whole.base, *vectors)]
    return Case(base if draw(keep) else {name: np.zeros_like(base[name]) for name in base}, tuple(left))


@st.composite
def arguments(
    draw: st.DrawFn, arrangement: Arrangement, of: st.SearchStrategy[Case], count: int | None = None
) -> Arguments:
    """The arguments of a law for cases of a strategy, with so many task vectors, or any number."""
    case = draw(of).of(count)
    assume(case is not None)
    assert case is not None  # noqa: S101 - as below
    chosen = arrangement(case, lambda choices: draw(st.integers(0, choices - 1)))
    assume(chosen is not None)
    assert chosen is not None  # noqa: S101 - for the type checker; `assume` has seen to it
    return chosen


def _taken(array: Array, elements: list[int]) -> Array:
    """Some elements of an array, flat; all of them in its own shape."""
    return array.copy() if len(elements) == array.size else array.reshape(-1)[elements]
