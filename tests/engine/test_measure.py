"""What a contribution changes, in figures: from the pass that checks it, however that is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra.engine.backends import backend
from mergealgebra.engine.measure import Measure, measure
from mergealgebra.engine.memory import as_contribution
from mergealgebra.engine.plan import make_plan
from mergealgebra.engine.sources import Contribution
from mergealgebra.errors import Implausible, NonFinite
from tests.engine.sources import Arrays
from tests.models import DTYPES, task_vector

BASE = {"a": np.float32([3, 4, 0]), "b": np.float32([[0, 12]])}
TUNED = {"a": np.float32([3, 4, 1]), "b": np.float32([[2, 14]])}


def measured(base, tensors, form="finetuned", **way):
    source = Arrays(tensors)
    one = Contribution("it", form, 1.0, source, frozenset(tensors))
    return measure(make_plan(Arrays(base), [one], ma.Mean(), backend("numpy"), **way))


@pytest.mark.clause("CT-11")
@pytest.mark.parametrize("way", [{}, {"threads": 3}, {"block": 1, "threads": 2}], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_is_of_all_that_is_held(way, dtype):
    base, tuned = ({name: array.astype(DTYPES[dtype]) for name, array in side.items()} for side in (BASE, TUNED))
    found = measured(base, tuned, **way)
    assert (found.elements, found.changed) == (5, 3)
    assert (found.difference, found.base) == (3, 13)
    assert found.other == math.sqrt(9 + 16 + 1 + 4 + 196)
    assert found.to_map() == {"difference": "0.2308", "changed": "0.6"}


@pytest.mark.clause("CT-11")
def test_of_a_part_is_against_that_part():
    found = measured(BASE, {"a": TUNED["a"]})
    assert (found.elements, found.base) == (3, 5)


@pytest.mark.clause("CT-11")
def test_of_a_stored_task_vector_looks_at_its_distance_from_the_base():
    found = measured(BASE, {name: array + np.float32(0.5) for name, array in BASE.items()}, "task_vector")
    assert found.other == pytest.approx(math.sqrt(5 / 4))
    with pytest.raises(Implausible, match=r"^it: a task vector so near to the base \(0\.086 times"):
        found.judge("it", force=False)
    assert len(found.judge("it", force=True)) == 1


@pytest.mark.clause("CT-11")
def test_passes_over_what_is_not_finite_in_both():
    odd = {"mask": np.float32([-np.inf, np.nan, 1])}
    found = measured(odd, {"mask": np.float32([-np.inf, np.nan, 2])})
    assert (found.changed, found.difference, found.base, found.other) == (1, 1, 1, 2)


@pytest.mark.clause("TV-4")
def test_comes_after_what_is_refused():
    with pytest.raises(NonFinite):
        measured(BASE, {"a": np.float32([1, np.nan, 2])})


#: Figures of contributions, and what is said of them; nothing of those that are likely.
JUDGED = {
    "a fine-tune": (Measure("finetuned", 9, 9, 0.1, 1.0, 1.0), ""),
    "far, and not quite half as far as the base is large": (Measure("finetuned", 9, 9, 0.49, 1.0, 1.0), ""),
    "half as far as the base is large": (Measure("finetuned", 9, 9, 0.5, 1.0, 1.0), "0.5 times the base's norm, as if"),
    "of another base": (Measure("finetuned", 9, 9, 1.41, 1.0, 1.0), "1.41 times the base's norm, as if it came from"),
    "a difference": (Measure("finetuned", 9, 9, 1.01, 1.0, 0.1), "its norm is 0.1 times the base's, as if"),
    "a small model": (Measure("finetuned", 9, 9, 0.49, 1.0, 0.51), ""),
    "where the base is zero": (Measure("finetuned", 9, 9, 0.9, 0.0, 0.9), ""),
    "a task vector": (Measure("task_vector", 9, 9, 0.1, 1.0, 1.0), ""),
    "a large task vector": (Measure("task_vector", 9, 9, 0.6, 1.0, 1.1), "0.6 times the base's norm"),
    "beyond all numbers": (Measure("finetuned", 9, 9, math.inf, math.inf, math.inf), ""),
}


@pytest.mark.clause("CT-11")
@pytest.mark.parametrize(("figures", "said"), JUDGED.values(), ids=JUDGED)
def test_is_judged(figures, said):
    lines = figures.judge("it", force=False)
    assert [said in line for line in lines] == ([True] if said else [])


@pytest.mark.clause("CT-11")
@pytest.mark.parametrize("difference", [0.9, 0.9988, 3.0])
def test_of_a_model_as_a_stored_task_vector_is_refused(difference):
    whole = Measure("task_vector", 9, 9, difference, 1.0, 1.4)
    with pytest.raises(
        Implausible, match=rf"as large as the base itself \(its norm is {difference:g} times the base's\)"
    ):
        whole.judge("it", force=False)
    assert len(whole.judge("it", force=True)) == 1


#: The differences of a contribution and of the others, and what is said of it.
BESIDE_OTHERS = {
    "ten times the others": (0.1, [0.01, 0.01, 0.01], "0.1 times the base's norm, 10 times the 0.01 of the others"),
    "a little less": (0.099, [0.01, 0.01, 0.01], ""),
    "their median counts": (0.1, [0.01, 0.01, 0.9], "10 times the 0.01 of the others (their median), as if"),
    "as all the others": (0.4, [0.4, 0.3], ""),
    "where nothing is known of others": (0.1, [], ""),
    "where others are nothing": (0.1, [0.0, 0.0], ""),
    "where others are beyond all numbers": (0.1, [math.inf, math.nan], ""),
}


@pytest.mark.clause("CT-11")
@pytest.mark.parametrize(("own", "others", "said"), BESIDE_OTHERS.values(), ids=BESIDE_OTHERS)
def test_is_judged_beside_others(own, others, said):
    lines = Measure("finetuned", 9, 9, 2 * own, 2.0, 2.0).judge("it", force=False, others=others)
    assert [said in line for line in lines] == ([True] if said else [])


@pytest.mark.clause("CT-11")
@pytest.mark.parametrize("form", ["finetuned", "task_vector"])
def test_of_nothing_is_refused(form):
    tensors = BASE if form == "finetuned" else {name: np.zeros_like(array) for name, array in BASE.items()}
    with pytest.raises(Implausible, match="it equals the base, so there is nothing to contribute"):
        measured(BASE, tensors, form).judge("it", force=False)


def test_takes_arrays_in_memory():
    base = {name: np.ones_like(array) for name, array in task_vector(0).items()}
    one = as_contribution("it", task_vector(0), "1")
    assert measure(make_plan(Arrays(base), [one], ma.Mean(), backend("numpy"))).changed
