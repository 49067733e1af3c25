"""Verdicts: what they say of targets that are a dialect, that choose, and that do not answer."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, replace
from types import MappingProxyType

import ml_dtypes
import numpy as np
import pytest

from mergealgebra.conformance.inference.tie_choices import can_be_told, is_a_choice
from mergealgebra.conformance.judgement.evidence import answer_text, input_text, shown
from mergealgebra.conformance.judgement.judge import discover, judge
from mergealgebra.conformance.probes.interview import PATIENCE
from mergealgebra.dialects.merge import merge_in_dialect
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.errors import TargetError
from mergealgebra.targets.loading import Here
from mergealgebra.targets.programs import Program
from mergealgebra.targets.questions import KINDS, Failed, Hello, Merged, Question, Refused


def in_dialect(name, **options):
    """A dialect, or one that takes these options besides."""
    dialect = replace(DIALECTS[name], options=MappingProxyType({**DIALECTS[name].options, **options}))
    return Here(name, lambda base, models, **parameters: merge_in_dialect(dialect, base, models, **parameters), "1")


def at(verdict, point):
    return next(finding for finding in verdict.findings if finding.point == point)


@pytest.fixture(scope="module")
def canonical():
    return judge(in_dialect("canonical"), breadth=3)


@pytest.fixture(scope="module")
def mergekit():
    return judge(in_dialect("mergekit-0.1.5"), breadth=3)


# Targets that are a dialect


@pytest.mark.clause("DI-1")
def test_a_dialect_conforms_to_itself(canonical, mergekit):
    assert canonical.conformant_to == ("canonical", "paper")
    assert mergekit.conformant_to == ("mergekit-0.1.5",)
    assert [standing.dialect for standing in canonical.standings] == list(DIALECTS)


def test_every_point_has_a_finding_with_its_clause(canonical):
    clauses = {finding.point: finding.clause for finding in canonical.findings}
    assert list(clauses) == list(POINTS)
    assert (clauses["density"], clauses["boundary"], clauses["keys"]) == ("DI-2", "DI-5", "DI-17")


def test_an_option_is_ruled_out_by_the_smallest_input_that_does(canonical, mergekit):
    assert str(at(mergekit, "zero_sum").shown_by["zero"]) == "[1] and [-1], density 1: answered [1], `zero` gives [0]"
    assert str(at(canonical, "scope").shown_by["tensor"]) == (
        "a [1], b [2] twice, density 0.5: answered a [0], b [2], `tensor` gives a [1], b [2]"
    )
    assert str(at(canonical, "alone").shown_by["returned"]) == (
        "[1, 2] alone, density 0.5: answered [0, 2], `returned` gives [1, 2]"
    )
    assert str(at(canonical, "density").shown_by["double"]) == (
        "[1 to 50] twice, density 0.58: answered [0 x 21, 22 to 50], `double` gives [0 x 22, 23 to 50]"
    )


def test_each_option_is_left_or_ruled_out_by_something(canonical, mergekit):
    for finding in (*canonical.findings, *mergekit.findings):
        assert {*finding.options, *finding.shown_by} == set(POINTS[finding.point]), finding.point


def test_what_is_not_told_apart_says_why(canonical):
    assert at(canonical, "key").options == ("fp32", "working")
    assert at(canonical, "key").note == "magnitudes are held in fp32"


def test_another_dialect_is_told_apart_by_a_first_difference(mergekit):
    standing = next(standing for standing in mergekit.standings if standing.dialect == "sd-mecha-1.1")
    assert not standing.conformant
    assert str(standing.first) == "[1] and [-1], density 1: answered [1], `sd-mecha-1.1` gives [0]"
    assert 0 < standing.differences < standing.asked


def test_the_paper_is_satisfied_by_what_it_settles(canonical, mergekit):
    by_name = [{standing.dialect: standing for standing in verdict.standings} for verdict in (canonical, mergekit)]
    ours, theirs = (standings["paper"] for standings in by_name)
    assert (ours.conformant, theirs.conformant) == (True, False)
    assert ours.note == "it settles 7 of 16 points; at the others any option conforms"
    assert theirs.first.expected == "`paper` gives a [0], b [2]"


def test_the_paper_leaves_rounding_open():
    rounded = {"arithmetic": "fp32", "lambda": "after_once", "output": "working"}
    assert judge(in_dialect("canonical", **rounded), breadth=0).conformant_to == ("paper",)


def test_the_summary_is_fair(canonical, mergekit):
    asked = canonical.standings[0].asked
    assert canonical.summary == (
        f"It answers all {asked} questions as `canonical` does, and keeps to what `paper` settles. "
        "These properties held: order, order of rounding, shards, dtypes, repetition, purity."
    )
    assert mergekit.summary.split(". ")[1:] == [
        "It takes another option than `canonical` at density (double), scope (tensor), boundary (lowest_index or any), "
        "zero_sum (plus), arithmetic (storage), non_finite (propagate) and keys (same)",
        "These properties held: order, dtypes, repetition, purity; these did not: order of rounding.",
    ]


def test_rounded_sums_depend_on_the_order(mergekit):
    """[DI-19]: no fault, as the order of the list is part of the input."""
    found = next(each for each in mergekit.properties if each.name == "order of rounding")
    assert found.holds is False
    assert str(found.counterexample) == (
        "[-0.3] and [0.2] and [0.1], density 1: answered [-0.3], in the first order [0.15]"
    )
    assert mergekit.faults == ()


def test_shards_are_asked_where_the_model_is_trimmed_as_a_whole(canonical, mergekit):
    holds = [next(each for each in verdict.properties if each.name == "shards") for verdict in (canonical, mergekit)]
    assert [each.holds for each in holds] == [True, None]
    assert "trim the model as a whole" in holds[1].note


def test_a_verdict_is_plain_data(canonical):
    assert json.loads(json.dumps(canonical.to_map()))["findings"][0]["clause"] == "DI-2"


def test_discovery_finds_the_options_alone(canonical):
    found = discover(in_dialect("canonical"))
    assert found.findings == canonical.findings
    assert (found.standings, found.properties) == ((), ())


def test_what_a_dialect_does_not_have_may_be_overlooked():
    """Conformance to a dialect without coefficients is not asked with any, as a target may refuse or ignore them."""
    authors = DIALECTS["authors"]

    def merge(base, models, density, **ignored):
        return merge_in_dialect(authors, base, models, density=density, lambda_=ignored["lambda_"])

    assert "authors" in judge(Here("authors", merge), breadth=3).conformant_to


@pytest.mark.clause("DI-1")
def test_random_questions_are_asked_beyond_the_probes():
    """A target that is canonical on every probe, and only there."""
    ours = in_dialect("canonical")

    def answer(question):
        return Merged(question.base) if question.id.startswith("breadth") else ours.answer(question)

    standing = judge(Answering(answer), breadth=5).standings[0]
    assert (standing.dialect, standing.conformant) == ("canonical", False)
    assert standing.first.question.startswith("breadth")
    assert 0 < standing.differences <= 5


# Ties


def with_any_choice(base, models, **parameters):
    """peft's dialect, whose sort leaves others in front at each call."""
    order = {name: np.random.default_rng(next(CALLS)).permutation(array.size) for name, array in base.items()}
    back = {name: np.argsort(permutation) for name, permutation in order.items()}
    turned = [
        {name: array.reshape(-1)[order[name]] for name, array in tensors.items() if name in order}
        for tensors in (base, *models)
    ]
    merged = merge_in_dialect(DIALECTS["peft-0.21"], turned[0], turned[1:], **parameters)
    return {name: merged[name][back[name]].reshape(array.shape) for name, array in base.items()}


