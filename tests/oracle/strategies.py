"""Merges of any dtypes, forms, recipes and numbers; those where an answer is easily wrong stand among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.methods.linear import Linear
from mergealgebra.methods.method import Method
from mergealgebra.methods.negmerge import NegMerge
from mergealgebra.methods.ram import Ram
from mergealgebra.tensors.dtypes import DTYPES
from tests.kernels.blocks import FLOATS, numbers
from tests.oracle.merges import Case, Entry

#: In UTF-8 the third is before the fourth, in UTF-16 behind it.
NAMES = ("a", "b.weight", "\uff5e", "\U0001f600")
SIZES = (0, 1, 2, 5, 17)

#: Numbers of which some sums cancel, some need more than 53 bits, and many are equal.
CANCELLING = np.array(
    [0.0, 1, 1, 2, 3, 2.0**24, 2.0**24 + 2, 2.0**53, 2.0**60, 2.0**100, 2.0**-149, 2.0**-126, 3 * 2.0**-149, 2.0**-30]
)
#: Coefficients, as fp32 numbers.
COEFFICIENTS = tuple(float(np.float32(c)) for c in (1, 1, 1, 1, 0.5, 0.3, 3, 0.1, 2.0**-20, 2.0**-149, 2.0**60, 1e30))
NEGATIVE = tuple(float(np.float32(c)) for c in (-1, -0.3, -(2.0**-149)))
LAMBDAS = ("1", "1", "1", "0.7", "-2", "0", "0.000001", "1.0000001788139343", "340282350000000000000000000000000000000")


def recipes() -> st.SearchStrategy[Method]:
    """Recipes of every method that the oracle knows, and of every option."""
    lambdas = st.sampled_from(LAMBDAS)
    ties = st.builds(
        ma.Ties,
        density=st.sampled_from(["1", "0.2", "0.5", "0.29", "0.333", "0.000001"]),
        lambda_=lambdas,
        scope=st.sampled_from(["model", "tensor"]),
        boundary=st.sampled_from(["keep_all", "lowest_index"]),
    )
    summing = [st.builds(method, lambda_=lambdas) for method in (ma.Mean, ma.TaskArithmetic, NegMerge, Ram)]
    return st.one_of(ties, ties, ties, *summing, st.just(Linear()))


def _values(rng: np.random.Generator, size: int, dtype: str, kind: str) -> np.ndarray:
    if kind != "cancelling":
        return numbers(rng, size, dtype, kind)
    with np.errstate(over="ignore"):
        values = rng.choice(CANCELLING, size) * rng.choice([-1.0, 1.0], size)
        return np.where(rng.random(size) < 0.02, 2.0**15, values).astype(DTYPES[dtype].numpy)


@st.composite
def merges(draw: st.DrawFn, computed: Callable[[Method], bool]) -> Case:
    """Merges of one to six contributions, of both forms, over up to four tensors; some are refused.

    computed: whether a method may be drawn.
    """
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    kind = draw(st.sampled_from(["near 1", "near 1", "coarse", "coarse", "cancelling", "cancelling", "finite", "raw"]))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    shapes = {name: (draw(st.sampled_from(SIZES)),) for name in names}
    base = {name: _values(rng, *shapes[name], draw(st.sampled_from(FLOATS)), kind) for name in names}
    recipe = draw(recipes().filter(computed))
    chosen = COEFFICIENTS + (NEGATIVE * 2 if recipe.needs.negative else ())
    if draw(st.booleans()):
        chosen = (1.0,)
    entries = []
    for _ in range(draw(st.integers(1, 6))):
        form, tensors = draw(st.sampled_from(["finetuned", "task_vector"])), {}
        for name in draw(st.lists(st.sampled_from(names), unique=True, min_size=1)):
            dtype = draw(st.sampled_from([DTYPE_OF[base[name].dtype], *FLOATS]))
            tensors[name] = _values(rng, *shapes[name], dtype, draw(st.sampled_from([kind, kind, "coarse"])))
            if tensors[name].dtype == base[name].dtype and draw(st.booleans()):
                same = rng.random(base[name].size) < 0.5
                tensors[name] = np.where(same, base[name], tensors[name]).astype(base[name].dtype)
        entries.append(Entry(form, draw(st.sampled_from(chosen)), tensors))
    return Case(base, tuple(entries), recipe)


DTYPE_OF = {DTYPES[name].numpy: name for name in FLOATS}
