"""Verdicts as tables, JUnit XML and a page, from ones made by hand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mergealgebra.conformance.judgement.summary import BROKEN
from mergealgebra.conformance.reports.junit import junit
from mergealgebra.conformance.reports.page import page
from mergealgebra.conformance.reports.tables import (
    Table,
    as_discovery,
    as_map,
    clauses,
    name_of,
    nearest,
    ruled_out,
    shown_by,
    tables,
)
from mergealgebra.conformance.verdict import Failure, Finding, Property, Shown, Standing, Verdict
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.text import printable

#: Text that a target may choose, and that no reader of a report should act on.
NASTY = "<b>&:x:\x1b[31m\x00\udc80 é"

TIES = Shown("ties", "[1 1 1 1], density 0.5", "[1 1 0 0]", "keep_all gives [1 1 1 1]")
LAST = Shown("last", "[1 2 1 1 1], density 0.5", "[1 2 0 0 0]", "highest_index gives [0 2 0 0 1]")
FLIP = Shown("order-3", "[0.1] [0.2] [-0.3]", "0.15", "-0.3 in another order")

BOUNDARY = Finding("DI-5", "boundary", ("lowest_index",), {"keep_all": TIES, "any": TIES, "highest_index": LAST})
VERDICT = Verdict(
    "./merge",
    "1.0",
    findings=(
        BOUNDARY,
        Finding("DI-8", "zero_sum", ("plus", "zero"), note="no answer tells them apart"),
        Finding("DI-9", "aggregate", (), note="no option gives its answer to 'mean'"),
    ),
    standings=(
        Standing("canonical", False, 200, 3, TIES),
        Standing("peft-0.21", True, 200, 0),
        Standing("paper", False, 20, 1, LAST, "only where the paper is settled"),
    ),
    properties=(
        Property("order", False, 12, FLIP),
        Property("threads", True, 4),
        Property("dtypes", None, note="it refuses bfloat16"),
    ),
    failures=(Failure("q-17", "hung", "it gave no answer in time"),),
    faults=("n + 1 elements are kept",),
    summary="It conforms to peft-0.21.",
)


def test_every_part_is_a_table_of_text():
    assert {table.title: table.rows for table in tables(VERDICT)} == {
        "What it does at each point": (
            ("DI-5", "boundary", "lowest_index", "m elements are kept: of those that tie with t, the first", str(TIES)),
            ("DI-8", "zero_sum", "plus or zero", "", "no answer tells them apart"),
            ("DI-9", "aggregate", "none of these", "", "no option gives its answer to 'mean'"),
        ),
        "Dialects": (
            ("canonical", "differs", "3 of 200", str(TIES)),
            ("peft-0.21", "conforms", "0 of 200", ""),
            ("paper", "differs", "1 of 20", f"only where the paper is settled; {LAST}"),
        ),
        "Properties": (
            ("order", "broken", "12", str(FLIP)),
            ("threads", "holds", "4", ""),
            ("dtypes", "cannot be told", "0", "it refuses bfloat16"),
        ),
        "Noticed": (("n + 1 elements are kept", ""),),
        "No answers": (("q-17", "hung", "it gave no answer in time"),),
    }
    assert all(len(row) == len(table.head) for table in [*tables(VERDICT), ruled_out(VERDICT)] for row in table.rows)


def test_parts_with_nothing_in_them_are_left_out():
    assert tables(Verdict("gone", "", failures=VERDICT.failures))[0].title == "No answers"
    assert tables(Verdict("gone", "")) == ()


def test_a_point_is_shown_by_what_rules_out_most():
    assert shown_by(BOUNDARY).startswith("[1 1 1 1]")
    assert shown_by(replace(BOUNDARY, shown_by={"a": LAST, "b": TIES})).startswith("[1 1 1 1]")  # the shorter
    assert shown_by(replace(BOUNDARY, shown_by={"a": TIES, "b": LAST, "c": LAST})).startswith("[1 2 1 1 1]")
    assert shown_by(replace(BOUNDARY, shown_by={})) == ""


def test_what_failed_alike_is_told_once():
    failures = (*(Failure(q, "hung", "it is silent") for q in "abc"), Failure("d", "crashed", "it ended"))
    (table,) = tables(Verdict("t", "1", failures=failures))
    assert table.rows == (("a and 2 more", "hung", "it is silent"), ("d", "crashed", "it ended"))


def test_what_departs_is_shown_beside_what_canonical_gives():
    assert shown_by(replace(BOUNDARY, shown_by={"any": TIES, "none": TIES, "keep_all": LAST})) == str(LAST)


MISTAKE = "the mean divides by all kept values, and not by those alone that have the elected sign"


def test_a_mistake_is_shown_with_the_right_answer():
    kept = Finding("DI-10", "denominator", ("kept",), {"all": LAST, "coefficients": TIES})
    order = Property("order", False, 12, FLIP)
    verdict = Verdict("t", "1", (kept,), (), (order,), faults=(MISTAKE, BROKEN["order"]))
    (noticed,) = (table for table in tables(verdict) if table.title == "Noticed")
    assert noticed.rows == ((MISTAKE, str(TIES)), (BROKEN["order"], str(FLIP)))


def test_a_difference_in_the_last_digits_is_called_rounding():
    verdict = Verdict(
        "t",
        "1",
        (Finding("DI-14", "arithmetic", (), note="it rounds", rounding=True),),
        (Standing("canonical", False, 9, 2, TIES, rounding=2), Standing("authors", False, 9, 3, TIES, rounding=2)),
        (Property("order of rounding", False, 2, FLIP, rounding=True),),
    )
    points, dialects, properties = (table.rows for table in tables(verdict))
    assert points[0][2] == "its own rounding"
    assert [row[1:3] for row in dialects] == [
        ("conforms but for rounding", "2 of 9, 2 by rounding"),
        ("differs", "3 of 9, 2 by rounding"),
    ]
    assert properties[0][1] == "holds but for rounding"
    cases = _cases(verdict)
    assert [cases[key][0] for key in cases if key[0] in ("clauses", "properties")] == ["system-out", "system-out"]


def test_what_ruled_out_each_option_is_listed():
    assert [row[2:4] for row in ruled_out(VERDICT).rows] == [
        ("keep_all", TIES.input),
        ("any", TIES.input),
        ("highest_index", LAST.input),
    ]


def _verdict_of(name, **changes):
    """A verdict that found the options of a dialect, but for the changes."""
    options = {point: () if option is None else (option,) for point, option in DIALECTS[name].options.items()}
    shown = {"another": TIES}
    return Verdict("t", "1", tuple(Finding("DI", point, found, shown) for point, found in (options | changes).items()))


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "paper"])
def test_the_nearest_dialect_of_one_is_itself(name):
    verdict = _verdict_of(name)
    rows = nearest(verdict).rows
    assert len(rows) == 3
    assert (name, "nowhere") in rows
    assert name in [found["dialect"] for found in as_discovery(verdict)["nearest"] if not found["differs_at"]]


def test_a_point_that_is_not_settled_differs_from_no_option_that_is_left():
    found = _verdict_of("mergekit-0.1.4", kept=("floor", "floor_not_0"), scope=(), election=("count",))
    assert dict(nearest(found).rows)["mergekit-0.1.4"] == "scope, election"
    assert as_discovery(found)["options"]["kept"] == ["floor", "floor_not_0"]


def test_a_dialect_that_leaves_points_open_is_not_near():
    nowhere = _verdict_of("canonical", **dict.fromkeys(DIALECTS["paper"].options, ()))
    assert [name for name, _ in nearest(nowhere).rows] == [name for name in DIALECTS if name != "paper"][:3]


def test_of_a_silent_target_nothing_can_be_told():
    findings = tuple(Finding("DI", point, tuple(options)) for point, options in POINTS.items())
    silent = Verdict("t", "1", findings, (Standing("paper", False, 20, 0),))
    points, dialects = tables(silent)
    assert [row[2] for row in points.rows if len(POINTS[row[1]]) > 2] == [
        "cannot be told" for options in POINTS.values() if len(options) > 2
    ]
    assert [row[2] for row in points.rows if row[1] == "output"] == ["base or working"]
    assert dialects.rows == (("paper", "cannot be told", "0 of 20", ""),)
    assert nearest(silent).rows == ()
    assert as_discovery(silent)["nearest"] == []


def test_a_map_is_the_whole_verdict_and_json():
    found = json.loads(json.dumps(as_map(VERDICT)))
    assert list(found) == [
        "conformant_to", "target", "version", "findings", "standings", "properties", "failures", "faults", "summary",
    ]  # fmt: skip
    assert found["conformant_to"] == ["peft-0.21"]
    assert found["findings"][0]["shown_by"]["keep_all"] == vars(TIES)
    assert found["standings"][0]["first"] == vars(TIES)


def _cases(verdict, *claimed):
    """Suite and case -> the outcome's tag and its text."""
    root = ET.fromstring(junit(verdict, claimed))
    return {
        (suite.get("name"), case.get("name")): next(((part.tag, part.get("message") or part.text) for part in case), ())
        for suite in root
        for case in suite
    }


