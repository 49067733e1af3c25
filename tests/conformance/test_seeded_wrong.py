"""Mistakes that are made in a TIES, each told apart and named by the verdict; a right one has none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergealgebra.conformance.judgement.judge import judge
from mergealgebra.conformance.reports.tables import shown_by
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.targets.loading import Here, open_target
from tests.conformance import wrong

#: What the verdict finds: at a point, the option that `canonical` does not take.
FOUND = {
    "off_by_one": {"kept": "floor_plus_1"},
    "above_for_at_least": {"boundary": "none"},
    "tensor_for_model": {"scope": "tensor"},
    "count_for_sum": {"election": "count"},
    "divided_twice": {"coefficients": "normalised", "denominator": "count"},
    "divided_by_kept": {"denominator": "kept_coefficients"},
    "divided_by_all": {"denominator": "all"},
    "fp32_accumulation": {"arithmetic": "fp32"},
    "zero_to_plus": {"zero_sum": "plus"},
    "factors_apart": {},
    "factors_apart_rounded_down": {"kept": "floor", "scope": "tensor"},
    "order_dependent": {"zero_sum": "plus"},
    "thread_dependent": {"arithmetic": "fp32"},
    "mutating": {},
}

#: What it says besides.
FAULTS = {
    "above_for_at_least": "what ties with the threshold is dropped: it compares with > where others have >=",
    "divided_by_kept": "the mean divides by all kept values, and not by those alone that have the elected sign",
    "divided_by_all": "the mean divides by all models, and not by those alone that have the elected sign",
    "divided_twice": "it divides by the number of models twice: n equal models come out at 1/n",
    "factors_apart": "it merges the factors of adapters apart, and not their products",
    "factors_apart_rounded_down": "it merges the factors of adapters apart, and not their products",
    "order_dependent": "its answers depend on the order of the models, and not by rounding alone",
    "thread_dependent": "its answers depend on the number of threads",
    "mutating": "it changes its arguments",
}


@pytest.fixture(scope="module")
def verdicts():
    """By name; the one that depends on threads runs in processes of its own, which can be given some."""
    here = {name: judge(Here(name, getattr(wrong, name)), breadth=0) for name in FOUND if name != "thread_dependent"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        there = judge(open_target("tests.conformance.wrong:thread_dependent"), elements=2**9, seconds=120)
    return {**here, "thread_dependent": there}


def departures(verdict):
    """The points at which it is not canonical, with the options seen there."""
    found = [f for f in verdict.findings if DIALECTS["canonical"][f.point] not in f.options]
    return {finding.point: " or ".join(finding.options) for finding in found}


@pytest.mark.clause("DI-1")
def test_a_right_one_has_no_mistake():
    verdict = judge(Here("right", wrong.right), breadth=10)
    assert departures(verdict) == {}
    assert (verdict.faults, verdict.failures) == ((), ())
    assert verdict.conformant_to == ("canonical", "paper")
    assert {found.name: found.holds for found in verdict.properties} == {
        "order": True,
        "order of rounding": True,
        "shards": True,
        "threads": None,
        "dtypes": True,
        "repetition": True,
        "adapters": True,
        "purity": True,
    }


@pytest.mark.clause("DI-1")
@pytest.mark.parametrize("name", FOUND)
def test_a_mistake_is_named(name, verdicts):
    verdict = verdicts[name]
    assert departures(verdict) == FOUND[name]
    assert verdict.faults == ((FAULTS[name],) if name in FAULTS else ())
    assert verdict.failures == ()


def test_the_verdicts_are_pairwise_different(verdicts):
    said = {(str(departures(verdict)), verdict.faults) for verdict in verdicts.values()}
    assert len(said) == len(verdicts) == 14


@pytest.mark.parametrize("name", FOUND)
def test_what_shows_a_mistake_is_small(name, verdicts):
    verdict = verdicts[name]
    shown = [f.shown_by[str(DIALECTS["canonical"][f.point])] for f in verdict.findings if f.point in FOUND[name]]
    shown += [found.counterexample for found in verdict.properties if found.name in ("order", "adapters", "purity")]
    assert all(len(each.input) < 250 for each in shown if each)


def test_the_right_answer_stands_beside_a_mistake(verdicts):
    (kept,) = (finding for finding in verdicts["divided_by_kept"].findings if finding.point == "denominator")
    assert shown_by(kept) == "[1] and [3] and [-1], density 1: answered [1.3333334], `coefficients` gives [2]"


def test_rounding_of_its_own_is_no_mistake():
    """The quotient by way of a reciprocal, in fp32: a last digit, now and then."""
    verdict = judge(Here("by a reciprocal", wrong.by_a_reciprocal), breadth=10)
    (arithmetic,) = (finding for finding in verdict.findings if finding.point == "arithmetic")
    assert (arithmetic.options, arithmetic.rounding) == ((), True)
    assert verdict.faults == ()
    assert departures(verdict) == {"arithmetic": ""}
    canonical = next(standing for standing in verdict.standings if standing.dialect == "canonical")
    assert canonical.differences == canonical.rounding > 0
    assert "as `canonical` does but for the last digits of " in verdict.summary


def test_a_mistake_that_is_no_option_is_shown():
    """One element fewer than floor(rho d), but one at least."""
    verdict = judge(Here("one too few", wrong.one_too_few), breadth=0)
    (kept,) = (finding for finding in verdict.findings if finding.point == "kept")
    assert kept.options == ()
    assert kept.note.startswith("no option explains all answers; [1, 2] twice, density 0.01: answered [0, 2], ")
    assert verdict.faults[0].startswith("no option explains its answers at kept")


#: What no option explains: the point that is blamed, and what shows it.
UNEXPLAINED = {
    "lambda_twice": ("lambda", "[2] twice, density 1, lambda 0.5: answered [0.5], `after` gives [1]"),
    "without_base": ("lambda", "[3] twice, density 1, base [1]: answered [2], `after` gives [3]"),
    "unelected": ("denominator", "[1] and [3] and [-1], density 1: answered [1], "),
}


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_what_no_option_explains_departs_from_the_paper_too(name):
    verdict = judge(Here(name, getattr(wrong, name)), breadth=0)
    point, shown = UNEXPLAINED[name]
    assert verdict.conformant_to == ()
    blamed = {found.point: found.note for found in verdict.findings if not found.options}
    assert shown in blamed[point]
    assert "arithmetic" not in blamed
