"""Functions that attack the process that judges them: we get verdicts, in some time and memory, and nothing else."""

from __future__ import annotations

import pytest

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.laws.isolation import Question, check_apart
from mergealgebra.laws.verdict import Verdict
from mergealgebra.targets.errors import raised

#: In the folder of whoever asks. `merge` does as it is told, on its way to an answer.
MODULE = """\
import json, os, sys, time

PIPES = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]


def write(data):
    for pipe in PIPES:
        try:
            while data:
                data = data[os.write(pipe, data):]
        except OSError:
            pass


def verdict(**others):
    told = {"law": "bounds", "outcome": "holds", "tries": 1, "reason": "", "counterexample": ""}
    write(json.dumps({**told, **others}).encode() + b"\\n")


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def merge(base, task_vectors, does):
    exec(does)
    return base
"""

NO_VERDICT = "it wrote where its process writes verdicts, and no verdict"

#: What a function does, and what is said of it.
ATTACKS = {
    "another verdict": ("verdict(law='ok True')", NO_VERDICT),
    "no JSON": ("write(b'ok True\\n')", NO_VERDICT),
    "null": ("write(b'null\\n')", NO_VERDICT),
    "a verdict in its own": ("write(b'{\"law\":')", NO_VERDICT),
    "no end of a line": ("write(b'x' * (1 << 25))", "it wrote more than 16777216 bytes and no end of a line"),
    "closed pipes": ("os.closerange(0, 64); time.sleep(60)", "it closed its output"),
    "silence": ("time.sleep(60)", "it took more than 2 seconds; give it more with --seconds"),
    "a read of what is asked next": ("sys.stdin.read(); os.read(0, 1)", "it took more than 2 seconds"),
    "an end": ("os._exit(3)", "it ended with exit status 3"),
    "an error without a text": ("raise Silent", "Silent: '(it cannot be told)'"),
}


def _asked(tmp_path, monkeypatch, does):
    (tmp_path / "hostile.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    question = Question("hostile:merge", {"does": does}, 1, 0)
    return list(check_apart(question, ["bounds"], seconds=2))


@pytest.mark.parametrize(("does", "said"), ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_a_verdict(does, said, tmp_path, monkeypatch):
    (verdict,) = _asked(tmp_path, monkeypatch, does)
    assert (verdict.law, verdict.outcome) == ("bounds", "error")
    assert verdict.reason.startswith(said)


def test_what_it_writes_is_marked_and_not_all_of_it_is_shown(tmp_path, monkeypatch, capfd):
    line = "bounds                  holds in 100 tries"
    _asked(tmp_path, monkeypatch, f"os.write(2, b'{line}\\n' * 10_000)")
    lines = capfd.readouterr().err.splitlines()
    assert {line.partition(": ")[0] for line in lines} == {"target"}
    assert lines[0] == f"target: {line}"
    assert lines[-1] == "target: ... (more than that is not shown)"
    assert len(lines) < 2000


VERDICT = Verdict("bounds", "broken", 3, "why", "program")

#: What a process may send in place of a verdict.
NO_VERDICTS = {
    "a list": [1],
    "nothing": {},
    "one key more": {**VERDICT.to_map(), "x": 1},
    "another law": {**VERDICT.to_map(), "law": "purity"},
    "another outcome": {**VERDICT.to_map(), "outcome": "ok True"},
    "many tries": {**VERDICT.to_map(), "tries": "many"},
    "tries below zero": {**VERDICT.to_map(), "tries": -1},
    "a reason that is none": {**VERDICT.to_map(), "reason": None},
    "an endless reason": {**VERDICT.to_map(), "reason": "x" * 5000},
    "a program that is none": {**VERDICT.to_map(), "counterexample": ["x"]},
}


def test_a_verdict_is_read_as_it_is_written():
    assert Verdict.of(VERDICT.to_map(), "bounds") == VERDICT


@pytest.mark.parametrize("found", NO_VERDICTS.values(), ids=NO_VERDICTS)
def test_what_is_not_a_verdict_on_the_law_is_refused(found):
    with pytest.raises(ValueError, match="not a verdict"):
        Verdict.of(found, "bounds")


class _Text(str):
    """A text that says something else of itself than it holds."""

    def __str__(self):
        return "x\x1b"

    def __repr__(self):
        return "y\x1b"

    def isprintable(self):
        return True


class _Odd(Exception):
    def __init__(self, told):
        self.told = told

    def __str__(self):
        if isinstance(self.told, BaseException):
            raise self.told
        return self.told


#: What the text of an error is or raises, and how it is told.
TEXTS = {
    "a text of its own": (_Text("a\x1b[31m"), r"_Odd: 'a\x1b[31m'"),
    "an error": (MergeAlgebraError("x"), "_Odd: '(it cannot be told)'"),
    "an exit": (SystemExit(0), "_Odd: '(it cannot be told)'"),
    "a number": (3, "_Odd: '(it cannot be told)'"),
}


@pytest.mark.parametrize(("text", "told"), TEXTS.values(), ids=TEXTS)
def test_an_error_is_told_whatever_its_text_does(text, told):
    assert raised(_Odd(text)) == told


def test_the_name_of_an_error_is_cut():
    assert len(raised(type("x" * 1000, (Exception,), {})())) < 300
