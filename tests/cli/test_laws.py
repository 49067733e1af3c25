"""`mergealgebra laws TARGET`: the table, the counterexamples, and what is not a target."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mergealgebra.laws import LAWS
from tests.cli.commands import call, shell

#: A user's module, in the folder that the command runs in.
MODULE = '''\
import os
import numpy as np

print("loading")


def total(base, task_vectors):
    """The sum, in fp32, in order."""
    os.write(1, b"merging, loudly")
    merged = dict(base)
    for vector in task_vectors:
        merged = {name: array + vector[name] for name, array in merged.items()}
    return merged


def dies_of_three(base, task_vectors):
    """Takes its process with it when it gets three task vectors."""
    if len(task_vectors) == 3:
        os._exit(3)
    return total(base, task_vectors)


def refuses(base, task_vectors):
    raise ValueError("not today")


def hangs(base, task_vectors):
    while True:
        pass


def looks_around(base, task_vectors):
    os.write(2, b"\\x1b[31mred\\n")
    raise ValueError(f"{sorted(name for name in os.environ if 'SECRET' in name)} {os.listdir()}")
'''

FEW = "--law order_independence --law associativity --law sign_symmetry --law homomorphism --tries 20"


@pytest.fixture
def folder(tmp_path):
    """A folder with a user's module."""
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


