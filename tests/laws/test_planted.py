"""Each law is broken by the function planted for it, which keeps all others: it finds what it is for, and no more."""

from __future__ import annotations

import pytest

import mergealgebra as ma
from mergealgebra.targets.merge_functions import function
from tests.laws.planted import PLANTED, lawful
from tests.targets.counterexamples import run

TRIES = 10


def outcomes(merge, tries=TRIES):
    """The outcome of every law."""
    return {verdict.law: verdict.outcome for verdict in ma.laws.check(merge, tries=tries)}


def test_every_law_has_its_planted_function():
    assert list(PLANTED) == list(ma.laws.LAWS)


def test_all_laws_can_hold_together():
    assert outcomes(lawful, tries=40) == dict.fromkeys(ma.laws.LAWS, "holds")


@pytest.mark.parametrize("law", PLANTED)
def test_a_planted_function_breaks_its_law_and_no_other(law):
    expected = dict.fromkeys(ma.laws.LAWS, "holds") | {"homomorphism": "does not apply"} | {law: "broken"}
    assert outcomes(PLANTED[law]) == expected


@pytest.mark.parametrize("law", PLANTED)
def test_its_counterexample_runs_and_is_one_no_more_for_a_lawful_function(law):
    (verdict,) = ma.laws.check(PLANTED[law], [law], tries=TRIES)
    scope, raised, printed = run(verdict.counterexample, merge=PLANTED[law])
    assert isinstance(raised, AssertionError)
    assert str(raised) == f"{law} is broken"
    assert printed == f"{scope['left']}\n{scope['right']}\n"
    mended = verdict.counterexample.replace(function(PLANTED[law]).code.strip(), "")
    assert run(mended, merge=lawful)[1] is None


def test_without_its_condition_associativity_could_not_hold_with_the_others():
    """x . -x = 0 by order independence and sign symmetry; then (x . x) . -x and x . (x . -x) differ."""
    from mergealgebra.laws.calls import on_copies
    from mergealgebra.laws.cases import case
    from mergealgebra.laws.equations import associativity

    x, minus_x = case([{"w": [1]}, {"w": [-1]}]).task_vectors
    left, right = associativity(on_copies(lawful), x, x, minus_x)
    assert (left["w"][0], right["w"][0]) == (0, 1)