def test_junit_has_a_case_for_every_line():
    assert _cases(VERDICT) == {
        ("clauses", "DI-5 boundary"): ("system-out", f"lowest_index; {TIES}"),
        ("clauses", "DI-8 zero_sum"): ("system-out", "plus or zero; no answer tells them apart"),
        ("clauses", "DI-9 aggregate"): ("failure", "none of these: no option gives its answer to 'mean'"),
        ("dialects", "canonical"): ("skipped", f"3 of 200 answers differ; the first: {TIES}"),
        ("dialects", "peft-0.21"): ("system-out", "0 of 200 answers differ"),
        ("dialects", "paper"): ("skipped", f"1 of 20 answers differ; the first: {LAST}"),
        ("properties", "order"): ("failure", str(FLIP)),
        ("properties", "threads"): (),
        ("properties", "dtypes"): ("skipped", "it refuses bfloat16"),
        ("mistakes", "n + 1 elements are kept"): ("failure", "n + 1 elements are kept"),
        ("answers", "q-17"): ("error", "hung: it gave no answer in time"),
    }


def test_junit_has_no_suite_without_cases():
    assert len(ET.fromstring(junit(Verdict("gone", "")))) == 0


def test_junit_of_a_target_that_answers_nothing_has_an_error_and_no_success():
    silent = Verdict("t", "1", (Finding("DI-8", "zero_sum", ("plus", "zero", "minus")),), summary="It refused all.")
    assert {case: outcome[0] for case, outcome in _cases(silent).items()} == {
        ("clauses", "DI-8 zero_sum"): "skipped",
        ("answers", "any answer"): "error",
    }


