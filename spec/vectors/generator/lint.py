"""What has to hold of the files besides that they are what is generated: read off their JSON alone.

Ids are unique over all files and clauses known; and of `dialects.json`, that each option of each point, and each
dialect, is told apart from each other one by some case, or declared to be inseparable from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from generator.reference.dialect_table import DIALECTS, POINTS, clauses
from generator.reference.floats import numbers
from generator.reference.tensors import read_tensors
from generator.schema import violations

Json = Any
SCHEMA = json.loads((Path(__file__).resolve().parents[1] / "schema" / "dialects.json").read_text("utf-8"))

#: What is told apart: of a point its options, or (None) the dialects.
Point = str | None
#: Per question, what each name may answer.
Answers = Mapping[str, frozenset[str]]


def problems(documents: Mapping[str, Json]) -> list[str]:
    """One line for each thing that is wrong with the files; documents: topic to file."""
    cases = [case for document in documents.values() for case in document["cases"]]
    twice = [i for i, n in Counter(case["id"] for case in cases).items() if n > 1]
    known = clauses()
    unknown = [(case["id"], clause) for case in cases for clause in case["clauses"] if clause not in known]
    return [
        *(f"{i}: this id stands twice" for i in twice),
        *(f"{i}: there is no clause {clause}" for i, clause in unknown),
        *of_dialects(documents["dialects"]),
    ]


def of_dialects(document: Json) -> list[str]:
    wrong = sorted(violations(document, SCHEMA, SCHEMA))
    if wrong:
        return wrong
    if document["points"] != POINTS or document["dialects"] != DIALECTS:
        return ["dialects.json: its points or dialects are not those of spec/dialects.md"]
    return [*of_names(document["cases"]), *of_coverage(document)]


def of_names(cases: Sequence[Json]) -> Iterator[str]:
    """Every name of a case is one that there is, and has one answer; what refuses is a clause."""
    known = clauses()
    for case in cases:
        asked = POINTS.get(case["input"].get("point"), case["input"].get("dialects"))
        answered = [name for answer in case["expected"]["answers"] for name in answer["of"]]
        if sorted(answered) != sorted(asked or ()):
            yield f"{case['id']}: asked of {asked}, answered for {answered}"
        refusing = {one["refused"] for a in case["expected"]["answers"] for one in a["one_of"] if "refused" in one}
        yield from (f"{case['id']}: there is no clause {clause}" for clause in sorted(refusing - known))


def of_coverage(document: Json) -> Iterator[str]:
    """Each pair of names is separated by a case, or declared inseparable, and not both."""
    declared = {(entry["point"], frozenset(entry["names"])) for entry in document["inseparable"]}
    covered = {(point, pair) for point, answers in asked_of(document["cases"]) for pair in separated(answers)}
    wanted = {(point, frozenset(pair)) for point, names in all_names() for pair in combinations(names, 2)}
    for point, pair in sorted(wanted | declared, key=lambda two: (str(two[0]), sorted(two[1]))):
        both = (f"point {point}: options " if point else "dialects ") + " and ".join(sorted(pair))
        if (point, pair) not in wanted:
            yield f"{both}: there are no such two"
        elif (point, pair) in declared & covered:
            yield f"{both}: declared inseparable, and separated by a case"
        elif (point, pair) not in declared | covered:
            yield f"{both}: no case separates them"


def all_names() -> Iterator[tuple[Point, Sequence[str]]]:
    yield None, list(DIALECTS)
    yield from POINTS.items()


def asked_of(cases: Sequence[Json]) -> Iterator[tuple[Point, Answers]]:
    for case in cases:
        answers = case["expected"]["answers"]
        yield (
            case["input"].get("point"),
            {name: frozenset(map(shown, answer["one_of"])) for answer in answers for name in answer["of"]},
        )


def separated(answers: Answers) -> Iterator[frozenset[str]]:
    """The pairs that have no result in common."""
    return (frozenset(pair) for pair in combinations(answers, 2) if not answers[pair[0]] & answers[pair[1]])


def shown(result: Json) -> str:
    """A result as its numbers: no two are told apart by their dtypes, nor by why they refuse."""
    if "refused" in result:
        return "refused"
    return repr({name: numbers(tensor) for name, tensor in read_tensors(result["tensors"]).items()})
