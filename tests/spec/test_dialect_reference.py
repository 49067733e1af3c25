"""Any dialect against the generator's: a second implementation, of exact fractions and single roundings, from the text.

Where `any` lets a dialect choose, this implementation takes the first [DI-18], which is what `lowest_index` says.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType, ModuleType

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.conformance.probes.catalogue import LEAST, PROBES
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, POINTS, Dialect
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.targets.questions import Question, Tensors
from tests.spec.vectors import FOLDER, arrays, tagged

SETTLED = [dialect for dialect in DIALECTS.values() if None not in dialect.options.values()]
DTYPES = (np.float32, ml_dtypes.bfloat16, np.float16, np.float64)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("generator.reference.dialects")


def asked_of(reference: ModuleType, dialect: Dialect, question: Question) -> Tensors | None:
    """The one result of the generator, None where it refuses."""
    boundary = dialect["boundary"]
    options = {**dialect.options, "boundary": "lowest_index" if boundary == "any" else boundary}
    asked = {"base": tagged(question.base), "models": [*map(tagged, question.models)], "density": question.density}
    asked |= {"lambda": question.lambda_, "coefficients": question.coefficients}
    (result,) = reference.results(options, reference.Question.read(asked))
    return None if "refused" in result else arrays(result["tensors"])


def asked_here(dialect: Dialect, question: Question) -> Tensors | None:
    try:
        return merge_in_dialect(
            dialect,
            question.base,
            question.models,
            density=question.density,
            lambda_=question.lambda_,
            coefficients=question.coefficients,
        )
    except MergeAlgebraError:
        return None


def hold(reference: ModuleType, dialect: Dialect, question: Question) -> None:
    """Both refuse, or give the same numbers in the same dtypes; NaN is one number."""
    wanted, found = asked_of(reference, dialect, question), asked_here(dialect, question)
    shown = f"{dialect.name}: {dict(dialect.options)}\n{question}\n{wanted}\n{found}"
    assert (wanted is None) == (found is None), shown
    for name, array in (wanted or {}).items():
        assert array.dtype == found[name].dtype, shown
        np.testing.assert_array_equal(found[name], array, strict=True, err_msg=shown)


@pytest.mark.clause("DI-1", "DI-14")
@pytest.mark.parametrize("dialect", SETTLED, ids=lambda dialect: dialect.name)
def test_probes(reference, dialect):
    """What conformance is judged by rests on two implementations."""
    for probe in (*PROBES, *LEAST):
        hold(reference, dialect, probe.question)


def at_random(choose: random.Random) -> tuple[Dialect, Question]:
    """Any combination of options, and one to four models of small integers or of numbers of many sizes."""
    options = {point: choose.choice([*of]) for point, of in POINTS.items()}
    dialect = replace(DIALECTS["canonical"], name="random", options=MappingProxyType(options))
    dtypes = {name: choose.choice(DTYPES) for name in choose.choice(["w", "ab"])}
    if choose.random() < 0.8:
        dtypes = dict.fromkeys(dtypes, choose.choice(DTYPES))
    kinds = (lambda: choose.choice([0, 1, -1, 2, -2]), lambda: choose.uniform(-1, 1) * 2.0 ** choose.randint(-9, 3))
    number, count = choose.choice(kinds), choose.randint(1, 4)

    def tensors(names: Mapping[str, type]) -> Tensors:
        return {name: np.array([[number() for _ in range(2)] for _ in range(2)]).astype(t) for name, t in names.items()}

    models = [tensors({n: t for n, t in dtypes.items() if n != "b" or choose.random() < 0.9}) for _ in range(count)]
    coefficients = [choose.choice(["1", "0.3", "2"]) for _ in models] if choose.random() < 0.4 else ["1"] * count
    densities, lambdas = ["1", "0.9", "0.5", "0.3", "0.25", "0.35", "50"], ["1", "1", "0.3", "1.7", "-0.5"]
    parameters = choose.choice(densities), choose.choice(lambdas), tuple(coefficients)
    return dialect, Question("random", tensors(dtypes), tuple(models), *parameters)


@pytest.mark.clause("DI-1", "DI-14", "DI-19")
@pytest.mark.parametrize("seed", range(8))
def test_random_combinations(reference, seed):
    choose = random.Random(seed)
    for _ in range(50):
        hold(reference, *at_random(choose))


@pytest.mark.parametrize(("option", "id_"), [("count", "votes"), ("sum", "weighted-votes")])
def test_a_difference_is_noticed(reference, option, id_):
    """An election that is not canonical, planted."""
    planted = replace(
        DIALECTS["canonical"], options=MappingProxyType({**DIALECTS["canonical"].options, "election": option})
    )
    question = next(probe.question for probe in PROBES if probe.question.id == id_)
    wanted, found = asked_of(reference, DIALECTS["canonical"], question), asked_here(planted, question)
    assert not np.array_equal(wanted["w"], found["w"])


def test_the_reference_shares_no_code_with_the_package(reference):
    assert reference.__file__.startswith(str(FOLDER))
    assert not any(name.startswith("mergealgebra") for name in vars(sys.modules["generator.reference.arithmetics"]))
