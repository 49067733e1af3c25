"""Targets that misbehave: each is told by its kind, and the next question is answered as if nothing had been."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mergealgebra.targets.programs import STARTS, Program
from mergealgebra.targets.questions import KINDS, Failed, Hello, Merged, Question, Refused, introduction
from tests.targets.conversations import ask

SCRIPT = str(Path(__file__).with_name("misbehaving.py"))
BASE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}

#: How long an answer may take. Programs that are silent cost it once.
SECONDS = 2

#: Behaviour -> the kind of failure, and what its message has to say.
FAILURES = {
    "wrong id": ("malformed", "it answers 'another', and was asked 'bad'"),
    "id that is a number": ("malformed", "it answers 1, and was asked 'bad'"),
    "no id": ("malformed", "has no id"),
    "id twice": ("malformed", "'id' stands twice"),
    "wrong shape": ("wrong_shapes", "tensor 'w' has shape [3, 2], expected [2, 3]"),
    "shape of a float": ("malformed", "is not a list of sizes"),
    "shape below zero": ("malformed", "is not a list of sizes"),
    "shape of a bool": ("malformed", "is not a list of sizes"),
    "names missing": ("wrong_names", "lacks tensor 'w'; it has nothing"),
    "names too many": ("wrong_names", "has tensor 'v', which the base does not have"),
    "wrong dtype name": ("malformed", "dtype 'float32' is not one of F64, F32, BF16, F16"),
    "dtype of integers": ("malformed", "dtype 'I32' is not one of"),
    "dtype that is a list": ("malformed", "dtype ['F32'] is not one of"),
    "bad hex": ("malformed", "expected hexadecimal digits"),
    "hex with spaces": ("malformed", "expected hexadecimal digits"),
    "hex too short": ("malformed", "hex has 46 digits, expected 48 for F32 [2, 3]"),
    "no hex": ("malformed", "expected an object of dtype, shape and hex"),
    "tensor that is a list": ("malformed", "tensor 'w' is [1, 2]"),
    "tensors that are null": ("malformed", "tensors is None"),
    "neither tensors nor error": ("malformed", "it has 'id', expected id and either tensors or error"),
    "tensors and error": ("malformed", "expected id and either tensors or error"),
    "error that is no text": ("malformed", "error is 3, expected text"),
    "NaN as a number": ("malformed", "NaN is not a JSON number"),
    "half of JSON": ("malformed", "is not JSON"),
    "JSON nested deep": ("malformed", "is not JSON"),
    "a number of many digits": ("malformed", "is not JSON"),
    "not UTF-8": ("malformed", "is not JSON"),
    "not JSON": ("chattered", "it wrote 'done!' as a line; it gave no answer in time"),
    "chatter before the answer": ("chattered", "it wrote 'Merging 3 tensors ...' as a line"),
    "two lines before the answer": ("chattered", "it wrote 'Merging ...' as a line"),
    "a line now and then": ("chattered", "it wrote 'Merging ...' as a line; it gave no answer in time"),
    "an empty line before the answer": ("chattered", "it wrote 'an empty line' as a line"),
    "chatter and silence": ("chattered", "it gave no answer in time"),
    "endless lines": ("flooded", "more lines than any answer is long"),
    "endless line": ("flooded", "bytes and no end of a line"),
    "endless answer": ("flooded", "bytes and no end of a line"),
    "huge line": ("flooded", "bytes and no end of a line"),
    "endless messages": ("hung", "its last words: 'warning'"),
    "hangs": ("hung", "it gave no answer in time"),
    "answers late": ("hung", "it gave no answer in time"),
    "exits": ("crashed", "it ended with exit status 3"),
    "exits in the middle": ("crashed", """exit status 0 in the middle of a line, '{"id": "bad", "tens'"""),
    "names an error before its version": ("crashed", "its last words: \"Error: Cannot find module 'ties.mjs'\""),
    "raises": ("crashed", "exit status 1; its last words: \"KeyError: 'nothing'\""),
    "killed": ("crashed", "it was ended by SIGKILL"),
    "killed by a signal without a name": ("crashed", "it was ended by signal 40"),
    "closes its output": ("crashed", "it closed its output"),
    "explains after its output": ("crashed", "it ended with exit status 3; its last words: 'out of memory'"),
    "explains at length after its output": ("crashed", "exit status 3; its last words: 'out of memory'"),
    "leaves a child with its output": ("crashed", "it ended with exit status 7"),
}


def misbehaving(behaviour: str) -> Program:
    return Program("misbehaving", (sys.executable, SCRIPT, behaviour))


def python(code: str, **options) -> Program:
    return Program("code", (sys.executable, "-c", code), **options)


def questions(*ids: str) -> list[Question]:
    return [Question(id_, BASE, (BASE,)) for id_ in ids]


@pytest.mark.parametrize("behaviour", FAILURES)
def test_a_failure_has_its_kind_and_the_next_question_is_answered(behaviour):
    kind, message = FAILURES[behaviour]
    first, bad, last = (answer for _, answer in ask(misbehaving(behaviour), questions("a", "bad", "b"), SECONDS))
    assert isinstance(bad, Failed)
    assert bad.kind == kind
    assert message in bad.message
    assert "\n" not in bad.message
    for answer in (first, last):
        assert isinstance(answer, Merged)
        np.testing.assert_array_equal(answer.tensors["w"], BASE["w"])


def test_every_kind_of_failure_is_in_the_table():
    assert {kind for kind, _ in FAILURES.values()} | {kind for _, kind, _ in BAD_STARTS.values()} == KINDS.keys()


def test_a_second_answer_is_held_against_the_next_question():
    # Which question it meant cannot be known: it came when the next one was asked.
    answers = [answer for _, answer in ask(misbehaving("answers twice"), questions("bad", "a", "b"), SECONDS)]
    assert isinstance(answers[0], Merged)
    assert answers[1] == Failed("malformed", "it answers 'bad', and was asked 'a'")
    assert isinstance(answers[2], Merged)


def test_a_target_may_say_nan_and_refuse():
    code = """
