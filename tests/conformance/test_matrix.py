"""The matrix of implementations, from verdicts made by hand."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mergealgebra.conformance.judgement.comparison import Compared
from mergealgebra.conformance.judgement.random_merges import DTYPES
from mergealgebra.conformance.probes.interview import PATIENCE
from mergealgebra.conformance.reports.matrix import NOTHING, Row, markdown, tables
from mergealgebra.conformance.reports.tables import Table
from mergealgebra.conformance.verdict import Finding, Property, Standing, Verdict
from mergealgebra.dialects.points import DIALECTS
from tests.conformance.test_reports import FLIP, TIES, VERDICT

ROOT = Path(__file__).parents[2]
OTHER = Verdict(
    "other",
    "2",
    findings=(Finding("DI-5", "boundary", ("keep_all",)), Finding("DI-4", "scope", ("model",))),
    standings=(Standing("peft-0.21", False, 200, 7), Standing("canonical", True, 200, 0)),
    properties=(Property("threads", None),),
    summary="It conforms to canonical.",
)
EQUAL = Compared("canonical", {"F32": 90, "BF16": 110, "F16": 80, "F64": 120}, {"F32": 90, "BF16": 110, "F16": 80})
ROWS = (
    Row(
        "merge 1.0",
        "merge==1.0, torch==2.13.0",
        "peft-0.21",
        VERDICT,
        Compared("peft-0.21", {"F32": 300, "BF16": 100}, {"F32": 299}, TIES),
    ),
    Row("other", "this repository", "canonical", OTHER, EQUAL),
    Row("gone", "a checkout at 0123abcd", "mergelm", why_not="no checkout"),
)


def _rows(title):
    (found,) = [table for table in tables(ROWS) if table.title == title]
    assert all(len(row) == len(found.head) for row in found.rows)
    return found.head, found.rows


def test_every_implementation_has_a_row_also_one_that_was_not_run():
    assert _rows("Implementations")[1] == (
        ("merge 1.0", "merge==1.0, torch==2.13.0", "./merge 1.0", "It conforms to peft-0.21."),
        ("other", "this repository", "other 2", "It conforms to canonical."),
        ("gone", "a checkout at 0123abcd", NOTHING, "not run: no checkout"),
    )


def test_every_claim_has_its_equal_answers():
    head, (merge, other, gone) = _rows("Claims")
    assert head == ("implementation", "dialect", *DTYPES, "smallest difference")
    counts = {"F32": "299 of 300", "BF16": "0 of 100"}
    assert merge == ("merge 1.0", "peft-0.21", *(counts.get(dtype, NOTHING) for dtype in DTYPES), str(TIES))
    counts = {"F32": "90 of 90", "BF16": "110 of 110", "F16": "80 of 80", "F64": "0 of 120"}
    assert other == ("other", "canonical", *(counts.get(dtype, NOTHING) for dtype in DTYPES), "")
    assert gone == ("gone", "mergelm", *(NOTHING for _ in DTYPES), "no checkout")


def test_questions_that_were_not_asked_are_told():
    row = replace(ROWS[0], breadth=replace(ROWS[0].breadth, not_asked=600))
    (claims,) = [table for table in tables([row]) if table.title == "Claims"]
    assert claims.rows[0][-1] == f"{TIES}; 600 were not asked, after {PATIENCE} failures in a row"


def test_clauses_stand_against_implementations():
    assert _rows("Points of variation") == (
        ("point", "merge 1.0", "other"),
        (
            ("DI-5 boundary", "lowest_index", "keep_all"),
            ("DI-8 zero_sum", "plus or zero", NOTHING),
            ("DI-9 aggregate", "none of these", NOTHING),
            ("DI-4 scope", NOTHING, "model"),
        ),
    )


def test_dialects_and_properties_stand_against_implementations():
    assert _rows("Dialects: answers that differ")[1] == (
        ("canonical", "3 of 200", "conforms"),
        ("paper", "1 of 20", NOTHING),
        ("peft-0.21", "conforms", "7 of 200"),
    )
    assert _rows("Properties")[1] == (
        ("order", "broken", NOTHING),
        ("threads", "holds", "cannot be told"),
        ("dtypes", "cannot be told", NOTHING),
    )


def test_dialects_come_in_the_order_of_the_specification():
    standings = tuple(Standing(name, False, 1, 1) for name in reversed(DIALECTS))
    rows = (Row("all", "", "paper", Verdict("all", "1", standings=standings)),)
    (found,) = [table for table in tables(rows) if table.title.startswith("Dialects")]
    assert [name for name, _ in found.rows] == list(DIALECTS)


def test_what_shows_the_points_is_there_for_each():
    assert _rows("What shows it: merge 1.0")[1][0] == (
        "DI-5", "boundary", "lowest_index", "m elements are kept: of those that tie with t, the first", str(TIES),
    )  # fmt: skip
    assert _rows("Properties that do not hold")[1] == (("merge 1.0", "order", str(FLIP)),)
    assert _rows("Noticed")[1] == (("merge 1.0", "n + 1 elements are kept"),)
    assert _rows("No answers")[1] == (("merge 1.0", "q-17", "hung", "it gave no answer in time"),)


def test_markdown_has_the_tables_and_is_the_same_each_time():
    text = markdown("A matrix", ["What it is."], tables(ROWS))
    assert text == markdown("A matrix", ["What it is."], tables(ROWS))
    assert text.startswith("# A matrix\n\nWhat it is.\n\n## Implementations\n\n| implementation | what was run |")
    assert text.endswith(" |\n")
    assert "| DI-5 boundary | lowest_index | keep_all |" in text
    for table in re.split(r"\n\n", text):
        if table.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


#: Text that a target may choose, and how it is written so that Markdown shows it as it is.
PLAIN = {
    "a tag": ("<b>&lt;", r"\<b>\&lt;"),
    "a cell": ("a|b", r"a\|b"),
    "a link": ("[x](y)", r"[x]\(y)"),
    "stars": ("**x** \\", r"\*\*x\*\* \\"),
    "emphasis": ("_a b_ __c__ `d_e`", r"\_a b\_ \_\_c\_\_ `d_e`"),
    "struck out": ("~~x~~", r"\~\~x\~\~"),
    "a URL": ("see HTTPS://a.b/c, www.a.b", r"see HTTPS\://a.b/c, www\.a.b"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_markdown_acts_on_nothing_in_a_cell(case):
    text, written = PLAIN[case]
    assert markdown("M", [], [Table("T", ("a",), ((text,),))]) == f"# M\n\n## T\n\n| a |\n| --- |\n| {written} |\n"


def test_markdown_leaves_out_what_is_empty():
    assert markdown("M", ["P."], [Table("Empty", ("a",), ())]) == "# M\n\nP.\n"


@pytest.fixture
def run(monkeypatch):
    """The script behind `make conformance`."""
    monkeypatch.syspath_prepend(str(ROOT / "spec" / "conformance"))
    yield importlib.import_module("run")
    del sys.modules["run"]


def test_every_dialect_of_an_implementation_is_claimed_by_one(run):
    assert {one.claim for one in run.IMPLEMENTATIONS} == DIALECTS.keys() - {"paper"}


def test_every_environment_is_pinned_and_made(run):
    environments = {one.environment for one in run.IMPLEMENTATIONS} - {""}
    assert {path.stem for path in (ROOT / "spec" / "conformance").glob("*.txt")} == environments
    (made,) = re.findall(r"^PEERS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(made.split()) == environments
    described = [run.described(one) for one in run.IMPLEMENTATIONS if one.environment]
    assert all("==" in text for text in described)


def test_what_is_not_there_is_not_run_and_the_report_is_the_same_each_time(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "judge", lambda target, seconds: OTHER)
    monkeypatch.setattr(run, "compare", lambda target, dialect, count, seconds: equal(dialect, count))
    asked = []

    def equal(dialect, count):
        asked.append(count)
        return replace(EQUAL, dialect=dialect.name)

    texts = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        (folder / "REPORT.md").write_text("an older report")
        (folder / "older").hardlink_to(folder / "REPORT.md")
        arguments = ["--environments", str(tmp_path / "none"), "--out", str(folder)]
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        run.main()
        texts.append([(folder / name).read_bytes() for name in ("REPORT.md", "report.html")])
        assert (folder / "older").read_text() == "an older report"  # it was replaced, not written into
        assert sorted(path.name for path in folder.iterdir()) == ["REPORT.md", "older", "report.html"]
    assert texts[0] == texts[1]
    assert set(asked) == {1000}
    assert "in all of 1000 random merges" in (ROOT / "spec" / "dialects.md").read_text()
    report = texts[0][0].decode()
    assert report.count("| not run: not installed |") == len([one for one in run.IMPLEMENTATIONS if one.environment])
    assert str(tmp_path) not in report
    assert str(ROOT) not in report
    assert "| mergealgebra | canonical | 90 of 90 |" in report


def test_what_is_half_installed_is_not_run(run, tmp_path):
    peft = next(one for one in run.IMPLEMENTATIONS if one.name == "peft")
    python = tmp_path / peft.environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(run.NotRun, match="not installed"):
        run.interpreter(peft, tmp_path)
    (tmp_path / peft.environment / "made").touch()
    assert run.interpreter(peft, tmp_path) == str(python)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_what_cannot_be_installed_keeps_no_other_from_being_asked(tmp_path):
    for name in ("Makefile", "constraints.txt", "spec/conformance/peft-0.21.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    made = tmp_path / ".venvs" / "peft-0.21" / "made"
    made.parent.mkdir(parents=True)
    made.touch()
    os.utime(made, (0, 0))  # of older requirements
    command = ["make", "-C", str(tmp_path), "PYTHON=false", ".venvs/peft-0.21/made"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "peft-0.21 is not installed" in done.stdout
    assert not made.exists()


def test_a_commit_that_cannot_be_had_is_no_checkout(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "REPOSITORIES", {"authors": (str(tmp_path / "gone"), "0" * 40)})
    with pytest.raises(run.NotRun, match="no checkout"):
        run.checkout("authors", tmp_path, {"authors": None})
    assert list(tmp_path.iterdir()) == []
    assert run.checkout("authors", tmp_path, {"authors": tmp_path}) == tmp_path
    assert run.checkout("peft", tmp_path, {"authors": None}) is None