def test_junit_fails_the_dialects_that_are_claimed():
    cases = _cases(VERDICT, "canonical", "peft-0.21")
    assert cases["dialects", "canonical"][0] == "failure"
    assert cases["dialects", "peft-0.21"][0] == "system-out"


def test_junit_counts_what_it_holds():
    for suite in ET.fromstring(junit(VERDICT, ["canonical"])):
        outcomes = [part.tag for case in suite for part in case]
        assert int(suite.get("tests")) == len(suite)
        for key, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert int(suite.get(key)) == outcomes.count(tag)


class _Reader(HTMLParser):
    """What a browser would show and fetch."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.fetched, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for key, value in attrs if key in {"src", "href"}]
        if tag not in {"meta"}:
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells[-1] += data


def test_a_page_shows_every_cell_and_needs_nothing_else():
    text = page("A title", ["A summary."], tables(VERDICT))
    read = _Reader(text)
    assert read.open == []
    assert read.fetched == []
    assert not {"script", "link", "img"} & set(read.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert read.tags.count("table") == text.count('<div class="scroll"') == len(tables(VERDICT))
    assert read.cells == [cell for table in tables(VERDICT) for row in (table.head, *table.rows) for cell in row]
    assert '<td class="good">conforms</td>' in text
    assert '<td class="bad">broken</td>' in text


def test_a_page_escapes_its_headings():
    read = _Reader(page("<b>", ["<b>"], [Table("<b>", ("<b>",), (("<b>", "<b>"),))]))
    assert "b" not in read.tags
    assert read.cells == ["<b>"] * 3


def test_a_version_that_reads_as_a_verdict_is_quoted():
    assert name_of(VERDICT) == "./merge 1.0"
    assert name_of(replace(VERDICT, version="1.0 conforms")) == "./merge '1.0 conforms'"
    assert name_of(replace(VERDICT, version="unknown")) == "./merge (version unknown)"


def test_nothing_that_a_target_writes_is_acted_on():
    shown = Shown(NASTY, NASTY, NASTY, NASTY)
    nasty = Verdict(
        NASTY,
        NASTY,
        (Finding("DI-5", "boundary", ("any",), {"keep_all": shown}),),
        (Standing("paper", False, 1, 1, shown, NASTY),),
        (Property(NASTY, False, 1, shown, NASTY),),
        (Failure(NASTY, "crashed", NASTY),),
        (NASTY,),
        NASTY,
    )
    wanted = printable(NASTY)
    assert wanted == "<b>&:x:\\x1b[31m\\x00\\udc80 é"
    cells = [cell for table in (*tables(nasty), ruled_out(nasty)) for row in table.rows for cell in row]
    assert all(cell.isprintable() for cell in cells)
    assert wanted in cells
    assert ("answers", wanted) in _cases(nasty)
    read = _Reader(page(wanted, [wanted], tables(nasty)))
    assert "b" not in read.tags
    assert wanted in read.cells
    assert json.loads(json.dumps(as_map(nasty)))["target"] == NASTY
    assert clauses(nasty).rows[0][3].isprintable()
