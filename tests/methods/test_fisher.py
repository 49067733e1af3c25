"""Fisher merging: three exact sums an element, their laws, and what is no Fisher information."""

from __future__ import annotations

import random as randoms
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.engine.memory import merge
from mergealgebra.errors import AuxiliaryError, CoefficientError, DtypeError, NamesError, NonFinite, ShapeError
from tests.algebra.numbers import exact_sum, rn32, rn64
from tests.methods.merges import Case, bits, cases

F32 = np.float32


@dataclass(frozen=True)
class Minded:
    """A merge, and F of each of its task vectors."""

    case: Case
    fishers: list[dict[str, np.ndarray]]

    def merged(self, order: list[int] | None = None, **how: object) -> ma.Merged:
        """The merged model, the contributions in a given order."""
        order = list(range(len(self.fishers))) if order is None else order
        vectors, coefficients = ([x[i] for i in order] for x in (self.case.task_vectors, self.case.coefficients))
        auxiliary = [{"fisher": self.fishers[i]} for i in order]
        return merge(self.case.base, vectors, self.case.recipe, coefficients, auxiliary=auxiliary, **how)


@st.composite
def minded(draw: st.DrawFn) -> Minded:
    """Merges with weights of few sizes and of all, many of them 0."""
    case = draw(cases(recipe=st.builds(ma.Fisher, lambda_=st.sampled_from(["1", "0.3", "-2"]))))
    weight = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 3.0, 2.0**-149, 2.0**54]), st.floats(0, 2.0**60, width=32))

    def fisher(array: np.ndarray) -> np.ndarray:
        numbers = draw(st.lists(weight, min_size=array.size, max_size=array.size))
        return np.array(numbers, draw(st.sampled_from([np.float32, np.float64]))).reshape(array.shape)

    return Minded(case, [{name: fisher(array) for name, array in v.items()} for v in case.task_vectors])


@pytest.mark.clause("FM-2", "MG-8", "TI-1")
@given(minded(), st.randoms(), st.integers(1, 8), st.integers(1, 4), st.sampled_from(["numpy", "torch"]))
def test_order_blocks_threads_and_library_change_no_bit(drawn: Minded, random, block, threads, backend):
    order = list(range(len(drawn.fishers)))
    random.shuffle(order)
    whole, other = drawn.merged(), drawn.merged(order, block=block, threads=threads, backend=backend)
    assert other.backend == backend
    assert bits(whole) == bits(other)
    assert whole.uncertified == other.uncertified


@pytest.mark.clause("EX-4", "EX-5", "FM-2")
@given(minded(), st.randoms())
def test_any_tree_of_aggregates_gives_the_bits_of_the_merge(drawn: Minded, random):
    case = drawn.case
    given_ = zip(case.task_vectors, case.coefficients, drawn.fishers, strict=True)
    lifts = [
        ma.Aggregate.lift(case.recipe, str(i), vector, coefficient, auxiliary={"fisher": fisher})
        for i, (vector, coefficient, fisher) in enumerate(given_)
    ]
    gone = ma.Aggregate.lift(case.recipe, "gone", case.task_vectors[0], "1000", auxiliary={"fisher": drawn.fishers[0]})
    parts = [*lifts, gone]
    while len(parts) > 1:
        first, second = (parts.pop(random.randrange(len(parts))) for _ in range(2))
        parts.append(first.combine(second))
    tau_m = parts[0].retract(gone).finalize()
    held = {name: tau_m[name] for name in set().union(*case.task_vectors)}
    assert bits(drawn.merged()) == bits(ma.TaskVector(held).apply(case.base, case.recipe.lambda_))


def by_the_clauses(taus: list[float], fishers: list[float], coefficients: list[float]) -> float:
    """FM-1 and FM-2, word by word, of numbers that do not overflow."""
    w = [rn32(Fraction(c) * Fraction(f)) for c, f in zip(coefficients, fishers, strict=True)]
    v = [rn32(Fraction(x) * Fraction(tau)) for x, tau in zip(w, taus, strict=True)]
    s, n = (v, exact_sum(w)) if any(w) else (taus, Fraction(len(taus)))
    return rn32(Fraction(rn64(Fraction(rn64(exact_sum(s))) / Fraction(rn64(n)))))


NUMBERS = st.one_of(st.integers(-50, 50).map(float), st.sampled_from([2.0**40, -(2.0**40), 2.0**-60, 0.1, -0.3]))
WEIGHTS = st.sampled_from([0.0, 1.0, 0.1, 2.0**-149, 2.0**54, 2.0**-60, 7.0])


