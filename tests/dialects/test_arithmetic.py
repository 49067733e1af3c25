"""Roundings, sums and what is not finite: the numbers of each arithmetic, and of the packages that have it."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from mergealgebra.dialects.arithmetic import _added_once
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.errors import NonFinite
from tests.dialects.cases import BF16, canonical_but, merged


@pytest.mark.clause("DI-12")
@pytest.mark.parametrize(("option", "wanted"), [("after", 2.0**24), ("after_once", 2.0**24 + 2)])
def test_lambda_in_one_rounding(option, wanted):
    """6 times this lambda is a little above 1, and rounds to 1; 2^24 + 1 is between two fp32 numbers."""
    base, model = np.float32([2.0**24]), np.float32([2.0**24 + 6])
    dialect = canonical_but(lambda_=option, arithmetic="fp32")
    result = merge_in_dialect(dialect, {"w": base}, [{"w": model}], lambda_="0.16666667")
    assert result["w"].tolist() == [wanted]


@pytest.mark.clause("DI-12")
@pytest.mark.parametrize("sign", [1, -1])
def test_one_rounding_is_not_two(sign):
    """The sum is below the middle of two fp32 numbers, by less than binary64 tells apart."""
    base, tau = np.float32([1 + 2.0**-23]), np.float32([2.0**-24 * (1 + 2.0**-23)])
    found = _added_once(sign * base, sign * tau, np.float32(1 - 2.0**-23))
    assert found.tolist() == [sign * (1 + 2.0**-23)]


@pytest.mark.clause("DI-14", "DI-19")
@pytest.mark.parametrize("option", POINTS["arithmetic"])
def test_arithmetic(option):
    """1 decides between 2^24 and -2^24; in fp32 it is lost unless it comes last."""
    large, dialect = 2.0**24, canonical_but(arithmetic=option)
    assert (merged(dialect, [[1], [large], [-large]])[0] > 0) is (option in ("exact", "fp64"))
    assert merged(dialect, [[large], [-large], [1]])[0] > 0


@pytest.mark.clause("DI-14")
def test_sums_of_narrow_numbers_round_once():
    """256 + 1 + 1 is 258 in bfloat16, though 256 + 1 is 256."""
    base = {"w": np.zeros(1, BF16)}
    models = [{"w": np.array([x], BF16)} for x in (256, 1, 1)]
    result = merge_in_dialect(canonical_but(arithmetic="storage", aggregate="sum"), base, models)
    assert result["w"].astype(np.float32).tolist() == [258]


@pytest.mark.clause("DI-14")
@pytest.mark.parametrize(("option", "wanted"), [("storage_to_sum", 128), ("fp32", 128.5)])
def test_a_sum_in_storage_rounds_before_its_quotient(option, wanted):
    """256 + 1 is 256 in bfloat16."""
    base, models = {"w": np.zeros(1, BF16)}, [{"w": np.array([x], BF16)} for x in (256, 1)]
    dialect = canonical_but(arithmetic=option, output="working")
    assert merge_in_dialect(dialect, base, models)["w"].tolist() == [wanted]


#: What packages made of these, with the dtypes of their answers: dtype, base, models, parameters, result. Each is the
#: smallest input that was found on which a plainer arithmetic differs.
SMALLEST = {
    "mergekit-0.1.5": (
        np.float16,
        [0],
        [[-1.33984375]],
        {"coefficients": ["0.5"], "lambda_": "0.3"},
        np.float16([-0.40185546875]),
    ),
    "authors": (
        np.float16,
        [-0.95556640625],
        [[-0.419677734375], [-0.97509765625]],
        {"density": "0.9"},
        np.float32([-0.41943359375]),
    ),
    "peft-0.21": (
        BF16,
        [0],
        [[-0.037109375], [-1], [-0.875]],
        {"coefficients": ["0.5", "0.5", "2"]},
        np.array([-0.7578125], BF16),
    ),
    "sd-mecha-1.1": (
        np.float16,
        [0.73095703125],
        [[0.361572265625]],
        {"lambda_": "1.7"},
        np.float32([0.10300291329622269]),
    ),
    "mergelm": (np.float32, [0] * 5, [[1, 2, 3, 4, 5]], {"density": "0.8"}, np.float32([1, 2, 3, 4, 5])),
    "fusion-bench-0.2": (
        BF16,
        [1, 1],
        [[1.921875, 1]],
        {"density": "0.4", "lambda_": "0.3"},
        np.array([1.28125, 1], BF16),
    ),
}


@pytest.mark.clause("DI-1", "DI-12", "DI-14", "DI-15")
@pytest.mark.parametrize("name", SMALLEST)
def test_the_arithmetic_is_that_of_the_package(name):
    dtype, base, models, parameters, wanted = SMALLEST[name]
    tensors = [{"w": np.array(row).astype(dtype)} for row in (base, *models)]
    result = merge_in_dialect(DIALECTS[name], tensors[0], tensors[1:], **parameters)["w"]
    assert (result.dtype, result.tolist()) == (wanted.dtype, wanted.tolist())


@pytest.mark.clause("DI-14", "DI-20")
def test_coefficients_of_peft_are_fp32_numbers():
    tensors = [{"w": np.zeros(1)}, {"w": np.ones(1)}]
    result = merge_in_dialect(DIALECTS["peft-0.21"], tensors[0], tensors[1:], coefficients=["0.3"])
    assert result["w"].tolist() == [float(np.float32(0.3))]


@pytest.mark.clause("DI-7")
@pytest.mark.parametrize(("option", "wanted"), [("weighted_sum", 1), ("sum", 0.5)])
def test_a_product_that_underflows_neither_votes_nor_agrees(option, wanted):
    """The least fp16 number times 0.3 is 0."""
    models = [{"w": np.float16([x])} for x in (6e-8, 1)]
    dialect = canonical_but(election=option, denominator="count", arithmetic="storage")
    result = merge_in_dialect(dialect, {"w": np.float16([0])}, models, coefficients=["0.3", "1"])
    assert result["w"].tolist() == [wanted]


@pytest.mark.clause("DI-20")
def test_tensors_merged_together_are_held_in_the_narrowest_dtype_that_holds_all():
    """1 + 2^-9 - 1 is no bfloat16 difference; float32 tells it, and so does what is put together of both."""
    base = {"a": np.array([1], BF16), "b": np.float16([0])}
    model = {"a": np.array([2.0**-9], BF16), "b": np.float16([2])}
    together = merge_in_dialect(canonical_but(arithmetic="storage", output="working"), base, [model])
    assert [(array.dtype, array.item()) for array in together.values()] == [(np.float32, 2.0**-9), (np.float32, 2)]
    apart = merge_in_dialect(canonical_but(arithmetic="storage", output="working", scope="tensor"), base, [model])
    assert [(array.dtype, array.item()) for array in apart.values()] == [(BF16, 0), (np.float16, 2)]


@pytest.mark.clause("DI-19")
@pytest.mark.parametrize(("rows", "in_order"), [(4, True), (5, False)])
def test_torch_sums_four_rows_in_the_order_of_the_list(rows, in_order):
    torch = pytest.importorskip("torch")
    found = []
    for seed in range(50):
        values = np.random.default_rng(seed).normal(size=(rows, 1)).astype(np.float32)
        found.append(torch.from_numpy(values).sum(dim=0).item() == reduce(np.add, values).item())
    assert all(found) is in_order


@pytest.mark.clause("DI-15")
@pytest.mark.parametrize(("option", "wanted"), [("base", BF16), ("working", np.float32)])
def test_output(option, wanted):
    base = {"w": np.zeros(1, BF16)}
    result = merge_in_dialect(canonical_but(output=option), base, [{"w": np.ones(1, BF16)}])
    assert result["w"].dtype == wanted


@pytest.mark.clause("DI-16")
def test_non_finite():
    with pytest.raises(NonFinite, match=r"model 1: tensor 'w': element 1 "):
        merged(canonical_but(), [[1, 2], [3, np.inf]])
    with np.errstate(invalid="ignore"):
        assert merged(canonical_but(non_finite="propagate", arithmetic="fp32"), [[1, np.inf]]) == [1, np.inf]
        assert merged(canonical_but(non_finite="zero", arithmetic="fp32"), [[1, np.inf]]) == [1, 0]


@pytest.mark.clause("DI-16", "DI-5")
@pytest.mark.parametrize("name", ["authors", "mergekit-0.1.5", "peft-0.21", "crdt-merge-0.11"])
def test_nan_goes_through_whoever_holds_it(name):
    """Also where it is trimmed, and where the elected sign is another's."""
    nan = np.nan
    result = merged(DIALECTS[name], [[1, nan, 2, nan, nan], [1, 5, 2, 1, 1]], density="0.9")
    assert np.isnan(result).tolist() == [False, True, False, True, True]


@pytest.mark.clause("DI-16")
@pytest.mark.parametrize("rows", [[[3e38], [3e38]], [[np.inf], [-np.inf]]], ids=["overflow", "infinities"])
def test_exact_sums_that_are_not_finite(rows):
    propagated = merged(canonical_but(non_finite="propagate", aggregate="sum"), rows)
    assert not np.isfinite(propagated).any()
    assert merged(canonical_but(non_finite="zero", aggregate="sum"), rows) == [0]
    with pytest.raises(NonFinite):
        merged(canonical_but(aggregate="sum"), rows)
