"""A verdict as JUnit XML, as build servers read it: a suite for each part, a case for each line of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mergealgebra.conformance.reports.tables import UNEXPLAINED, name_of, noted, seen, shown_by, told
from mergealgebra.conformance.verdict import Failure, Finding, Property, Standing, Verdict
from mergealgebra.text import printable

#: A name, "" or the outcome that is not success ("failure", "error", "skipped"), and text.
Case = tuple[str, str, str]


def junit(verdict: Verdict, claimed: Collection[str] = ()) -> bytes:
    """The XML document. claimed: the dialects that the target is meant to conform to; the others cannot fail.

    All text is printable, so none of it is a character that XML forbids.
    """
    root = Element("testsuites", name=name_of(verdict))
    silent = verdict.summary if verdict.findings and not told(verdict) else ""
    _add(root, "clauses", (_clause(found, "skipped" if silent else "") for found in verdict.findings))
    _add(root, "dialects", (_dialect(standing, claimed) for standing in verdict.standings))
    _add(root, "properties", map(_property, verdict.properties))
    _add(root, "mistakes", ((fault, "failure", fault) for fault in verdict.faults))
    nothing: list[Case] = [("any answer", "error", silent)] if silent else []
    _add(root, "answers", [*nothing, *map(_answer, verdict.failures)])
    indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, "unicode").encode() + b"\n"


def _add(root: Element, name: str, cases: Iterable[Case]) -> None:
    """A suite, with how its cases came out; no suite where there are no cases."""
    found = list(cases)
    if not found:
        return
    outcomes = [outcome for _, outcome, _ in found]
    counts = {f"{kind}s": str(outcomes.count(kind)) for kind in ("failure", "error")}
    suite = SubElement(root, "testsuite", name=name, tests=str(len(found)), skipped=str(outcomes.count("skipped")))
    suite.attrib.update(counts)
    for case, outcome, text in found:
        element = SubElement(suite, "testcase", classname=name, name=printable(case))
        if outcome:
            SubElement(element, outcome, message=printable(text))
        elif text:
            SubElement(element, "system-out").text = printable(text)


def _clause(found: Finding, outcome: str) -> Case:
    name = f"{found.clause} {found.point}"
    if not found.options and not found.rounding:
        return name, "failure", f"{UNEXPLAINED}: {shown_by(found)}"
    return name, outcome, f"{seen(found)}; {shown_by(found)}"


def _dialect(standing: Standing, claimed: Collection[str]) -> Case:
    differ = f"{standing.differences} of {standing.asked} answers differ"
    first = f"; the first: {standing.first}" if standing.first else ""
    outcome = "failure" if standing.dialect in claimed else "skipped"
    return standing.dialect, "" if standing.conformant else outcome, differ + first


def _property(found: Property) -> Case:
    outcome = "" if found.rounding else {True: "", False: "failure", None: "skipped"}[found.holds]
    return found.name, outcome, noted(found.note, found.counterexample)


def _answer(failure: Failure) -> Case:
    return failure.question, "error", f"{failure.kind}: {failure.message}"
