"""The example target, asked what this package computes."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.conformance.judgement.comparison import compare
from mergealgebra.conformance.judgement.judge import judge
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.targets import protocol
from mergealgebra.targets.loading import open_target
from mergealgebra.targets.protocol import FLOATS
from mergealgebra.targets.questions import KINDS, Hello, Merged, Question, Refused, introduction
from tests.targets.conversations import ask

FOLDER = Path(__file__).parents[2] / "examples" / "conformance"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="the example is in JavaScript, and there is no node"
)


def example():
    return open_target(f"node {shlex.quote(str(FOLDER / 'ties.mjs'))}")


DTYPES = (np.float32, ml_dtypes.bfloat16, np.float16, np.float64)


def a_question(i: int) -> Question:
    """Whole multiples of 2^-7 below 8: their sums are exact in fp64, in any order, and ties are common."""
    rng = np.random.default_rng(i)
    shapes = {"b": (3, 2), "a": (), "layer.é": (11,), "empty": (0, 4)}
    models = [
        {name: (rng.integers(-1024, 1024, shape) / 128).astype(DTYPES[i % 4]) for name, shape in shapes.items()}
        for _ in range(2 + i % 5)
    ]
    coefficients = tuple(str(c) for c in rng.choice(["1", "2", "0.3", "1.75"], len(models) - 1))
    density, lambda_ = ["1", "0.29", "0.5", "0.05", "0.8"][i % 5], ["1", "0.3", "-2"][i % 3]
    return Question(str(i), models[0], tuple(models[1:]), density, lambda_, coefficients)


def ours(question: Question) -> dict[str, np.ndarray]:
    task_vectors = [ma.TaskVector.between(question.base, model) for model in question.models]
    recipe = ma.Ties(density=question.density, lambda_=question.lambda_)
    return ma.merge(question.base, task_vectors, recipe, question.coefficients)


def test_the_example_computes_what_this_package_computes():
    for question, answer in ask(example(), [a_question(i) for i in range(120)], 60):
        assert isinstance(answer, Merged), answer
        for name, array in ours(question).items():
            assert answer.tensors[name].tobytes() == array.tobytes(), (question.id, name)


def test_the_example_gives_the_bits_of_canonical():
    """Beyond the questions above: numbers of all sizes, results that are subnormal or too large, coefficients."""
    found = compare(example(), DIALECTS["canonical"], count=200, seconds=60)
    assert found.first is None


def test_the_example_is_found_to_be_canonical():
    verdict = judge(example(), seconds=60, breadth=5, elements=2**8)
    assert verdict.conformant_to == ("canonical", "paper")
    assert verdict.failures == verdict.faults == ()
    assert not [found.name for found in verdict.properties if found.holds is False]


BASE = {"w": np.float16([1, 2])}

#: Questions that the example refuses, by why.
REFUSED = {
    "density 2 is not in (0, 1]": Question("q", BASE, (BASE,), "2"),
    "the base has no tensor v": Question("q", BASE, ({"v": BASE["w"]},)),
    "a task vector is not finite": Question("q", BASE, ({"w": np.float16([np.inf, 0])},)),
    "a vote is not finite": Question("q", BASE, ({"w": BASE["w"] + 1},), coefficients=("1" + "0" * 40,)),
    "a result is not finite": Question("q", BASE, ({"w": BASE["w"] + 1},), lambda_="70000"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_the_example_refuses_what_it_does_not_take(why):
    (_, answer), *_ = ask(example(), [REFUSED[why]], 60)
    assert answer == Refused(why)


def test_the_example_says_who_it_is():
    assert introduction(example(), 60) == Hello("ties.mjs", "1")


def test_the_protocol_names_what_there_is():
    text = protocol.text()
    assert [name for name in (*KINDS, *FLOATS) if name not in text] == []