@pytest.mark.clause("FM-1", "FM-2")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@given(st.lists(st.tuples(NUMBERS, WEIGHTS, st.sampled_from(["1", "0.5", "3"])), min_size=1, max_size=8))
@example([(7.0, 1.0, "1"), (-1.0, 7.0, "1")])  # v cancel and tau do not
def test_it_is_what_the_clauses_say(backend, drawn):
    taus, fishers = ([float(F32(one[i])) for one in drawn] for i in (0, 1))
    coefficients = [one[2] for one in drawn]
    merged = merge(
        {"w": np.zeros(1, F32)},
        [{"w": F32([tau])} for tau in taus],
        ma.Fisher(),
        coefficients,
        backend,
        auxiliary=[{"fisher": {"w": F32([f])}} for f in fishers],
    )
    assert merged["w"].tolist() == [by_the_clauses(taus, fishers, list(map(float, coefficients)))]


@pytest.mark.clause("FM-2", "EX-1")
def test_one_large_weight_and_seven_of_one_give_one_sum_in_any_order():
    """fp64 would add 2^54 and seven 1s to 2^54 or, the ones first, to 2^54 + 8; the model tells them apart."""
    taus, weights = [1 + 2.0**-23, 2.0**30, *[0.0] * 6], [2.0**54, *[1.0] * 7]
    entries, found = list(zip(taus, weights, strict=True)), set()
    random = randoms.Random(0)
    for _ in range(200):
        random.shuffle(entries)
        vectors = [{"w": F32([tau])} for tau, _ in entries]
        auxiliary = [{"fisher": {"w": F32([weight])}} for _, weight in entries]
        found.add(merge({"w": F32([0])}, vectors, ma.Fisher(), auxiliary=auxiliary, threads=1)["w"].tobytes())
    assert found == {F32([1 + 2.0**-23]).tobytes()}


BASE = {"a": np.zeros((2, 2), F32), "b": np.zeros(2, F32)}
ONES = {"a": np.ones((2, 2), F32), "b": np.ones(2, F32)}


def with_fisher(tensor: str, at: object, value: float) -> dict[str, np.ndarray]:
    made = {name: array.copy() for name, array in ONES.items()}
    made[tensor][at] = value
    return made


@pytest.mark.clause("FM-1")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("value", [-1.0, -(2.0**-149), float("nan"), float("inf")])
def test_what_is_no_weight_is_named(backend, value):
    auxiliary = [{"fisher": ONES}, {"fisher": with_fisher("a", (1, 0), value)}]
    with pytest.raises(NonFinite, match=r"task vector 1: fisher of tensor 'a' at index \[1, 0\] is "):
        merge(BASE, [ONES, ONES], ma.Fisher(), backend=backend, auxiliary=auxiliary)
    with pytest.raises(NonFinite, match=r"one: fisher of tensor 'b' at index \[1\] is "):
        ma.Aggregate.lift(ma.Fisher(), "one", ONES, auxiliary={"fisher": with_fisher("b", 1, value)})


@pytest.mark.clause("FM-1", "MG-6")
@pytest.mark.parametrize("block", [1, 2, None])
def test_the_first_coordinate_is_named_whatever_the_block(block):
    late = with_fisher("a", (1, 1), float("nan"))
    auxiliary = [{"fisher": ONES}, {"fisher": with_fisher("a", (0, 1), -1)}]
    with pytest.raises(NonFinite, match=r"task vector 1: fisher of tensor 'a' at index \[0, 1\]"):
        merge(BASE, [late, ONES], ma.Fisher(), auxiliary=auxiliary, block=block)


REFUSED = {
    "nothing": (None, AuxiliaryError, "has no fisher tensors, which fisher needs: contribute it again with them, or"),
    "another kind": ({"gram": ONES}, AuxiliaryError, "has no fisher tensors"),
    "a tensor is missing": ({"fisher": {"a": ONES["a"]}}, NamesError, "its fisher tensors lack 'b'"),
    "another shape": ({"fisher": {**ONES, "b": np.ones(3, F32)}}, ShapeError, "fisher of 'b'"),
    "integers": ({"fisher": {**ONES, "b": np.ones(2, np.int32)}}, DtypeError, "fisher of 'b' is I32; it must be"),
}


@pytest.mark.clause("FM-1")
@pytest.mark.parametrize(("auxiliary", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_a_contribution_without_its_weights_is_refused(auxiliary, error, said):
    with pytest.raises(error, match=said):
        merge(BASE, [ONES], ma.Fisher(), auxiliary=None if auxiliary is None else [auxiliary])


@pytest.mark.clause("FM-1", "RC-6")
def test_a_negative_coefficient_is_refused():
    with pytest.raises(CoefficientError, match="negative"):
        merge(BASE, [ONES], ma.Fisher(), ["-1"], auxiliary=[{"fisher": ONES}])
