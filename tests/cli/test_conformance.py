"""`mergealgebra conformance TARGET`: what is printed and written of a verdict, the exit status, and what is refused.

The verdict is one made by hand, but for the last tests, which ask programs that never answer.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from mergealgebra.conformance.judgement import judge as judging
from mergealgebra.conformance.reports.tables import as_discovery, as_map, tables
from mergealgebra.conformance.verdict import Failure, Standing, Verdict
from mergealgebra.dialects.points import DIALECTS, POINTS
from mergealgebra.targets import protocol
from mergealgebra.text import printable
from tests.cli.commands import call, tree
from tests.conformance.test_reports import NASTY, VERDICT


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the judge, who gives the verdict made by hand."""
    calls = []

    def judge(target, *, seconds, progress):
        progress("asking", 1, 2)
        calls.append((target.name, seconds))
        return VERDICT

    def discover(target, *, seconds, progress):
        return replace(judge(target, seconds=seconds, progress=progress), summary="It was discovered.")

    monkeypatch.setattr(judging, "judge", judge)
    monkeypatch.setattr(judging, "discover", discover)
    return calls


@pytest.mark.clause("CL-1", "CL-2", "CL-4")
def test_the_tables_hold_all_of_the_verdict_and_end_with_the_summary(asked, tmp_path):
    lines = call(tmp_path, "conformance", "peft", "--python", sys.executable, "--seconds", "7").lines()
    assert asked == [("peft", 7)]
    assert lines[0] == "./merge 1.0"
    assert lines[-1] == "It conforms to peft-0.21."
    assert lines == [line.rstrip() for line in lines]
    text = "\n".join(lines)
    for table in tables(VERDICT):
        assert f"\n\n{table.title}\n{table.head[0]}" in text
        for row in table.rows:
            assert any(all(cell in line for cell in row) for line in lines), row


@pytest.mark.clause("CL-2")
def test_json_is_the_verdict(asked, tmp_path):
    printed = call(tmp_path, "conformance", "peft", "--json").printed()
    assert list(printed) == list(as_map(VERDICT))
    assert printed["conformant_to"] == ["peft-0.21"]
    assert [standing["dialect"] for standing in printed["standings"]] == ["canonical", "peft-0.21", "paper"]


def test_discover_prints_the_options_and_the_nearest_dialects(asked, tmp_path):
    lines = call(tmp_path, "conformance", "peft", "--discover").lines()
    assert [line for line in lines if line.startswith(("DI-", "What", "Nearest", "Dialects"))] == [
        "What it does at each point",
        *(line for line in lines if line.startswith("DI-")),
        "Nearest dialects",
    ]
    assert lines[-1] == "It was discovered."
    printed = call(tmp_path, "conformance", "peft", "--discover", "--json").printed()
    assert printed == as_discovery(VERDICT) | {"summary": "It was discovered."}


def test_a_terminal_acts_on_nothing_that_a_target_says(monkeypatch, tmp_path):
    verdict = Verdict(NASTY, "[bold]1", failures=(Failure("[red]", "crashed", NASTY),), summary=NASTY)
    monkeypatch.setattr(judging, "judge", lambda target, **_: verdict)
    lines = call(tmp_path, "conformance", "peft").stdout.splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[0] == f"{printable(NASTY)} [bold]1"
    assert lines[-1] == printable(NASTY)
    assert f"[red]     crashed  {printable(NASTY)}" in lines


def test_the_files_are_written_whole_and_nothing_beside_them(asked, tmp_path):
    (tmp_path / "page.html").write_text("an older page")
    options = ["--junit", "build/junit.xml", "--html", "page.html", "--dialect", "peft-0.21"]
    call(tmp_path, "conformance", "peft", *options).lines()
    assert list(tree(tmp_path)) == ["build", "build/junit.xml", "page.html"]
    root = ET.parse(tmp_path / "build" / "junit.xml").getroot()
    assert [suite.get("name") for suite in root] == ["clauses", "dialects", "properties", "mistakes", "answers"]
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<h2>Options ruled out</h2>" in page


