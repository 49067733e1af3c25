"""The laws of the methods: how a merge is computed never changes a bit of it, and what its numbers must be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.errors import AggregateError, ShapeError
from tests.algebra.numbers import finite_fp32
from tests.methods.merges import Case, bits, cases, every_recipe


@pytest.mark.clause("MG-8", "TI-1")
@given(cases(every_recipe()), st.randoms())
def test_order_changes_no_bit(case: Case, random):
    order = list(range(len(case.task_vectors)))
    random.shuffle(order)
    assert bits(case.merged()) == bits(case.merged(order))


@pytest.mark.clause("MG-8")
@given(cases(every_recipe()), st.integers(1, 8), st.integers(1, 4))
def test_blocks_and_threads_change_no_bit(case: Case, block, threads):
    assert bits(case.merged()) == bits(case.merged(block=block, threads=threads))


@pytest.mark.clause("MG-8")
@given(cases(every_recipe()))
def test_torch_gives_the_bits_of_numpy(case: Case):
    numpy, other = case.merged(), case.merged(backend="torch")
    assert (numpy.backend, other.backend) == ("numpy", "torch")
    assert bits(numpy) == bits(other)
    assert (numpy.kept, numpy.uncertified) == (other.kept, other.uncertified)


@pytest.mark.clause("MG-8")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@settings(max_examples=30)
@given(cases(every_recipe()))
def test_cuda_gives_the_bits_of_numpy(case: Case):
    assert bits(case.merged()) == bits(case.merged(backend="torch-cuda"))


@pytest.mark.clause("EX-4", "EX-5")
@given(cases(), st.randoms())
def test_any_tree_of_aggregates_gives_the_bits_of_the_merge(case: Case, random):
    lifts = [
        ma.Aggregate.lift(case.recipe, str(i), vector, coefficient)
        for i, (vector, coefficient) in enumerate(zip(case.task_vectors, case.coefficients, strict=True))
    ]
    parts, gone = list(lifts), ma.Aggregate.lift(case.recipe, "gone", case.task_vectors[0], "1000000")
    parts.append(gone)
    while len(parts) > 1:
        first, second = (parts.pop(random.randrange(len(parts))) for _ in range(2))
        parts.append(first.combine(second))
    tau_m = parts[0].retract(gone).finalize()
    held = {name: tau_m[name] for name in set().union(*case.task_vectors)}
    merged = ma.TaskVector(held).apply(case.base, case.recipe.lambda_)
    assert bits(case.merged()) == bits(merged)


@pytest.mark.clause("EX-6")
def test_aggregates_refuse_what_would_count_twice_or_wrong():
    def lift(name: str, recipe=ma.Ties(), shape=(2,)) -> ma.Aggregate:  # noqa: B008 - recipes are frozen
        return ma.Aggregate.lift(recipe, name, {"w": np.ones(shape, np.float32)})

    a, b = lift("a"), lift("b")
    with pytest.raises(AggregateError, match="counts once"):
        a.combine(b).combine(lift("a"))
    with pytest.raises(AggregateError, match="other recipes"):
        a.combine(lift("b", ma.Mean()))
    with pytest.raises(ShapeError):
        a.combine(lift("b", shape=(3,)))
    with pytest.raises(AggregateError, match="not in the aggregate"):
        a.retract(b)
    with pytest.raises(AggregateError, match="holds no contribution"):
        a.retract(a).finalize()
    a.sums["w"].columns[0][0] = 7
    for use in (a.finalize, lambda: a.combine(b), lambda: b.combine(a)):
        with pytest.raises(AggregateError, match="damaged"):
            use()


@pytest.mark.clause("MG-3", "TI-8")
@given(st.lists(st.tuples(finite_fp32(), finite_fp32()), min_size=1, max_size=8))
def test_one_contribution_gives_the_fine_tune_back(pairs):
    """c = 1, density 1, lambda 1, wherever the difference is an fp32 number; a zero's sign may differ."""
    base, finetuned = (np.array(column, np.float32) for column in zip(*pairs, strict=True))
    with np.errstate(over="ignore"):
        tau = finetuned - base
    representable = np.isfinite(tau) & (tau.astype(np.float64) == finetuned.astype(np.float64) - base)
    # fp64 cannot hold every difference of two fp32 numbers; where it can, equality above is exact.
    representable &= tau.astype(np.float64) + base == finetuned
    base, finetuned = base[representable], finetuned[representable]
    vector = ma.TaskVector.between({"w": base}, {"w": finetuned})
    for recipe in (ma.Ties(), ma.Mean(), ma.TaskArithmetic()):
        assert (ma.merge({"w": base}, [vector], recipe)["w"] == finetuned).all()
    assert (vector.apply({"w": base})["w"] == finetuned).all()