CALLS = iter(range(10**6))


@pytest.mark.clause("DI-18")
def test_an_unstable_sort_may_pick_any_valid_set():
    verdict = judge(Here("any", with_any_choice), breadth=30)
    assert at(verdict, "boundary").options == ("any",)
    assert verdict.conformant_to == ("peft-0.21",)


@pytest.mark.clause("DI-18")
def test_a_set_of_the_wrong_size_is_no_choice():
    assert at(discover(in_dialect("mergekit-0.1.5", boundary="none")), "boundary").options == ("none",)


@pytest.mark.clause("DI-18")
def test_what_no_choice_gives_differs():
    """As mergekit, but for the sign of a zero beside many zeros that tie."""

    def merge(base, models, **parameters):
        merged = merge_in_dialect(DIALECTS["mergekit-0.1.5"], base, models, **parameters)
        for array in merged.values():
            if array.size > 60:
                array.reshape(-1)[-1] = -0.0
        return merged

    assert judge(Here("zero", merge), breadth=0).conformant_to == ()


@pytest.mark.clause("DI-18")
@pytest.mark.parametrize(("last", "fits"), [(1, True), (3, False)], ids=["some model kept it", "no model has it"])
def test_of_more_choices_than_can_be_counted_none_differs(last, fits):
    """Five models of 62 that tie, of which each keeps 60: so three elements cannot be 0, but nobody counts that."""
    ones = {"w": np.ones(62, np.float32)}
    question = Question("q", {"w": np.zeros(62, np.float32)}, (ones,) * 5, "0.97")
    answer = {"w": np.float32([0] * 3 + [1] * 58 + [last])}
    assert is_a_choice(DIALECTS["mergekit-0.1.5"], question, answer) is fits


