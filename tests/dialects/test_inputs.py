"""What a merge in a dialect is given: refused in our own words, copied, or taken as it is."""

from __future__ import annotations

import numpy as np
import pytest

from mergealgebra.algebra.method import WholeModel
from mergealgebra.dialects.merge import merge_in_dialect, merge_models
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.errors import (
    CoefficientError,
    DecimalError,
    DtypeError,
    IntegerTensorChanged,
    NamesError,
    NothingVisible,
    Overflow,
    RecipeError,
    ShapeError,
)
from tests.dialects.cases import BF16

W = {"w": np.float32([0, 0])}
FINE = {"w": np.float32([1, 2])}
HUGE = {"w": np.float32([3e38, 0])}
NUMBERED = {**W, "n": np.arange(2)}

#: What cannot be merged: the error, what it says, the dialect, base, models and parameters.
REFUSALS = {
    "no models": (NothingVisible, "nothing to merge", "canonical", W, [], {}),
    "few coefficients": (CoefficientError, "1 coefficients for 2", "canonical", W, [FINE] * 2, {"coefficients": ["1"]}),
    "coefficient 0": (CoefficientError, "model 0: coeff", "mergekit-0.1.5", W, [FINE], {"coefficients": ["0"]}),
    "negative": (CoefficientError, "model 0: .* negative", "peft-0.21", W, [FINE], {"coefficients": ["-1"]}),
    "sum of 0": (CoefficientError, "model 1: ", "crdt-merge-0.11", W, [FINE] * 2, {"coefficients": ["1", "-1"]}),
    "a float": (DecimalError, "model 0: .*string", "canonical", W, [FINE], {"coefficients": [0.5]}),
    "density that is no decimal": (DecimalError, "density: 'half'", "authors", W, [FINE], {"density": "half"}),
    "density above 1": (RecipeError, "density: 2 ", "mergekit-0.1.5", W, [FINE], {"density": "2"}),
    "density above 100 percent": (RecipeError, "density: 101 ", "authors", W, [FINE], {"density": "101"}),
    "density 0": (RecipeError, "density: 0 ", "peft-0.21", W, [FINE], {"density": "0"}),
    "lambda that is no decimal": (DecimalError, "lambda: 'x'", "peft-0.21", W, [FINE], {"lambda_": "x"}),
    "lambda beyond fp32": (DecimalError, "lambda: 1000", "authors", W, [FINE], {"lambda_": "1" + "0" * 39}),
    "shape": (ShapeError, r"model 0: tensor 'w' has shape \[1\]", "authors", W, [{"w": np.float32([1])}], {}),
    "unknown name": (NamesError, "model 0: tensor 'x' is not in", "authors", W, [{**FINE, "x": W["w"]}], {}),
    "a name that is none": (NamesError, "tensor 1: ", "authors", W, [{1: W["w"]}], {}),
    "missing name": (NamesError, "model 0 lacks tensor 'w'", "peft-0.21", W, [{}], {}),
    "no array": (DtypeError, "tensor 'w': a list is not an array", "authors", W, [{"w": [1, 2]}], {}),
    "complex": (DtypeError, "is C64, the base.s F32: only float", "authors", W, [{"w": np.complex64([1, 2])}], {}),
    "float for integer": (DtypeError, "model 0: tensor 'w' is I64, the", "authors", W, [{"w": np.arange(2)}], {}),
    "integers that differ": (IntegerTensorChanged, "'n'", "authors", NUMBERED, [{**FINE, "n": np.arange(1, 3)}], {}),
    "wider": (DtypeError, "'w' is F64, the base's F32", "mergekit-0.1.5", W, [{"w": np.float64([1, 2])}], {}),
    "beside": (
        DtypeError,
        "is BF16, the base's F16",
        "authors",
        {"w": np.float16([1])},
        [{"w": np.array([1], BF16)}],
        {},
    ),
    "overflow": (Overflow, "tensor 'w': element 0 of the result", "canonical", W, [HUGE], {"lambda_": "10"}),
    "overflow of what does not count": (
        Overflow,
        "tensor 'w': element 0 of the result",
        "canonical",
        W,
        [HUGE],
        {"lambda_": "0", "coefficients": ["10"]},
    ),
}


@pytest.mark.clause("DI-20", "RC-6", "MG-2")
@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_merged_is_refused(case):
    error, message, name, base, models, parameters = REFUSALS[case]
    with pytest.raises(error, match=message):
        merge_in_dialect(DIALECTS[name], base, models, **parameters)


@pytest.mark.clause("DI-20")
@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "paper"])
def test_tensors_that_are_not_float_are_copied(name):
    base = {"w": np.zeros(4, np.float32), "n": np.arange(3), "flag": np.array([True])}
    model = {**base, "w": np.float32([1, 2, 3, 4])}
    result = merge_in_dialect(DIALECTS[name], base, [model, model], density="0.5")
    assert result["n"].tolist() == [0, 1, 2]
    assert result["n"] is not base["n"]
    assert result["flag"].tolist() == [True]


@pytest.mark.clause("DI-13")
def test_models_may_be_differences():
    base = {"w": np.float32([1, 2, 3])}
    model = WholeModel("mine", {"w": np.float32([1, 0, -5])}, form="task_vector")
    result, kept = merge_models(DIALECTS["mergekit-0.1.5"], base, [model], density="0.34")
    assert (result["w"].tolist(), kept) == ([1, 2, -2], [{"w": 1}])
    alone, kept = merge_models(DIALECTS["crdt-merge-0.11"], base, [model], density="0.34")
    assert (alone["w"].tolist(), kept) == ([2, 2, -2], [{"w": 2}])


@pytest.mark.clause("DI-1")
def test_an_open_point_has_to_be_settled():
    with pytest.raises(RecipeError, match=r"dialect paper leaves density, kept, .* open"):
        merge_in_dialect(DIALECTS["paper"], {}, [{}])