@pytest.mark.clause("TI-7", "TI-8")
@given(cases(recipe=st.builds(ma.Ties, density=st.sampled_from(["1", "0.5"]))))
def test_the_mean_agrees_with_the_elected_sign_and_stays_within_bounds(case: Case):
    lifts = [ma.Aggregate.lift(case.recipe, str(i), vector) for i, vector in enumerate(case.task_vectors)]
    whole = lifts[0]
    for lift in lifts[1:]:
        whole = whole.combine(lift)
    for name, tau_m in whole.finalize().items():
        held = [vector[name].reshape(-1) for vector in case.task_vectors if name in vector]
        for i, mean in enumerate(tau_m.reshape(-1)):
            agreeing = [column[i] for column in held if np.sign(column[i]) == np.sign(mean)]
            assert mean == 0 or min(agreeing) <= mean <= max(agreeing)


@pytest.mark.clause("ME-1")
def test_the_mean_averages_models_and_counts_absent_tensors_as_zero():
    base = {"a": np.float32([1]), "b": np.float32([1])}
    vectors = [{"a": np.float32([1]), "b": np.float32([2])}, {"a": np.float32([3])}]
    merged = ma.merge(base, vectors, ma.Mean())
    assert (merged["a"][0], merged["b"][0]) == (3, 2)
    weighted = ma.merge(base, vectors, ma.Mean(), ["3", "1"])
    assert (weighted["a"][0], weighted["b"][0]) == (2.5, 2.5)


@pytest.mark.clause("TA-1", "RC-6")
def test_task_arithmetic_adds_and_forgets():
    base, tau = {"w": np.float32([1, 1])}, {"w": np.float32([4, -2])}
    assert ma.merge(base, [tau, tau], ma.TaskArithmetic(lambda_="0.5"))["w"].tolist() == [5, -1]
    assert ma.merge(base, [tau, tau], ma.TaskArithmetic(), ["1", "-1"])["w"].tolist() == [1, 1]


@pytest.mark.clause("MG-12")
def test_every_entry_of_the_list_counts():
    base, tau, other = ({"w": np.float32([x])} for x in (0, 1, 4))
    assert ma.merge(base, [tau, tau, other], ma.Ties())["w"][0] == 2
    assert ma.merge(base, [tau, other], ma.Ties())["w"][0] == 2.5


@pytest.mark.clause("MG-2")
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_bits_of_the_base_are_copied_where_nothing_votes(backend):
    nan = np.uint32(0x7FA00001).view(np.float32)
    base = {"w": np.array([-0.0, nan, np.inf, 1.0], np.float32), "untouched": np.array([nan], np.float32)}
    tau = {"w": np.float32([0, 0, -0.0, 1])}
    merged = ma.merge(base, [tau], ma.Ties(), backend=backend)
    assert merged["w"].tobytes()[:12] == base["w"].tobytes()[:12]
    assert merged["w"][3] == 2
    assert merged["untouched"].tobytes() == base["untouched"].tobytes()
    assert bits(ma.merge(base, [tau], ma.Ties(lambda_="0"), backend=backend)) == bits(base)


@pytest.mark.clause("MG-8")
@given(cases(every_recipe()))
@settings(max_examples=20)
def test_what_is_passed_in_never_changes(case: Case):
    before = [bits(model) for model in (case.base, *case.task_vectors)]
    merged = case.merged()
    for array in merged.values():
        if array.size:
            array[...] = 0  # the result is the caller's own
    assert before == [bits(model) for model in (case.base, *case.task_vectors)]