def test_which_of_many_zeros_are_kept_does_not_matter():
    models = ({"w": np.float32([*[0] * 62, *range(1, 64)])},) * 5
    question = Question("q", {"w": np.zeros(125, np.float32)}, models, "0.8")
    assert can_be_told(DIALECTS["mergekit-0.1.5"], question)


@pytest.mark.clause("DI-6", "DI-18")
@pytest.mark.parametrize(("answer", "fits"), [([1, 0], True), ([0, 2], True), ([1, 2], False)], ids=str)
def test_what_ties_as_zero_is_a_choice_all_the_same(answer, fits):
    """Numbers so small that their fp32 magnitudes are 0."""
    question = Question("q", {"w": np.zeros(2)}, ({"w": np.float64([1e-60, 2e-60])},), "0.5")
    assert is_a_choice(DIALECTS["mergekit-0.1.5"], question, {"w": np.float64(answer) * 1e-60}) is fits


# Targets that do not answer, or nonsense


@dataclass
class Answering:
    """A target that gives one answer to all questions, or what a function says."""

    answer_: object
    name: str = "answering"
    watched: bool = True
    runs_here: bool = True

    def begin(self, seconds):
        return self

    def with_env(self, variables):
        return self

    def hello(self):
        return self.answer_ if isinstance(self.answer_, Failed) else Hello(self.name, "1")

    def answer(self, question):
        if callable(self.answer_):
            return self.answer_(question)
        return self.answer_

    def close(self):
        pass


@pytest.mark.parametrize("ask", [judge, discover])
def test_a_target_that_is_not_there_has_no_verdict(ask):
    with pytest.raises(TargetError, match=r"answering cannot be asked: .*no module"):
        ask(Answering(Failed("absent", "no module")))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "absent"])
def test_a_target_that_only_fails_has_a_verdict(kind):
    verdict = judge(Answering(Failed(kind, "it did")), breadth=3)
    assert verdict.conformant_to == ()
    assert {failure.kind for failure in verdict.failures} == {kind}
    assert len(verdict.failures) == PATIENCE
    assert all(finding.options == tuple(POINTS[finding.point]) for finding in verdict.findings)
    assert all(found.holds is None for found in verdict.properties)
    assert {(s.conformant, s.asked, s.differences, s.first) for s in verdict.standings} == {(False, 0, 0, None)}
    assert all(re.search(r"(\d+) of \1 questions got no answer$", standing.note) for standing in verdict.standings)
    said = "it did, 60 seconds; give it more with --seconds" if kind == "hung" else "it did"
    end = f"After {PATIENCE} failures it was asked no more."
    assert verdict.summary == f"It answered none of the questions: {said}. {end}"


def test_a_target_that_refuses_all_has_a_verdict():
    verdict = judge(Answering(Refused("no")), breadth=3)
    assert verdict.conformant_to == ()
    assert re.fullmatch(r"It refused all \d+ questions, most often so: 'no'\. So nothing else.*", verdict.summary)


def test_a_target_that_refuses_most_and_fails_once_is_told_to_refuse():
    verdict = judge(Answering(lambda q: Failed("crashed", "it did") if q.id == "ties" else Refused("no")), breadth=3)
    said = r"It refused (\d+) of \d+ questions, most often so: 'no'\. 1 of \d+ questions got no answer\. So nothing.*"
    assert re.fullmatch(said, verdict.summary)