import json, sys
nan = {"dtype": "F64", "shape": [2, 3], "hex": "000000000000f87f" * 6}
for line in sys.stdin:
    q = json.loads(line)
    if "hello" in q: a = {"hello": {"name": "n", "version": "v"}}
    elif q["id"] == "nan": a = {"id": "nan", "tensors": {"w": nan}}
    else: a = {"id": q["id"], "error": "no\\nway"}
    print(json.dumps(a), flush=True)
"""
    nan, refused = (answer for _, answer in ask(python(code), questions("nan", "no"), SECONDS))
    assert isinstance(nan, Merged)
    assert nan.tensors["w"].dtype == np.float64
    assert np.isnan(nan.tensors["w"]).all()
    assert refused == Refused("no way")


def test_a_line_before_hello_is_held_against_the_first_question():
    code = """
import json, sys
print("Welcome!")
for line in sys.stdin:
    q = json.loads(line)
    a = {"hello": {"name": "n", "version": "v"}} if "hello" in q else {"id": q["id"], "error": "no"}
    print("", json.dumps(a), flush=True)
"""
    answers = [answer for _, answer in ask(python(code), questions("a", "b"), SECONDS)]
    assert answers == [Failed("chattered", "it wrote 'Welcome!' as a line"), Refused("no")]


BAD_STARTS = {
    "exits at once": ("import sys; sys.exit('no torch')", "crashed", "exit status 1; its last words: 'no torch'"),
    "says nothing": ("import time; time.sleep(600)", "hung", "no answer in time"),
    "chatters": ("print('Welcome!', flush=True); import time; time.sleep(600)", "chattered", "'Welcome!'"),
    "says something else": ("print('{\"hi\": 1}', flush=True); input(); input()", "malformed", 'expected {"hello"'),
    "is not there": ('input(); print(\'{"hello": {"error": "no\\\\n torch"}}\', flush=True)', "absent", "no torch"),
    "has no version": ('print(\'{"hello": {"name": "x"}}\', flush=True); input(); input()', "malformed", "version"),
}


@pytest.mark.parametrize("case", BAD_STARTS)
def test_a_target_that_does_not_say_hello_is_given_up(case):
    code, kind, message = BAD_STARTS[case]
    answers = [answer for _, answer in ask(python(code, start_seconds=1), questions(*"abcd"), SECONDS)]
    assert [answer.kind for answer in answers[:STARTS]] == [kind] * STARTS
    assert message in answers[0].message
    assert all("not started again" in answer.message for answer in answers[STARTS:])


def test_only_starts_that_fail_in_a_row_are_counted(tmp_path):
    """Every other start fails, and every answer ends the program."""
    code = f"""