@pytest.mark.clause("CL-1", "CL-2")
def test_the_table_and_its_programs(folder):
    done = shell(folder, "laws", "mine:total", *FEW.split())
    assert done.code == 0
    table, *programs = done.stdout.split("\n\n# ")
    lines = dict(line.split(maxsplit=1) for line in table.splitlines())
    assert list(lines) == FEW.replace("--law ", "").split()[:4]
    wanted = "broken: in one order the merge is [-1], in another [0] (found by the built-in case 'fp32 cancels')"
    assert lines["order_independence"] == wanted
    assert lines["associativity"].startswith("holds but for rounding: (a . b) . c is [")
    assert lines["sign_symmetry"].startswith("holds in ")
    assert lines["homomorphism"] == "does not apply: it has no attribute lift, combine, finalize"
    assert [program.split(":")[0] for program in programs] == ["order_independence"]
    for program in programs:
        ran = subprocess.run(
            [sys.executable, "-c", f"# {program}"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ran.stderr.endswith(f"AssertionError: {program.split(':')[0]} is broken\n")


def test_of_several_programs_each_has_a_heading(folder):
    done = call(folder, "laws", "mine:total", "--law", "order_independence", "--law", "bounds", "--tries", "20")
    headings = [line for line in done.stdout.splitlines() if line.startswith("# ----")]
    assert headings == ["# ---- program 1 of 2 ----", "# ---- program 2 of 2 ----"]


@pytest.mark.clause("CL-2")
def test_json_is_one_object_the_same_each_time(folder):
    found = call(folder, "laws", "mine:total", "--json", *FEW.split()).printed()
    assert list(found) == ["target", "options", "seed", "tries", "verdicts", "causes"]
    assert (found["target"], found["options"], found["seed"], found["tries"]) == ("mine:total", {}, 0, 20)
    for verdict in found["verdicts"]:
        assert list(verdict) == ["law", "outcome", "tries", "reason", "counterexample", "cause", "sentence"]
        assert verdict["sentence"] == LAWS[verdict["law"]].sentence
    assert call(folder, "laws", "mine:total", "--json", *FEW.split()).printed() == found


def test_all_laws_are_checked_if_none_is_named(folder):
    found = call(folder, "laws", "mine:refuses", "--json", "--tries", "1").printed()
    assert [verdict["law"] for verdict in found["verdicts"]] == list(LAWS)
    assert {verdict["outcome"] for verdict in found["verdicts"]} == {"error", "does not apply"}
    assert found["verdicts"][0]["reason"].startswith("ValueError: 'not today' (in ")
    assert found["causes"] == {
        "ValueError: 'not today'": [law for law in LAWS if law not in ("homomorphism", "purity")] + ["purity"]
    }


def test_laws_that_fail_by_one_exception_are_told_once(folder):
    done = call(
        folder, "laws", "mine:refuses", "--tries", "1", "--law", "bounds", "--law", "locality", "--law", "purity"
    )
    assert done.stdout.count("not today") == 2
    table, said, program = done.stdout.split("\n\n")[:3]
    for law, line in zip(("locality", "purity"), table.splitlines()[1:], strict=True):
        assert line.startswith(f"{law:<22}  error: the same as bounds (in ")
    assert said == "3 laws met one error: ValueError: 'not today'"
    assert program.startswith("# bounds: ")
    assert "locality is broken" not in done.stdout
    assert "'purity is broken" not in done.stdout


def test_a_function_that_hangs_is_stopped(folder):
    """Two laws take too long, and no other is begun."""
    begun = time.monotonic()
    found = call(folder, "laws", "mine:hangs", "--json", "--seconds", "1").printed()
    assert time.monotonic() - begun < 30
    slow, other = (
        "it took more than 1 seconds; give it more with --seconds",
        "it was not asked, after 2 laws that took too long",
    )
    assert [verdict["reason"] for verdict in found["verdicts"]] == [slow, slow, *[other] * (len(LAWS) - 2)]


def test_our_methods_take_the_keys_of_a_recipe(folder):
    options = ["-o", "density=0.2", "-o", "lambda=1", "--law", "bounds", "--tries", "1"]
    (line,) = call(folder, "laws", "ties", *options).lines()
    assert line.startswith("bounds                  holds in ")


def test_a_function_that_ends_its_process_is_a_verdict_and_the_others_go_on(folder):
    found = call(folder, "laws", "mine:dies_of_three", "--json", *FEW.split()).printed()
    outcomes = {verdict["law"]: (verdict["outcome"], verdict["reason"]) for verdict in found["verdicts"]}
    died = ("error", "it ended with exit status 3")
    assert outcomes["order_independence"] == outcomes["sign_symmetry"] == died
    assert outcomes["associativity"][0] == "holds but for rounding"
    assert outcomes["homomorphism"][0] == "does not apply"


def test_a_function_sees_no_secrets_and_no_files_and_writes_no_escapes(folder, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    done = shell(folder, "laws", "mine:looks_around", "--law", "bounds", "--tries", "1")
    assert "error: ValueError: '[] []'" in done.stdout
    assert done.stderr.startswith("target: loading\ntarget: \\x1b[31mred\n")


#: What cannot be asked, and words of the one line that says so.
REFUSED = {
    "no target": ("laws tie", "'tie' is not a target; expected one of ties, mean"),
    "no function": ("laws mine:sum", "mine has no 'sum'; it has total, dies_of_three, "),
    "no law": ("laws mine:total --law gravity", "'gravity' is not a law; the laws are order_independence"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("command", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_asked_is_one_line(command, words, folder):
    assert words in call(folder, *command.split()).complaint()


@pytest.mark.clause("CL-1")
def test_without_hypothesis_the_one_line_names_the_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    assert "pip install hypothesis" in call(folder, "laws", "ties").complaint()


#: Command lines that are none, with words of what is said.
WRONG_USAGE = {
    "no TARGET": ("laws", "Missing argument 'TARGET'"),
    "an option without =": ("laws ties -o density", "'density' is not an option of TARGET; write KEY=VALUE"),
    "an option without a key": ("laws ties -o =1", "'=1' is not an option of TARGET"),
    "no tries": ("laws ties --tries 0", "'--tries': 0 is not in the range"),
    "no number": ("laws ties --seed x", "'--seed'"),
}


@pytest.mark.clause("CL-1")
@pytest.mark.parametrize(("command", "words"), WRONG_USAGE.values(), ids=WRONG_USAGE)
def test_wrong_usage_is_status_2(command, words, folder):
    done = call(folder, *command.split())
    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr
