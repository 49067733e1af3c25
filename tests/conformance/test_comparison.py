"""Random questions: the same for a seed, answered alike by what is the same dialect, and by nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.conformance.inference.dialect_answers import agrees, computed
from mergealgebra.conformance.judgement.comparison import Compared, compare
from mergealgebra.conformance.judgement.random_merges import questions
from mergealgebra.conformance.probes.interview import PATIENCE
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, Dialect
from mergealgebra.errors import RecipeError
from mergealgebra.targets import protocol
from mergealgebra.targets.differences import same_bits
from mergealgebra.targets.loading import Here
from mergealgebra.targets.programs import Program
from mergealgebra.targets.questions import Failed, Merged, Question, Refused

SETTLED = [name for name, dialect in DIALECTS.items() if None not in dialect.options.values()]


def with_options(name: str, options: Mapping[str, str]) -> Dialect:
    dialect = DIALECTS[name]
    return replace(dialect, options={**dialect.options, **options})


def target(dialect: Dialect) -> Here:
    return Here(dialect.name, partial(merge_in_dialect, dialect))


def digest(name: str) -> str:
    lines = [protocol.request(question) for question in questions(DIALECTS[name], 40, seed=3)]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def test_a_seed_gives_the_same_questions_in_every_process():
    code = "from tests.conformance.test_comparison import digest; print(digest('peft-0.21'))"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == digest("peft-0.21") != digest("authors")


@pytest.mark.clause("DI-1", "DI-18")
@pytest.mark.parametrize("name", SETTLED)
def test_a_dialect_agrees_with_itself(name):
    found = compare(target(DIALECTS[name]), DIALECTS[name], count=60)
    assert (found.asked, found.differences, found.first) == (found.equal, 0, None)
    assert sum(found.asked.values()) == 60


def test_questions_reach_all_that_a_dialect_has():
    asked = list(questions(DIALECTS["mergekit-0.1.4"], 200))
    answers = [computed(DIALECTS["mergekit-0.1.4"], question) for question in asked]
    assert {len(question.models) for question in asked} == set(range(1, 9))
    assert {array.dtype.name for question in asked for array in question.base.values()} == {
        "float32",
        "bfloat16",
        "float16",
        "float64",
    }
    assert {type(answer) for answer in answers} == {Merged, Refused}
    assert sum(isinstance(answer, Refused) for answer in answers) < 60
    assert len({question.lambda_ for question in asked}) > 3
    assert any(set(question.coefficients) - {"1"} for question in asked)
    assert any(len(question.base) > 1 for question in asked)
    values = [
        array.astype(np.float64)
        for answer in answers
        if isinstance(answer, Merged)
        for array in answer.tensors.values()
    ]
    assert any(np.isnan(array).any() for array in values)


#: A dialect, and what is taken instead at one point; a few hundred questions notice.
CHANGES = [
    ("authors", "density", "double"),
    ("authors", "kept", "floor_min_1"),
    ("authors", "boundary", "none"),
    ("authors", "zero_sum", "majority_or_zero"),
    ("authors", "arithmetic", "fp32"),
    ("authors", "output", "base"),
    ("canonical", "scope", "tensor"),
    ("canonical", "election", "sum"),
    ("canonical", "arithmetic", "fp64"),
    ("canonical", "non_finite", "propagate"),
    ("crdt-merge-0.11", "alone", "merged"),
    ("crdt-merge-0.11", "coefficients", "given"),
    ("crdt-merge-0.11", "denominator", "all"),
    ("fusion-bench-0.2", "arithmetic", "storage_to_sum"),
    ("mergekit-0.1.4", "kept", "floor"),
    ("mergekit-0.1.5", "boundary", "keep_all"),
    ("mergekit-0.1.5", "density", "decimal"),
    ("mergelm", "density", "double"),
    ("peft-0.21", "arithmetic", "storage"),
    ("peft-0.21", "aggregate", "sum"),
    ("sd-mecha-1.1", "election", "sum"),
    ("sd-mecha-1.1", "lambda", "after"),
]


@pytest.mark.clause("DI-1")
@pytest.mark.parametrize(("name", "point", "option"), CHANGES)
def test_another_option_at_one_point_is_noticed(name, point, option):
    found = compare(target(with_options(name, {point: option})), DIALECTS[name], count=300)
    assert found.differences > 0
    assert found.first is not None


def test_the_first_difference_is_the_smallest():
    found = compare(target(with_options("authors", {"output": "base"})), DIALECTS["authors"], count=100)
    assert set(found.asked) == {"F32", "BF16", "F16", "F64"}
    assert found.asked["BF16"] > found.equal.get("BF16", 0)
    assert found.asked["F32"] == found.equal["F32"]
    assert len(found.first.input) < 100
    assert "as float32" in found.first.expected


@pytest.mark.clause("DI-1")
def test_an_open_point_has_nothing_to_compare_with():
    with pytest.raises(RecipeError, match="open"):
        compare(target(DIALECTS["authors"]), DIALECTS["paper"], count=1)


def test_who_fails_again_and_again_is_asked_no_more():
    silent = Program("silent", (sys.executable, "-c", "import sys; sys.exit('no torch')"))
    found = compare(silent, DIALECTS["authors"], count=50)
    assert (sum(found.asked.values()), found.not_asked, found.equal) == (PATIENCE, 50 - PATIENCE, {})
    assert "crashed" in found.first.answer
    answering = target(DIALECTS["authors"])
    assert compare(answering, DIALECTS["authors"], count=5).not_asked == 0


def test_no_answer_is_no_agreement():
    question = next(
        q for q in questions(DIALECTS["authors"], 9) if isinstance(computed(DIALECTS["authors"], q), Merged)
    )
    assert not agrees(DIALECTS["authors"], question, Failed("hung", "it was silent"))
    assert not agrees(DIALECTS["authors"], question, Refused("no"))
    for wrong in ({}, {"w": np.zeros(2)}, {"v": np.zeros(3)}):
        assert not agrees(MERGEKIT, question, Merged(wrong))
    refused = replace(question, density="101")
    assert agrees(DIALECTS["authors"], refused, Refused("no"))
    assert not agrees(DIALECTS["authors"], refused, Merged(question.base))


def test_counts_are_told_by_dtype():
    found = Compared("mine", {"F32": 3, "BF16": 2}, {"F32": 3})
    assert found.differences == 2


def test_bits_are_compared():
    zero, nan = np.float32([0]), np.float32([np.nan])
    assert same_bits(nan, -nan)
    assert not same_bits(zero, -zero)
    assert not same_bits(zero, np.float64([0]))
    assert not same_bits(zero, np.float32([[0]]))


# Ties


def tied(*rows: list[float], density: str = "0.5", **more) -> Question:
    models = tuple({"w": np.array(row, ml_dtypes.bfloat16)} for row in rows)
    return Question("tied", {"w": np.zeros(len(rows[0]), ml_dtypes.bfloat16)}, models, density, **more)


def answered(*values: float) -> Merged:
    return Merged({"w": np.array(values, ml_dtypes.bfloat16)})


MERGEKIT = DIALECTS["mergekit-0.1.5"]


@pytest.mark.clause("DI-18")
def test_every_choice_among_ties_is_right_and_no_other():
    question = tied([1, -1, 2, 1])
    right = [[1, 0, 2, 0], [0, -1, 2, 0], [0, 0, 2, 1]]
    for values in ([a, b, c, d] for a in (0, 1) for b in (0, -1) for c in (0, 2) for d in (0, 1)):
        assert agrees(MERGEKIT, question, answered(*values)) is (values in right), values


@pytest.mark.clause("DI-18")
def test_each_model_has_its_own_choice():
    question = tied([1, 1, 1, 1], [3, 3, 3, 3], coefficients=("1", "1"))
    right = set()
    for first, second in ((a, b) for a in combinations(range(4), 2) for b in combinations(range(4), 2)):
        right.add(tuple(((j in first) + 3 * (j in second)) / max(1, (j in first) + (j in second)) for j in range(4)))
    for values in np.ndindex(4, 4, 4, 4):
        assert agrees(MERGEKIT, question, answered(*values)) is (tuple(map(float, values)) in right), values


@pytest.mark.clause("DI-18")
@pytest.mark.parametrize("option", ["lowest_index", "highest_index"])
@pytest.mark.parametrize("name", ["mergekit-0.1.4", "peft-0.21"])
def test_a_stable_sort_is_one_that_chooses(name, option):
    found = compare(target(with_options(name, {"boundary": option})), DIALECTS[name], count=300)
    assert found.differences == 0


@pytest.mark.clause("DI-18")
def test_what_keeps_one_too_many_is_told_where_its_other_choices_are_right():
    question = tied([1, 1, 1, 2], [1, 1, 1, 2])
    assert agrees(MERGEKIT, question, answered(0, 1, 0, 2))
    assert agrees(MERGEKIT, question, answered(1, 1, 0, 2))
    assert not agrees(MERGEKIT, question, answered(1, 1, 1, 2))
    assert not agrees(MERGEKIT, question, answered(0, 0, 0, 2))


@pytest.mark.clause("DI-6", "DI-18")
@pytest.mark.parametrize(("key", "either"), [("fp32", True), ("working", False)])
def test_what_ties_is_told_by_the_key(key, either):
    """Two fp64 numbers that are one fp32 number."""
    model = {"w": np.array([1.0, 1 + 2.0**-40])}
    question = Question("near", {"w": np.zeros(2)}, (model,), "0.5")
    dialect = with_options("mergekit-0.1.5", {"key": key})
    assert agrees(dialect, question, Merged({"w": model["w"] * [0, 1]}))
    assert agrees(dialect, question, Merged({"w": model["w"] * [1, 0]})) is either


@pytest.mark.clause("DI-18")
def test_where_sorts_do_not_choose_there_is_one_answer():
    question = tied([1, -1, 2, 1])
    assert not agrees(with_options("mergekit-0.1.5", {"boundary": "lowest_index"}), question, answered(0, 0, 2, 1))