import json, sys
counted = open({str(tmp_path / "starts")!r}, "a+")
counted.write("|")
counted.seek(0)
if len(counted.read()) % 2: sys.exit("not now")
counted.close()
input()
print(json.dumps({{"hello": {{"name": "n", "version": "v"}}}}), flush=True)
print(json.dumps({{"id": json.loads(input())["id"], "error": "no"}}), flush=True)
input()
sys.exit(5)
"""
    answers = [answer for _, answer in ask(python(code), questions(*"abcdefgh"), SECONDS)]
    assert [answer.message.partition(";")[0] for answer in answers] == [
        "it ended with exit status 1", "no", "it ended with exit status 5",
    ] * 2 + ["it ended with exit status 1", "no"]  # fmt: skip


def test_what_cannot_be_started_is_told():
    (_, answer), *_ = ask(Program("gone", ("/nowhere/at/all",)), questions("a"), SECONDS)
    assert answer.kind == "crashed"
    assert "cannot be started" in answer.message


def test_a_target_tells_who_it_is():
    assert introduction(misbehaving("hangs"), SECONDS) == Hello("misbehaving", "1")
    assert introduction(misbehaving("hangs"), 1e-6) == Hello("misbehaving", "1")  # it has `start_seconds` for that
    assert introduction(python("import sys; sys.exit(4)"), SECONDS).kind == "crashed"


def test_neither_side_waits_with_a_full_pipe():
    """A target that reads a piece of a long question and writes more than a pipe holds before it reads the rest."""
    code = """
import json, os, sys
def line():
    while not (read := os.read(0, 10_000)).endswith(b"\\n"):
        yield read
        sys.stderr.write("x" * 300_000)
    yield read
list(line())
print(json.dumps({"hello": {"name": "n", "version": "v"}}), flush=True)
q = json.loads(b"".join(line()))
print(json.dumps({"id": q["id"], "tensors": q["base"]}), flush=True)
"""
    big = Question("big", {"w": np.zeros(50_000, np.float32)}, ())
    (_, answer), *_ = ask(python(code), [big], 60)
    assert isinstance(answer, Merged), answer


def test_an_answer_may_be_longer_than_its_question():
    code = """
import json, sys
print(json.dumps({"hello": {"name": "n", "version": "v"}}), flush=True)
input()
q = json.loads(input())
tensor = {"dtype": "F64", "shape": q["base"]["w"]["shape"], "hex": "000000000000f87f" * 100_000}
print(json.dumps({"id": q["id"], "tensors": {"w": tensor}}), flush=True)
"""
    big = Question("big", {"w": np.zeros(100_000, np.float16)}, ())
    (_, answer), *_ = ask(python(code), [big], 60)
    assert isinstance(answer, Merged), answer
    assert np.isnan(answer.tensors["w"]).all()


def test_many_models_allow_no_longer_an_answer():
    """What an answer may be follows from the base alone: here less than the question itself."""
    big = Question("bad", BASE, ({"w": np.zeros(200_000, np.float32)},))
    (_, answer), *_ = ask(misbehaving("huge line"), [big], 60)
    assert answer == Failed("flooded", f"it wrote more than {2**20 + 32 * 6} bytes and no end of a line")


def test_a_question_is_sent_whole_though_it_is_answered_before():
    code = """
