"""Exact sums: against fractions, in any order and tree, with and without the certificate."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction
from functools import reduce
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.algebra import exact
from mergealgebra.algebra.exact import Coefficients, Sums, grid_exponents
from mergealgebra.algebra.method import Terms
from tests.algebra.lifts import sums_of
from tests.algebra.numbers import coarse_task_vectors, exact_sum, finite_fp32, rn64, task_vectors

ARRAYS = {"numpy": np.asarray, "torch": torch.from_numpy}

#: Columns of v whose sums fp64 or fp32 get wrong in some order.
CANCELLATIONS = {
    "2^24, 1, 1, -2^24, -1": [2**24, 1, 1, -(2**24), -1],
    "2^53, 1, -2^53": [2**53, 1, -(2**53)],
    "2^60, 1, -2^60": [2**60, 1, -(2**60)],
    "2^127 and the least subnormal": [2.0**127, 2.0**-149, -(2.0**127)],
    "agreeing, one beyond fp64": [2.0**60, 2.0**60, 2.0**-20],
    "the tie goes to even only if the tail is seen": [2.0**53, 1, 2.0**-60],
    "zero sum of unlike numbers": [2.0**60, 3, -(2.0**60), -3],
}


def lifted(v: list[float]) -> Sums:
    return sums_of(np.array(v, np.float32), 1.0)


def folded(parts: list[Sums]) -> Sums:
    return reduce(Sums.combine, parts)


def assert_exact(sums: Sums, columns: list[list[float]]) -> None:
    """columns: the v of each coordinate."""
    for i, v in enumerate(columns):
        positive, negative = exact_sum(x for x in v if x > 0), exact_sum(x for x in v if x < 0)
        total = positive + negative
        assert sums.rounded(0)[i] == rn64(positive)
        assert sums.rounded(1)[i] == rn64(negative)
        assert sums.total()[i] == rn64(total)
        assert sums.sign()[i] == (total > 0) - (total < 0)


@pytest.mark.clause("EX-1")
@given(task_vectors(count=6, size=3))
def test_sums_are_those_of_real_numbers(v):
    assert_exact(folded([lifted(row) for row in v]), v.T.tolist())


@pytest.mark.clause("EX-1", "EX-3")
@pytest.mark.parametrize("column", CANCELLATIONS.values(), ids=CANCELLATIONS)
def test_cancellations_are_exact_in_every_rotation(column, count_fallbacks):
    for shift in range(len(column)):
        rotated = column[shift:] + column[:shift]
        sums = folded([lifted([x]) for x in rotated])
        assert_exact(sums, [rotated])
        count_fallbacks(sums.uncertified.size)


def wrong_sum(dtype: type) -> object:
    """A `combine` that adds in a float dtype and never looks back."""

    def combine(self: Sums, other: Sums) -> Sums:
        pairs = zip(self.columns, other.columns, strict=True)
        columns = tuple((x.astype(dtype) + y.astype(dtype)).astype(np.float64) for x, y in pairs)
        return Sums(columns, tuple(map(np.minimum, self.grids, other.grids)))

    return combine


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_plain_float_sums_are_caught(dtype, monkeypatch):
    """The directed vectors above go red when a plain sum stands in for the exact one."""
    monkeypatch.setattr(Sums, "combine", wrong_sum(dtype))
    wrong = 0
    for column in CANCELLATIONS.values():
        try:
            assert_exact(folded([lifted([x]) for x in column]), [column])
        except AssertionError:
            wrong += 1
    assert wrong >= 3


@pytest.mark.clause("EX-2")
@given(st.lists(finite_fp32(), min_size=1, max_size=12), st.randoms())
def test_the_certificate_is_sound(values, random):
    """Whatever it certifies, fp64 adds exactly in any order."""
    sums = folded([lifted([x]) for x in values])
    if not sums.uncertified.size:
        random.shuffle(values)
        running = 0.0
        for x in values:
            running += x
        assert Fraction(running) == exact_sum(values)


@pytest.mark.clause("EX-2")
def test_the_certificate_is_strict_at_its_limit():
    """The grid of 1 is 2^-23, so sums that hold a 1 are certified below 2^30, and not at it."""
    assert lifted([2.0**29]).combine(lifted([1.0])).uncertified.size == 0
    assert lifted([2.0**30 - 128]).combine(lifted([1.0])).uncertified.size == 0
    assert folded([lifted([2.0**30 - 64]), lifted([62.0]), lifted([1.0])]).uncertified.size == 0
    assert folded([lifted([2.0**30 - 64]), lifted([63.0]), lifted([1.0])]).uncertified.size == 1
    assert lifted([2.0**30]).combine(lifted([1.0])).uncertified.size == 1


@pytest.mark.clause("EX-2")
@given(finite_fp32())
def test_every_number_is_a_multiple_of_its_grid(value):
    exponent = int(grid_exponents(np.array([value], np.float32))[0])
    if value == 0:
        assert exponent == 255
    else:
        assert (Fraction(value) / Fraction(2) ** (exponent - 150)).denominator == 1


@pytest.mark.clause("EX-4")
@given(task_vectors(count=5, size=2), st.randoms())
def test_any_tree_gives_the_same_sums(v, random):
    parts = [lifted(row) for row in v]
    while len(parts) > 1:
        a, b = (parts.pop(random.randrange(len(parts))) for _ in range(2))
        parts.append(a.combine(b))
    assert_exact(parts[0], v.T.tolist())


@pytest.mark.clause("EX-5")
@given(task_vectors(count=5, size=2), st.integers(0, 4))
def test_retracting_leaves_no_trace(v, place):
    rest = np.delete(v, place, axis=0)
    sums = folded([lifted(row) for row in v]).retract(lifted(v[place]))
    assert_exact(sums, rest.T.tolist())


@pytest.mark.clause("EX-5")
def test_retracting_the_large_ones_leaves_the_small_one(count_fallbacks):
    """fp64 alone would have lost the 1 when 2^60 came."""
    sums = folded([lifted([2.0**60]), lifted([1.0]), lifted([-(2.0**60)])])
    without = sums.retract(lifted([2.0**60])).retract(lifted([-(2.0**60)]))
    assert_exact(without, [[1.0]])
    count_fallbacks(without.uncertified.size)


@pytest.mark.clause("EX-3")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_as_integers_changes_no_value(array):
    v = np.array([1.5, -(2.0**100), 2.0**-149, 0.0], np.float32)
    sums = sums_of(array(v), 3.0).as_integers()
    assert sums.uncertified.tolist() == [0, 1, 2, 3]
    assert sums.integers.shape == (4, 4)
    assert sums.sign().tolist() == [1, -1, 1, 0]
    assert [list(map(float, sums.rounded(column))) for column in range(4)] == [
        [1.5, 0.0, 2.0**-149, 0.0],
        [0.0, -(2.0**100), 0.0, 0.0],
        [3.0, 0.0, 3.0, 0.0],
        [0.0, -3.0, 0.0, 0.0],
    ]


@pytest.mark.clause("EX-3")
@given(st.lists(finite_fp32().filter(bool), min_size=1, max_size=6))
def test_coefficients_are_certified_only_when_fp64_adds_them(values):
    coefficients = Coefficients(tuple(values))
    if coefficients.certified:
        running = 0.0
        for value in values:
            running += value
        assert Fraction(running) == exact_sum(values)
    assert coefficients.total == rn64(exact_sum(values))


@pytest.mark.clause("EX-2", "EX-3")
def test_the_certificate_of_coefficients_is_strict_at_its_limit():
    """The grid of 1 is 2^-23: below 2^30 in sum, and not at it."""
    assert Coefficients((2.0**30 - 64, 62.0, 1.0)).certified is True
    assert Coefficients((2.0**30 - 64, 63.0, 1.0)).certified is False
    assert Coefficients((-(2.0**30) + 64, 63.0, -1.0)).certified is False
    assert Coefficients((2.0**-149, 2.0**-96)).certified is False
    assert Coefficients((2.0**-149, 2.0**-97)).certified is True


@pytest.mark.clause("EX-2")
def test_limits_are_2_to_the_53_grids():
    for exponent in (1, 127, 150, 254, 255):
        assert exact.LIMITS[exponent] == 2.0 ** (53 + exponent - 150)


@pytest.mark.clause("EX-2")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(values=st.lists(finite_fp32(), min_size=1, max_size=8))
def test_the_grid_is_the_biased_exponent_and_no_less(array, values):
    v = np.array(values, np.float32)
    grid = grid_exponents(array(v))
    assert grid.dtype == array(np.empty(0, np.uint8)).dtype
    for value, exponent in zip(values, grid.tolist(), strict=True):
        assert exponent == (255 if value == 0 else max(1, int(np.frexp(value)[1]) + 126))


@pytest.mark.clause("EX-2", "EX-3")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_only_the_coordinates_that_fail_are_uncertified(array):
    """And they stay so: exactness belongs to the history of a sum."""
    large, small = (sums_of(array(np.float32(row))) for row in ([2.0**30, 1, 2.0**30, 0], [1, 1, 2.0**30, 0]))
    sums = large.combine(small)
    assert sums.uncertified.tolist() == [0]
    assert sums.integers.tolist() == [[(2**30 + 1) << 149], [0]]
    assert sums.grids[0].tolist() == [127, 127, 157, 255]
    assert sums.combine(sums_of(array(np.float32([0, 2.0**30, 0, 0])))).uncertified.tolist() == [0, 1]
    assert sums_of(array(np.float32([0, 2.0**30, 0, 0]))).combine(sums).uncertified.tolist() == [0, 1]
    without = sums.retract(large)
    assert without.uncertified.tolist() == [0]
    assert without.grids[0].tolist() == sums.grids[0].tolist()
    assert without.total().tolist() == [1, 1, 2.0**30, 0]


@pytest.mark.clause("EX-1", "EX-2", "EX-3", "EX-7")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@given(
    values=st.one_of(task_vectors(count=4, size=6), coarse_task_vectors(count=4, size=6)),
    votes=st.sampled_from(
        [None, (1.0, 1.0, 1.0, 1.0), (1 + 2.0**-23,) * 4, (1.0, 0.5, 3.0, 0.5), (1.0, 2.0**-60, 1.0, 1.0)]
    ),
)
def test_all_terms_at_once_are_what_two_by_two_come_to(array, values, votes):
    """The same sums, with the same coordinates uncertified, though the certificate is looked at once."""
    coefficients, v = Coefficients(votes or (1.0,) * 4), array(values)
    terms = [Terms((x[:3], x[3:]), vote, (x[:3],)) for x, vote in zip(v, votes or (0.0,) * 4, strict=True)]
    found = exact.sums_of(terms, votes is not None, coefficients)
    lifts = [exact.prepared(Sums.of(term, votes is not None), coefficients) for term in terms]
    expected = exact.combine(lifts)
    assert found.uncertified.tolist() == expected.uncertified.tolist()
    assert found.integers.tolist() == expected.integers.tolist()
    for column in range(len(expected.columns)):
        assert found.rounded(column).tolist() == expected.rounded(column).tolist()
    for one, other in ((found.grids, expected.grids), (found.maxima, expected.maxima)):
        assert [x.tolist() for x in one] == [x.tolist() for x in other]
    assert [found.sign(i).tolist() for i in (0, 1)] == [expected.sign(i).tolist() for i in (0, 1)]


@pytest.mark.clause("EX-2")
def test_one_failing_coordinate_of_a_block_is_enough_and_the_least_grid_judges():
    """The block as a whole is judged by its largest magnitude and its least grid, which here are of two coordinates."""
    a, b = sums_of(np.float32([2.0**30, 1])), sums_of(np.float32([2.0**30, 1]))
    assert a.combine(b).uncertified.size == 0
    c = sums_of(np.float32([2.0**30, 2.0**30]))
    assert a.combine(c).uncertified.tolist() == [1]


@pytest.mark.parametrize("meet", [Sums.combine, Sums.retract], ids=lambda meet: meet.__name__)
def test_sums_of_unlike_methods_do_not_meet(meet):
    v = np.float32([1])
    with pytest.raises(ValueError, match=r"longer|shorter"):
        meet(sums_of(v), sums_of(v, 1.0))


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_split_by_sign(array):
    positive, negative = exact.split_by_sign(array(np.float32([1, -2, 0, 2.0**-149, -(2.0**127)])))
    assert positive.tolist() == [1, 0, 0, 2.0**-149, 0]
    assert negative.tolist() == [0, -2, 0, 0, -(2.0**127)]
    assert positive.dtype == negative.dtype == array(np.empty(0)).dtype


def test_sums_weigh_when_they_hold_sums_of_coefficients():
    v = np.float32([1])
    assert sums_of(v, 1.0).weighs is True
    assert sums_of(v).weighs is False


@pytest.mark.parametrize(
    ("value", "field"), [(lifted([1]), "grids"), (Coefficients((1.0,)), "values")], ids=["sums", "coefficients"]
)
def test_values_are_frozen(value, field):
    with pytest.raises(FrozenInstanceError):
        setattr(value, field, ())


@pytest.mark.clause("EX-3")
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_uncertified_sums_are_corrected_where_they_are_and_nowhere_else(array):
    rows = [[2.0**60, 1, -5], [1, 1, 2], [-(2.0**60), 1, 1]]
    sums = folded([sums_of(array(np.float32(row)), 3.0) for row in rows])
    assert sums.uncertified.tolist() == [0]
    assert sums.total().tolist() == [1, 3, -2]
    assert sums.sign().tolist() == [1, 1, -1]
    assert sums.sign().dtype == array(np.empty(0, np.int8)).dtype
    assert sums.rounded(0).tolist() == [2.0**60, 3, 3]
    assert sums.rounded(1).tolist() == [-(2.0**60), 0, -5]
    assert sums.rounded(2).tolist() == [6, 9, 6]
    assert sums.rounded(3).tolist() == [-3, 0, -3]
    assert sums.rounded(0).dtype == array(np.empty(0)).dtype


def test_coefficients_far_apart_are_not_certified():
    assert Coefficients((1.0, 1.0, 0.5)).certified
    assert not Coefficients((2.0**40, 1.0)).certified
    assert Coefficients(()).certified


@pytest.mark.clause("EX-3")
def test_sums_of_coefficients_that_fp64_cannot_hold_are_integers_from_the_start():
    certified, uncertified = Coefficients((1.0, 3.0)), Coefficients((1.0, 2.0**40))
    weighing, plain = sums_of(np.float32([1, -2, 0]), 3.0), sums_of(np.float32([1, -2, 0]))
    assert exact.prepared(weighing, certified) is weighing
    assert exact.prepared(weighing, uncertified).uncertified.tolist() == [0, 1, 2]
    assert exact.prepared(plain, uncertified) is exact.prepared(plain, certified) is plain


@pytest.mark.clause("EX-3", "TI-8")
def test_weights_far_apart_add_up_exactly():
    """fp64 would lose each 1 that meets 2^53 alone."""
    coefficients = Coefficients((2.0**53, 1.0, 1.0))
    lifts = [exact.prepared(sums_of(np.float32([1]), c), coefficients) for c in coefficients.values]
    for order in permutations(lifts):
        assert exact.combine(order).rounded(2).tolist() == [2.0**53 + 2]


@pytest.mark.clause("EX-4")
def test_combine_takes_sums_in_the_order_given_one_or_many():
    a, b, c = (sums_of(np.float32([x])) for x in (1, 2, -4))
    assert exact.combine(iter([a])) is a
    assert exact.combine([a, b, c]).total().tolist() == [-1]
    with pytest.raises(TypeError):
        exact.combine([])


@pytest.mark.clause("EX-1", "EX-3")
def test_each_sum_has_a_certificate_of_its_own():
    """The second sum loses its certificate at one coordinate, the first nowhere; both stay exact."""
    rows = [([1, 2, 3], [2.0**60, 1, 1]), ([4, -5, 6], [1, 1, 1]), ([7, 8, -9], [-(2.0**60), 1, 1])]
    sums = folded([Sums.of(Terms(tuple(np.float32(term) for term in row))) for row in rows])
    assert sums.uncertified.tolist() == [0]
    assert [sums.total(0).tolist(), sums.total(1).tolist()] == [[12, 5, 0], [1, 3, 3]]
    assert [sums.sign(0).tolist(), sums.sign(1).tolist()] == [[1, 1, 0], [1, 1, 1]]


def test_empty_blocks_add_up():
    empty = sums_of(np.empty(0, np.float32), 1.0)
    assert empty.combine(empty).sign().shape == (0,)
    assert float(np.uint32(1).view(np.float32)) == exact.UNIT