def test_a_target_that_hangs_now_and_then_is_given_up():
    """Its time is bounded: so many answers that took too long, in a row or not."""
    asked = []

    def now_and_then(question):
        asked.append(question.id)
        return Failed("hung", "it is silent") if len(asked) % 3 == 0 else Refused("no")

    verdict = judge(Answering(now_and_then), breadth=3)
    assert len(asked) == 3 * PATIENCE
    assert [failure.kind for failure in verdict.failures] == ["hung"] * PATIENCE


def test_a_target_that_merges_nothing_is_explained_by_nothing():
    verdict = judge(Answering(lambda question: Merged(question.base)), breadth=3)
    assert verdict.conformant_to == ()
    assert at(verdict, "kept").options == ()
    assert "no option explains its answers at " in verdict.faults[-1]
    assert verdict.summary.startswith("It is near to none of the dialects here, not even to ")


def test_one_failure_is_reported_and_the_rest_is_judged():
    ours = in_dialect("canonical")

    def answer(question):
        return Failed("hung", "it is silent") if question.id == "sum" else ours.answer(question)

    verdict = judge(Answering(answer), breadth=3)
    assert [(failure.question, failure.kind) for failure in verdict.failures] == [("sum", "hung")]
    assert at(verdict, "kept").options == ("floor_min_1",)
    ours, paper, theirs = verdict.standings[0], verdict.standings[1], verdict.standings[3]
    assert (ours.conformant, ours.differences, ours.first) == (False, 0, None)
    assert ours.note == f"1 of {ours.asked + 1} questions got no answer"
    assert (paper.conformant, paper.differences) == (False, 0)
    assert paper.note.endswith(f"at the others any option conforms; 1 of {paper.asked + 1} questions got no answer")
    assert (theirs.dialect, theirs.first.answer) == ("mergekit-0.1.5", "[0]")
    assert re.search(r" 1 of \d+ questions got no answer\.$", verdict.summary)


def nonsense(seed):
    """Answers of any kind, of any dtype and with any values; some tell that the base was changed."""
    random = np.random.default_rng(seed)
    dtypes = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]

    def array(like):
        values = random.choice([0, 1, -2, 0.1, 1e300, np.nan, np.inf], like.shape)
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(dtypes[random.integers(4)])

    def answer(question):
        kind = random.integers(8)
        if kind == 0:
            return Refused("no")
        if kind == 1:
            return Failed("crashed", "it ended")
        return Merged({name: array(like) for name, like in question.base.items()}, ("base",) if kind == 2 else ())

    return answer


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_has_a_verdict(seed):
    verdict = judge(Answering(nonsense(seed)), breadth=3, elements=2**8)
    assert verdict.conformant_to == ()
    assert verdict.failures
    assert "order" in verdict.summary.partition("hese did not: ")[2]
    assert "it changes its arguments" in verdict.faults


def test_a_question_that_fails_shows_no_dependence():
    """Whether threads, order and the like change an answer is told from answers alone."""
    ours = in_dialect("canonical")

    def answer(question):
        return Failed("hung", "it is silent") if question.id in {"again", "float16-4"} else ours.answer(question)

    verdict = judge(Answering(answer), breadth=0)
    told = {found.name: (found.holds, found.tries) for found in verdict.properties}
    assert (told["repetition"], told["dtypes"]) == ((True, 1), (True, 2))


def test_questions_about_threads_are_counted():
    """They are asked of targets of their own, whose failures and changes count as well."""
    ours, asked = in_dialect("canonical"), []

    class Started(Answering):
        def with_env(self, variables):
            return replace(self)

        def answer(self, question):
            asked.append(question.id)
            if question.id == "threads-8":
                return Failed("hung", "it is silent") if len(asked) % 2 else Merged(question.base, ("base",))
            return ours.answer(question)

    verdict = judge(Started(None, runs_here=False), breadth=0, elements=2**6)
    assert asked.count("threads-8") == 2
    assert [failure.question for failure in verdict.failures] == ["threads-8"]
    assert verdict.summary.endswith(f" 1 of {len(asked)} questions got no answer.")
    assert "it changes its arguments" in verdict.faults


def purity(target):
    verdict = judge(target, breadth=0)
    return next((found.holds, found.note) for found in verdict.properties if found.name == "purity")


