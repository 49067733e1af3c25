"""The trace: what it reads off the repository, and that it notices what is out of step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spec import trace

ROOT = Path(__file__).parents[2]
#: Made up here, since the trace takes every id that stands in a test for a mark.
ONE, TWO, OTHER, NONE = (f"TI-{number}" for number in (1, 2, 9, 99))
DEFINED = {ONE: "A clause.", TWO: "Another (untestable: nothing can be observed)."}


def test_every_clause_of_the_specification_is_found():
    defined = trace.clauses()
    assert len(defined) == sum(path.read_text().count("\n- **") for path in (ROOT / "spec").glob("[a-z]*.md"))
    assert defined[f"TI-{7}"].startswith("gamma is the sign of the exact sum")


def test_every_clause_has_a_test_and_code_and_the_trace_is_written_when_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trace, "TRACE", tmp_path / "TRACE.md")
    assert trace.main(["--check"]) == 0, capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert trace.main([]) == 0
    rows = (tmp_path / "TRACE.md").read_text().splitlines()
    assert [row.split(" ")[1] for row in rows if row.startswith("| ") and "-" in row[:8]] == list(trace.clauses())


#: What the repository might lack or have too much of: the function that reads it, what is changed, the problem.
OUT_OF_STEP = {
    "a clause without a test": ("in_tests", lambda found: found.pop("CL-1"), "CL-1 has no test"),
    "a clause without code": ("in_code", lambda found: found.pop("TI-7"), "TI-7 is cited nowhere in mergealgebra/"),
    "a vector for no clause": (
        "in_vectors",
        lambda found: found.update({NONE: ["x"]}),
        f"x: there is no clause {NONE}",
    ),
    "a theorem about no clause": (
        "in_claims",
        lambda found: found.update({NONE: ["y"]}),
        f"y: there is no clause {NONE}",
    ),
}


@pytest.fixture(scope="module")
def found():
    """What is read off the repository, by the function that reads it."""
    return {read: getattr(trace, read)() for read in ("in_code", "in_vectors", "in_tests", "in_claims")}


@pytest.mark.parametrize(("read", "change", "problem"), OUT_OF_STEP.values(), ids=OUT_OF_STEP)
def test_what_is_out_of_step_is_noticed(read, change, problem, found, monkeypatch, capsys):
    for name, places in (found | {read: dict(found[read])}).items():
        if name == read:
            change(places)
        monkeypatch.setattr(trace, name, lambda places=places: places)
    assert trace.main(["--check"]) == 1
    assert capsys.readouterr().out == f"{problem}\n"


def test_citations_may_be_ranges():
    assert " ".join(trace.citations("see TI-2 to TI-4, and EN-1; not XX-9 or ATI-1")) == "TI-2 TI-3 TI-4 EN-1"


def test_places_are_read_off_the_files(tmp_path):
    texts = {
        "claims/Sums.v": f"(** Any order.\n    [{ONE}, {OTHER}] *)\nTheorem order : True.\n(** No. *)",
        "vectors/sums.json": json.dumps({"cases": [{"clauses": [ONE]}, {"clauses": [ONE, TWO]}]}),
        "tests/algebra/test_sums.py": f'"""Not {TWO}."""\n@mark("{ONE}")\ndef test(): ...',
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert trace.in_claims(tmp_path / "claims") == {ONE: ["Sums.order"], OTHER: ["Sums.order"]}
    assert trace.in_vectors(tmp_path / "vectors") == {ONE: ["sums (2)"], TWO: ["sums (1)"]}
    assert trace.in_tests(tmp_path / "tests") == {ONE: ["algebra/test_sums"]}


def test_a_clause_that_is_not_there_is_named_with_its_places():
    assert trace.strangers(DEFINED, {ONE: ["a"]}, {OTHER: ["b", "c"]}) == [f"b, c: there is no clause {OTHER}"]


#: Which clauses are tested and which are cited, and what that leaves open.
GAPS = {
    "nothing": ({ONE}, {ONE, TWO}, []),
    "no test": (set(), {ONE, TWO}, [f"{ONE} has no test"]),
    "tested all the same": ({ONE, TWO}, {ONE, TWO}, [f"{TWO} has a test, and says that it is untestable"]),
    "no code": ({ONE}, {TWO}, [f"{ONE} is cited nowhere in mergealgebra/"]),
}


@pytest.mark.parametrize(("tested", "cited", "problems"), GAPS.values(), ids=GAPS)
def test_clauses_without_a_test_or_code_are_told(tested, cited, problems):
    assert trace.gaps(DEFINED, tested, cited) == problems


def test_untestable_needs_a_reason():
    assert trace.untestable(DEFINED) == {TWO: "nothing can be observed"}
    assert trace.untestable({ONE: "A clause (untestable)."}) == {}


def test_the_threats_are_shown_by_tests_that_are_there():
    named = set(re.findall(r"`(tests/[^`]+)`", (ROOT / "spec" / "threats.md").read_text()))
    assert any("::" in name for name in named)
    assert [name for name in named if not is_there(*name.split("::"))] == []


def is_there(path, test=""):
    """Whether a file or folder is there, and has the test."""
    return (ROOT / path).exists() and (not test or f"def {test}(" in (ROOT / path).read_text())