import json, os, sys
input()
print(json.dumps({"hello": {"name": "n", "version": "v"}}), flush=True)
os.read(0, 100)
print(json.dumps({"id": "big", "error": "too big"}), flush=True)
while not os.read(0, 1).endswith(b"\\n"): pass
q = json.loads(sys.stdin.buffer.readline())
print(json.dumps({"id": q["id"], "tensors": q["base"]}), flush=True)
"""
    big = Question("big", {"w": np.zeros(50_000, np.float32)}, ())
    answers = [answer for _, answer in ask(python(code), [big, *questions("a")], 60)]
    assert answers[0] == Refused("too big")
    assert isinstance(answers[1], Merged), answers[1]


def test_a_target_that_answers_without_reading_is_read():
    code = """
import json, os, time
input()
os.close(0)
print(json.dumps({"hello": {"name": "n", "version": "v"}}), flush=True)
time.sleep(0.5)
for id in "abc": print(json.dumps({"id": id, "error": "no"}), flush=True)
time.sleep(600)
"""
    assert [answer for _, answer in ask(python(code), questions(*"abc"), 60)] == [Refused("no")] * 3


def test_a_target_may_put_its_things_in_order_when_its_input_ends(tmp_path):
    done = tmp_path / "done"
    code = f"""
import json, os, sys, time
input()
print(json.dumps({{"hello": {{"name": "n", "version": "v"}}}}), flush=True)
sys.stdin.read()
os.close(1)
time.sleep(0.2)
open({str(done)!r}, "w").close()
"""
    assert introduction(python(code), SECONDS) == Hello("n", "v")
    assert done.exists()


def test_who_asks_no_further_leaves_nobody_running():
    (asked,) = questions("a")
    answers = ask(misbehaving("hangs"), [asked, asked], SECONDS)
    next(answers)
    process = answers.gi_frame.f_locals["conversation"]._process
    answers.close()
    assert process._process.status(0) is not None


def test_a_target_that_reads_no_more_is_told_by_how_it_ends():
    code = """
import json, os, time
input()
os.close(0)
print(json.dumps({"hello": {"name": "n", "version": "v"}}), flush=True)
time.sleep(0.5)
os._exit(5)
"""
    (_, answer), *_ = ask(python(code), questions("a"), 60)
    assert answer == Failed("crashed", "it ended with exit status 5")


def test_a_target_gets_the_environment_that_it_is_given():
    code = """
import json, os, sys
print(json.dumps({"hello": {"name": os.environ.get("THREADS", "none"), "version": "v"}}), flush=True)
sys.stdin.read()
"""
    assert introduction(python(code, env={**os.environ, "THREADS": "3"}), SECONDS) == Hello("3", "v")


def test_a_target_that_a_user_types_runs_where_he_is(tmp_path, monkeypatch):
    (tmp_path / "name").write_text("here")
    monkeypatch.chdir(tmp_path)
    code = (
        'import json; print(json.dumps({"hello": {"name": open("name").read(), "version": "v"}}), flush=True); input()'
    )
    assert introduction(python(code), SECONDS) == Hello("here", "v")


def test_a_target_sees_no_secrets(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hush")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    code = """
import json, os, sys
seen = f"{os.environ.get('SECRET_TOKEN')} {os.environ['OMP_NUM_THREADS']}"
print(json.dumps({"hello": {"name": seen, "version": "v"}}), flush=True)
sys.stdin.read()
"""
    assert introduction(python(code), SECONDS) == Hello("None 5", "v")