def test_a_link_stays_one(asked, tmp_path):
    (tmp_path / "page.html").write_text("an older page")
    (tmp_path / "link").symlink_to("page.html")
    call(tmp_path, "conformance", "peft", "--html", "link").lines()
    assert tree(tmp_path)["link"] == "-> page.html"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_asked(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # nothing is forbidden to root
    done = call(tmp_path, "conformance", "peft", "--html", "page.html")
    assert (done.code, asked) == (2, [])
    assert "page.html is not where a file can be written" in done.stderr


@pytest.mark.clause("CL-1")
def test_the_status_is_1_when_no_dialect_that_is_named_is_followed(asked, tmp_path):
    done = call(tmp_path, "conformance", "peft", "--dialect", "canonical", "--dialect", "paper", "--junit", "j.xml")
    assert done.code == 1
    assert done.stderr == "mergealgebra: peft does not conform to canonical or paper\n"
    assert "It conforms to peft-0.21." in done.stdout
    dialects = ET.parse(tmp_path / "j.xml").getroot()[1]
    assert dialects.get("failures") == "2"
    assert call(tmp_path, "conformance", "peft", "--dialect", "canonical", "--dialect", "peft-0.21").code == 0


#: Command lines that are none, with words of what is said.
WRONG_USAGE = {
    "no TARGET": (["conformance"], "Missing argument 'TARGET'"),
    "no dialect": (["conformance", "peft", "--dialect", "peft"], "'peft' is not a dialect; expected one of canonical"),
    "no seconds": (["conformance", "peft", "--seconds", "0"], "'--seconds': 0 is not in the range"),
    "a dialect of a discovery": (["conformance", "peft", "--discover", "--dialect", "paper"], "--discover gives no"),
    "a file in a file": (["conformance", "peft", "--html", "file/page"], "is not where a file can be written"),
    "a folder": (["conformance", "peft", "--junit", "."], "is not where a file can be written"),
    "a device": (["conformance", "peft", "--junit", "/dev/null"], "is not where a file can be written"),
    "an empty path": (["conformance", "peft", "--html", ""], "the path is empty"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("command", "words"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_status_2_and_nothing_is_asked(command, words, asked, tmp_path):
    (tmp_path / "file").write_text("")
    done = call(tmp_path, *command)
    assert (done.code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
    assert asked == []
    assert list(tree(tmp_path)) == ["file"]


@pytest.mark.clause("CL-1")
def test_a_target_that_answers_nothing_is_told_and_status_1(tmp_path):
    program = f"{sys.executable} -c 'import sys; sys.exit(\"no torch\")'"
    done = call(tmp_path, "conformance", program, "--junit", "j.xml", "--html", "h.html")
    assert done.code == 1
    assert "crashed" in done.stdout
    assert done.stderr.startswith(f"mergealgebra: {program}: It answered none of the questions: ")
    assert "no torch" in done.stderr
    assert sorted(tree(tmp_path)) == ["h.html", "j.xml"]


@pytest.mark.clause("CL-3")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])  # a shell may keep Ctrl-C from its background
def test_an_interrupt_ends_the_target_too(number, tmp_path):
    """The target holds a lock until it ends."""
    program = (
        "import fcntl, os, time; file = open('file', 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "os.rename('file', 'started'); time.sleep(600)"
    )
    command = [sys.executable, "-m", "mergealgebra", "conformance", f'{sys.executable} -c "{program}"', "--html", "F"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started = tmp_path / "started"
    while process.poll() is None and not started.exists():
        time.sleep(0.05)
    process.send_signal(number)
    try:
        said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, *said) == (1, "", "mergealgebra: interrupted; nothing was left half-written\n")
    assert list(tree(tmp_path)) == ["started"]
    with started.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


#: Targets that cannot be asked, and words of the one line that says so.
REFUSED = {
    "no target": (["mergekitt"], "'mergekitt' is not a target; expected one of mergekit, peft"),
    "no package": (["sd-mecha"], "'sd_mecha'; name a Python that has sd-mecha as --python"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_asked_is_one_line(words, said, tmp_path):
    assert said in call(tmp_path, "conformance", *words, "--html", "page.html").complaint()
    assert list(tree(tmp_path)) == []


#: Functions that neither verb can ask, and words of the one line that says so.
UNFIT = {
    "no module": ("no_such_module:merge", "importing no_such_module raised ModuleNotFoundError"),
    "no function": ("json:no_such_function", "json has no 'no_such_function'; it has "),
    "not callable": ("json:__name__", "json.__name__ is not a function; json has "),
    "no such parameters": ("json:loads", "its parameters are (s, cls, object_hook, parse_float, parse_int, "),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize("verb", ["laws", "conformance"])
@pytest.mark.parametrize(("name", "words"), UNFIT.values(), ids=UNFIT)
def test_a_function_that_cannot_be_asked_is_told_alike_by_both_verbs(name, words, verb, tmp_path):
    said = call(tmp_path, verb, name).complaint()
    assert said.startswith(f"{name} cannot be asked: {words}")
    if "parameters" in words:
        assert 'Write def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None);' in said


@pytest.mark.parametrize("verb", ["laws", "conformance"])
def test_the_help_of_both_verbs_tells_how_a_function_is_written(verb, tmp_path):
    help_ = call(tmp_path, verb, "--help").lines()
    assert '    def merge(base, task_vectors, *, density="1", lambda_="1", coefficients=None):' in help_


def test_the_protocol_is_printed(tmp_path):
    assert call(tmp_path, "conformance", "--protocol").lines() == protocol.text().splitlines()


def test_the_points_are_printed_with_what_each_option_means(tmp_path):
    text = "\n".join(call(tmp_path, "conformance", "--points").lines())
    assert [o for options in POINTS.values() for o in options.values() if o not in text] == []
    assert [name for name in DIALECTS if name not in text] == []


def test_a_function_that_raises_each_time_is_told_in_a_sentence(tmp_path):
    (tmp_path / "mine.py").write_text("def merge(base, task_vectors, density):\n    raise ValueError('not today')\n")
    done = call(tmp_path, "conformance", "mine:merge")
    name, blank, said = done.stdout.splitlines()
    assert (done.code, done.stderr) == (1, f"mergealgebra: mine:merge: {said}\n")
    assert (name, blank) == ("mine:merge (version unknown)", "")
    assert said.startswith("It refused all ")
    assert "most often so: 'ValueError: not today'." in said


def test_who_differs_by_rounding_alone_is_told_so(monkeypatch, tmp_path):
    near = Verdict(
        "peft", "1", VERDICT.findings, standings=(Standing("canonical", False, 9, 2, rounding=2),), summary="Near."
    )
    monkeypatch.setattr(judging, "judge", lambda target, **_: near)
    done = call(tmp_path, "conformance", "peft", "--dialect", "canonical")
    assert (done.code, "canonical; from canonical it differs by rounding alone" in done.stderr) == (1, True)


@pytest.mark.clause("CL-1")
def test_two_reports_need_two_files(tmp_path):
    done = call(tmp_path, "conformance", "mergealgebra", "--html", "x", "--junit", "./x")
    assert done.code == 2
    assert "--junit and --html name one file" in done.stderr
