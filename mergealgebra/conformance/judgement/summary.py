"""A verdict in a few sentences, and the mistakes that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from mergealgebra.conformance.probes.interview import PATIENCE, Interview
from mergealgebra.conformance.verdict import Finding, Property, Verdict
from mergealgebra.dialects.points import DIALECTS
from mergealgebra.text import shown

#: What it is when a property does not hold.
BROKEN: Final = {
    "order": "its answers depend on the order of the models, and not by rounding alone",
    "shards": "its answers depend on how a tensor is cut in two",
    "threads": "its answers depend on the number of threads",
    "dtypes": "numbers that every dtype holds merge to others in another dtype",
    "repetition": "the same question, asked again, gets another answer",
    "purity": "it changes its arguments",
    "adapters": "it merges the factors of adapters apart, and not their products",
}

#: Options that are nobody's choice, and what they come to.
MISTAKEN: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "what ties with the threshold is dropped: it compares with > where others have >=": {"boundary": ("none",)},
    "the mean divides by all kept values, and not by those alone that have the elected sign": {
        "denominator": ("kept", "kept_coefficients"),
        "aggregate": ("mean",),
    },
    "the mean divides by all models, and not by those alone that have the elected sign": {
        "denominator": ("all",),
        "aggregate": ("mean",),
        "coefficients": ("given", "none"),
    },
    "it divides by the number of models twice: n equal models come out at 1/n": {
        "coefficients": ("normalised",),
        "denominator": ("count", "all"),
        "aggregate": ("mean",),
    },
}


def faults(findings: Sequence[Finding], properties: Sequence[Property]) -> tuple[str, ...]:
    """The known mistakes that a target makes, in a few words each; or, where they do not fit all answers, where."""
    options = {found.point: found.options for found in findings}
    unexplained = [found.point for found in findings if not found.options and not found.rounding]
    broken = (BROKEN[found.name] for found in properties if found.holds is False and found.name in BROKEN)
    mistaken = (text for text, points in MISTAKEN.items() if all(_within(options[p], o) for p, o in points.items()))
    odd = [f"no option explains its answers at {_listed(unexplained)}"] if unexplained else []
    return (*odd, *mistaken, *broken)


def _within(left: Sequence[str], options: Sequence[str]) -> bool:
    return bool(left) and set(left) <= set(options)


def summarised(verdict: Verdict, interview: Interview) -> Verdict:
    """The verdict with its summary. interview: the one that it comes from."""
    if not any(found.shown_by or not found.options for found in verdict.findings):
        return replace(verdict, summary=_silent(verdict, interview))
    sentences = [
        _dialects(verdict),
        _departures(verdict),
        _stability(verdict),
        _refused(interview),
        _unanswered(verdict, interview),
    ]
    return replace(verdict, summary=" ".join(filter(None, sentences)))


def _dialects(verdict: Verdict) -> str:
    """What it is, by the dialects."""
    if not verdict.standings:
        return ""
    settled = [s for s in verdict.standings if None not in DIALECTS[s.dialect].options.values()]
    same = [standing for standing in settled if standing.conformant]
    paper = [s.dialect for s in verdict.standings if s.conformant and s not in settled]
    within = f", and keeps to what `{paper[0]}` settles" if paper else ""
    if same:
        names = _listed([f"`{standing.dialect}`" for standing in same])
        return f"It answers all {max(standing.asked for standing in same)} questions as {names} does{within}."
    rounded = [standing for standing in settled if standing.differences == standing.rounding > 0]
    if rounded and not rounded[0].note:
        names = _listed([f"`{standing.dialect}`" for standing in rounded])
        return (
            f"It answers all {rounded[0].asked} questions as {names} does but for the last digits of "
            f"{rounded[0].rounding}, which is rounding and not a mistake{within}."
        )
    nearest = min(settled, key=lambda standing: standing.differences / max(1, standing.asked))
    differ = f"from which {nearest.differences} of {nearest.asked} answers differ"
    if nearest.rounding:
        differ += f", {nearest.rounding} of them in the last digits alone, by rounding"
    if 2 * nearest.differences > nearest.asked:
        return f"It is near to none of the dialects here, not even to `{nearest.dialect}`, {differ}{within}."
    return f"It is nearest to `{nearest.dialect}`, {differ}{within}."


def _departures(verdict: Verdict) -> str:
    """Where it is not canonical."""
    if "canonical" in verdict.conformant_to:
        return ""
    canonical = DIALECTS["canonical"]
    apart = [found for found in verdict.findings if canonical[found.point] not in found.options]
    texts = [f"{found.point} ({_option(found)})" for found in apart]
    return f"It takes another option than `canonical` at {_listed(texts)}." if texts else ""


def _option(found: Finding) -> str:
    return " or ".join(found.options) or ("its own rounding" if found.rounding else "no option fits")


def _stability(verdict: Verdict) -> str:
    kept = [found.name for found in verdict.properties if found.holds]
    broken = [found.name for found in verdict.properties if found.holds is False and not found.rounding]
    rounded = [found.name for found in verdict.properties if found.rounding]
    if not kept and not broken and not rounded:
        return ""
    parts = [f"these properties held: {', '.join(kept)}"] if kept else []
    parts += [f"these held but for rounding: {', '.join(rounded)}"] if rounded else []
    parts += [f"these did not: {', '.join(broken)}"] if broken else []
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _refused(interview: Interview) -> str:
    """What most refusals say, where there are many."""
    many = interview.refusals.total()
    if 4 * many < interview.asked:
        return ""
    ((message, _),) = interview.refusals.most_common(1)
    return f"It refused {many} of {interview.asked} questions, most often so: {shown(message)}."


def _unanswered(verdict: Verdict, interview: Interview) -> str:
    if not verdict.failures:
        return ""
    return f"{len(verdict.failures)} of {interview.asked} questions got no answer.{_given_up(interview)}"


def _silent(verdict: Verdict, interview: Interview) -> str:
    refused = interview.refusals.total()
    if len(verdict.failures) > refused:
        first = verdict.failures[0]
        longer = f", {interview.seconds:g} seconds; give it more with --seconds" if first.kind == "hung" else ""
        return f"It answered none of the questions: {first.message}{longer}.{_given_up(interview)}"
    ((message, _),) = interview.refusals.most_common(1)
    how_many = "all" if refused == interview.asked else f"{refused} of"
    said = f"It refused {how_many} {interview.asked} questions, most often so: {shown(message)}."
    return " ".join(filter(None, [said, _unanswered(verdict, interview), "So nothing else can be told."]))


def _given_up(interview: Interview) -> str:
    return f" After {PATIENCE} failures it was asked no more." if interview.gave_up else ""


def _listed(texts: Sequence[str]) -> str:
    """Texts one after another, as in a sentence.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