def test_purity_is_told_of_what_is_watched_alone():
    ours = in_dialect("canonical").answer
    assert purity(Answering(ours)) == (True, "as far as what it was given can be seen")
    unseen = "what a program does to its arguments cannot be seen"
    assert purity(Answering(ours, watched=False)) == (None, unseen)
    assert purity(Answering(lambda question: Merged(question.base, ("base",)), watched=False)) == (False, "")
    assert purity(Answering(Failed("hung", "it is silent"))) == (None, "it answered nothing")


PROGRAMS = {
    "exits": ("import sys; sys.exit(3)", {"crashed"}),
    "hangs": ("import time; time.sleep(600)", {"hung"}),
    "chatters": ("while True: print('merging')", {"flooded", "chattered", "hung"}),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_program_that_never_answers_has_a_verdict(case):
    code, kinds = PROGRAMS[case]
    verdict = judge(Program(case, (sys.executable, "-c", code), start_seconds=1), seconds=1)
    assert {failure.kind for failure in verdict.failures} <= kinds
    assert verdict.version == "unknown"
    assert verdict.summary.startswith("It answered none of the questions: ")


# Texts


def test_long_inputs_are_shown_where_they_differ():
    values = np.float32(np.arange(100) ** 2 % 37)
    question = Question("q", {"w": np.zeros_like(values)}, ({"w": values}, {"w": values[::-1].copy()}))
    one, other = values.copy(), values.copy()
    other[70] += 1
    seen = shown(question, Merged({"w": one}), Merged({"w": other}), "`x`")
    assert str(seen) == "[16] and [27], density 1, at element 70: answered [16], `x` gives [17]"


def texts(answer, wanted):
    """How two answers to a question of as many zeros are shown."""
    model = {"w": np.arange(answer.size, dtype=answer.dtype) ** 2 / 8}
    question = Question("q", {"w": np.zeros_like(answer)}, (model,))
    seen = shown(question, Merged({"w": answer}), Merged({"w": wanted}))
    return seen.answer, seen.expected


def test_zeros_are_shown_with_their_signs():
    one, other = np.float32([-0.0, 1, 2, 3, 4]), np.float32([0, 1, 2, 3, 4])
    assert texts(one, other) == ("[-0, 1, 2, 3, 4]", "gives [0 to 4]")


def test_long_answers_are_shown_where_their_bits_differ():
    one, other = np.zeros((2, 100), np.float32)
    one[3] = other[3] = np.nan
    one[7] = -0.0
    assert texts(one, other) == ("[-0]", "gives [0]")
    one[5] = 1
    assert texts(one, other) == ("[1]", "gives [0]")


@pytest.mark.filterwarnings("error")
def test_what_no_narrow_number_holds_is_shown():
    assert texts(np.float64([1e300, 0.1]), np.float64([0.5, np.inf])) == ("[1e+300, 0.1]", "gives [0.5, inf]")


def test_what_is_not_finite_does_not_count_up():
    assert texts(np.float32([np.nan] * 6), np.float32([np.inf] * 6)) == ("[nan x 6]", "gives [inf x 6]")


def test_texts_tell_what_is_not_as_usual():
    base = {"w": np.float64([1])}
    question = Question("q", base, (base, base), "0.5", "2", ("1", "3"))
    assert input_text(question) == "[1] twice, density 0.5, lambda 2, coefficients 1 and 3, base [1], float64"
    assert answer_text(Merged({"w": np.float32([0.1])}), question) == "[0.1] as float32"
    assert answer_text(Refused("no"), question) == "a refusal"


def test_to_refuse_a_dtype_is_no_mistake():
    """Its own words are shown."""
    ours = in_dialect("canonical")

    def answer(question):
        wide = not any(array.dtype == ml_dtypes.bfloat16 for array in question.base.values())
        return ours.answer(question) if wide else Refused("TypeError: no such dtype")

    verdict = judge(Answering(answer), breadth=0)
    dtypes = next(each for each in verdict.properties if each.name == "dtypes")
    assert (dtypes.holds, dtypes.note) == (True, "it refuses bfloat16: 'TypeError: no such dtype'")
    assert verdict.faults == ()
    assert verdict.standings[0].first.answer == "a refusal: 'TypeError: no such dtype'"
