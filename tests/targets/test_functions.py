"""How a merge function is called: one rule, by which `laws` and `conformance` call the same functions alike."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.errors import TargetError
from mergealgebra.targets.functions import SETTINGS, Call, NotAMergeFunction, call_of
from mergealgebra.targets.loading import open_target
from mergealgebra.targets.questions import Merged, Question, Refused
from tests.targets.conversations import ask
from tests.targets.counterexamples import run

#: Functions that fit, and how they are called.
FIT = {
    "task vectors": (lambda base, task_vectors: base, Call(False, (), ())),
    "models": (lambda base, models: base, Call(True, (), ())),
    "all settings": (
        lambda base, models, density, lambda_, coefficients=None: base,
        Call(True, SETTINGS, ("density", "lambda_")),
    ),
    "any settings": (lambda base, task_vectors, **settings: base, Call(False, SETTINGS, ())),
    "more, with defaults": (lambda base, task_vectors, to="all", density="1": base, Call(False, ("density",), ())),
    "part of it given": (partial(lambda base, models, k: base, k=3), Call(True, (), ())),
    "another base": (lambda start, models: start, Call(True, (), ())),
}


@pytest.mark.parametrize(("function", "call"), FIT.values(), ids=FIT)
def test_what_a_function_takes_is_read_off_its_parameters(function, call):
    assert call_of(function) == call


#: Functions that do not, and words of why.
UNFIT = {
    "one parameter": (lambda models: models, "its parameters are (models), and it has no two parameters for"),
    "none by position": (lambda **tensors: tensors, "its parameters are (**tensors), and it has no two"),
    "anything": (lambda *tensors: tensors, "its parameters are (*tensors), and it has no two"),
    "another name": (lambda base, deltas: base, "the second, deltas, does not say which it wants: task_vectors or"),
    "more": (
        lambda base, models, k: base,
        "k has no default, and is not one of the settings that",
    ),
    "a method": (lambda self, base, models: base, "it is a method of a class; name one of an object: m = Merger()"),
    "no parameters to be seen": (max, "Python cannot tell its parameters. Call it from a function: def merge("),
}


@pytest.mark.parametrize(("function", "words"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_told_with_what_does(function, words):
    with pytest.raises(NotAMergeFunction) as caught:
        call_of(function)
    assert words in str(caught.value)
    with pytest.raises(TargetError, match="cannot be asked: "):
        ma.laws.check(function, ["bounds"])


MODULE = """
import numpy as np

class Merger:
    @staticmethod
    def merge(base, task_vectors, density):
        return {n: array + float(density) * sum(v[n] for v in task_vectors) for n, array in base.items()}

def of_models(base, models, density, lambda_, coefficients):
    assert (type(density), type(lambda_), len(coefficients)) == (str, str, len(models))
    return {n: array + float(density) * sum(m[n] - array for m in models) for n, array in base.items()}

def writing(base, models):
    models[0]["w"] += 1
    return dict(base)

def of_task_vectors(base, task_vectors):
    return {n: array + sum(v[n] for v in task_vectors) for n, array in base.items()}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "a_merger.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["Merger.merge", "of_models", "of_task_vectors"])
def test_a_function_works_with_both_verbs(name, module):
    """It adds up task vectors, so zeros among them change nothing; and 3 - 1 and 5 - 1 to 1 are 7."""
    verdicts = ma.laws.check(ma.laws.target(f"a_merger:{name}"), ["identity_of_zero", "bounds"], tries=5)
    assert [verdict.outcome for verdict in verdicts] == ["holds", "broken"]
    assert isinstance(run(verdicts[1].counterexample)[1], AssertionError)
    base, *models = ({"w": np.float32([x])} for x in (1, 3, 5))
    ((_, answer),) = ask(open_target(f"a_merger:{name}"), [Question("q", base, tuple(models))], 120)
    assert isinstance(answer, Merged), answer
    assert answer.tensors["w"].tolist() == [7]


def test_the_settings_of_a_law_are_text_as_conformance_gives_them(module):
    of_models = ma.laws.target("a_merger:of_models", density="0.5", **{"lambda": "2"})
    assert of_models.merge({"w": np.float32([1])}, [{"w": np.float32([4])}])["w"].tolist() == [3]
    with pytest.raises(TargetError, match="coefficients is one a model"):
        ma.laws.target("a_merger:of_models", coefficients="1")


def test_a_setting_that_a_function_lacks_is_refused_for_it(module):
    base = {"w": np.float32([1])}
    half, twice = Question("a", base, (base,), "0.5"), Question("b", base, (base,), lambda_="2")
    answers = [answer for _, answer in ask(open_target("a_merger:Merger.merge"), [half, twice], 120)]
    assert isinstance(answers[0], Merged)
    assert answers[1] == Refused("it has no parameter lambda_, so it is asked with 1 alone")


def test_a_function_of_models_keeps_its_parts():
    def merge(base, models):
        return {n: array + sum(m[n] - array for m in models) for n, array in base.items()}

    merge.lift = lambda task_vector: task_vector
    merge.combine = lambda one, other: {n: one[n] + other[n] for n in one}
    merge.finalize = lambda base, part: {n: array + part[n] for n, array in base.items()}
    (verdict,) = ma.laws.check(merge, ["homomorphism"], tries=1)
    assert verdict.outcome in ("broken", "holds but for rounding")
    assert isinstance(run(verdict.counterexample, merge=merge)[1], AssertionError)


def test_a_function_that_writes_into_its_models_is_not_pure(module):
    (verdict,) = ma.laws.check(ma.laws.target("a_merger:writing"), ["purity"], tries=1)
    assert verdict.outcome == "broken"


def test_a_task_vector_is_what_the_specification_says(module, tmp_path):
    """Rounded once to fp32, and 0 where nothing moved, infinities included."""
    (tmp_path / "a_teller.py").write_text("def merge(base, task_vectors):\n    return task_vectors[0]\n")
    base = {"w": np.float64([1, np.inf, 2.0**60])}
    model = {"w": np.float64([1 + 2.0**-30, np.inf, 2.0**60 + 2.0**30])}
    ((_, answer),) = ask(open_target("a_teller:merge"), [Question("q", base, (model,))], 120)
    assert (answer.tensors["w"].dtype, answer.tensors["w"].tolist()) == (np.float32, [2.0**-30, 0, 2.0**30])
