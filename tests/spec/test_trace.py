"""The trace: what it reads off the repository, and that it notices what is out of step."""

from __future__ import annotations

import json
import re

import pytest

from spec import trace
from tests.trace import orphans

#: Made up here, since the trace takes every id that stands in a test for a mark.
ONE, TWO, OTHER = (f"TI-{number}" for number in (1, 2, 9))
DEFINED = {ONE: "A clause.", TWO: "Another (untestable: nothing can be observed)."}


def test_every_clause_of_the_specification_is_found():
    defined = trace.clauses()
    assert len(defined) == sum(path.read_text().count("\n- **") for path in trace.TRACE.parent.glob("[a-z]*.md"))
    assert defined[f"TI-{7}"].startswith("gamma is the sign of the exact sum")


def test_the_committed_trace_is_in_step(capsys):
    assert trace.main(["--check"]) == 0, capsys.readouterr().out


def test_a_trace_that_is_out_of_step_is_noticed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trace, "TRACE", tmp_path / "TRACE.md")
    assert trace.main(["--check"]) == 1  # not there
    assert trace.main([]) == 0
    assert trace.main(["--check"]) == 0
    (tmp_path / "TRACE.md").write_text((tmp_path / "TRACE.md").read_text().replace("| TI-7 |", "| TI-77 |"))
    assert trace.main(["--check"]) == 1
    assert "run `python spec/trace.py`" in capsys.readouterr().out


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


#: What the run found, and what breaks the thread.
BROKEN = {
    "nothing": ({ONE}, {ONE, TWO}, []),
    "no test": (set(), {ONE, TWO}, [f"{ONE} has no test that ran"]),
    "tested all the same": ({ONE, TWO}, {ONE, TWO}, [f"{TWO} has a test, and says that it is untestable"]),
    "no code": ({ONE}, {TWO}, [f"{ONE} is cited nowhere in mergealgebra/"]),
    "a stranger in a test": ({ONE, OTHER}, {ONE, TWO}, [f"a test names {OTHER}, which spec/ does not have"]),
    "a stranger in code": ({ONE}, {ONE, TWO, OTHER}, [f"the code cites {OTHER}, which spec/ does not have"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_the_thread_is_told(case):
    tested, cited, problems = BROKEN[case]
    assert orphans(DEFINED, tested, cited) == problems


def test_untestable_needs_a_reason():
    assert trace.untestable(DEFINED) == {TWO: "nothing can be observed"}
    assert trace.untestable({ONE: "A clause (untestable)."}) == {}


def test_the_threats_are_shown_by_tests_that_are_there():
    named = re.findall(r"`(tests/[^`]+)`", (trace.TRACE.parent / "threats.md").read_text())
    assert named
    assert [name for name in named if not (trace.TRACE.parents[1] / name).exists()] == []
