"""The tool that tests the tests: which mutants there are, that a fork imports one, and what a run is judged by."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

pytest.importorskip("mutmut", reason="mutants/requirements.txt is not installed; `make mutants` installs it")

from mutants import judge, run
from mutants.mutations import Mutant, mutants

SOURCE = '''
"""A docstring stays as it is."""
LIMIT: int = 3


class Box:
    @property
    def full(self) -> bool | None:
        if self.items and self.open:
            raise ValueError("full")
        self.close()
        return len(self.items) >= LIMIT
'''

CHANGES = {
    "a constant": ("module", "LIMIT: int = 3", "LIMIT: int = 4"),
    "a comparison in a property": ("Box.full", "return len(self.items) >= LIMIT", "return len(self.items) > LIMIT"),
    "a boolean operator": ("Box.full", "if self.items and self.open:", "if self.items or self.open:"),
    "a condition": ("Box.full", "if self.items and self.open:", "if not (self.items and self.open):"),
    "a raise": ("Box.full", 'raise ValueError("full")', "pass"),
    "a call": ("Box.full", "self.close()", "pass"),
    "a result": ("Box.full", "return len(self.items) >= LIMIT", "return None"),
    "a string": ("Box.full", 'raise ValueError("full")', 'raise ValueError("XXfullXX")'),
}


def mutant(original: str, mutated: str = "b", file: str = "algebra/x.py") -> Mutant:
    return Mutant(file, "f", original, mutated, "")


FOUND = list(mutants("algebra/x.py", SOURCE))


class TestMutations:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_have(self, change):
        assert ("algebra/x.py", *change) in map(judge.key, FOUND)

    def test_are_all_different_and_compile(self):
        sources = [found.source for found in FOUND]
        assert len(set(sources) - {SOURCE}) == len(sources)
        for source in sources:
            compile(source, "mutant", "exec")

    def test_differ_from_the_source_in_one_line(self):
        for found in FOUND:
            pairs = list(zip(SOURCE.splitlines(), found.source.splitlines(), strict=True))
            assert sum(before != after for before, after in pairs) == 1

    def test_leave_annotations_docstrings_and_calls_of_len_alone(self):
        for found in FOUND:
            assert '"""A docstring stays as it is."""' in found.source
            assert "-> bool | None" in found.source
            assert "LIMIT: int" in found.source
            assert "len(self.items)" in found.source or found.mutated == "return None"

    def test_keep_their_names_when_lines_move(self):
        moved = mutants("algebra/x.py", "import math\n\n\n" + SOURCE)
        assert Counter(map(judge.key, moved)) == Counter(map(judge.key, FOUND))


def test_a_mutant_is_imported_in_place_of_its_module():
    """In a fork, as the runner does it: nothing here may keep the mutant."""
    name, source = "mergealgebra.crdt.policy", "planted = True\n"
    pid = os.fork()
    if not pid:
        sys.modules.pop(name, None)
        sys.meta_path.insert(0, run.Mutated(Mutant("crdt/policy.py", "module", "", "", source)))
        os._exit(7 if getattr(__import__(name, fromlist=["planted"]), "planted", False) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_every_module_has_tests_of_its_own():
    for file in run.every_file():
        for tests in run.tests_of(file):
            assert (run.ROOT / tests).is_file()


KILLED = [(mutant(str(number)), False) for number in range(95)]
LEFT = [(mutant(f"left {number}"), True) for number in range(5)]
LISTED = Counter(judge.key(left) for left, _ in LEFT)


class TestJudge:
    def test_is_content_with_95_in_100_and_a_reason_for_the_rest(self):
        assert judge.problems(KILLED + LEFT, LISTED, ["algebra/x.py"]) == []

    def test_refuses_fewer(self):
        (problem,) = judge.problems(KILLED[1:] + LEFT, LISTED, ["algebra/x.py"])
        assert problem.startswith("94.9% of the mutants are killed")

    def test_refuses_a_survivor_without_a_reason(self):
        (problem,) = judge.problems(KILLED + LEFT[1:] + [(mutant("new"), True)], LISTED, ["algebra/x.py"])[:1]
        assert problem.startswith("survives, and no reason is listed")
        assert '"new"' in problem

    def test_refuses_a_reason_for_one_that_does_not_survive(self):
        (problem,) = judge.problems(KILLED + LEFT[1:], LISTED, ["algebra/x.py"])
        assert problem.startswith("is listed, and does not survive")
        assert '"left 0"' in problem

    def test_wants_a_change_at_two_places_listed_twice(self):
        twice = KILLED + [(mutant("left"), True)] * 2
        (problem,) = judge.problems(twice, Counter([judge.key(mutant("left"))]), ["algebra/x.py"])
        assert "no reason is listed" in problem

    def test_asks_nothing_of_files_that_did_not_run(self):
        elsewhere = Counter([judge.key(mutant("left", file="crdt/y.py"))])
        assert judge.problems(KILLED, elsewhere, ["algebra/x.py"]) == []

    def test_refuses_a_list_without_a_reason(self, tmp_path):
        path = tmp_path / "survivors.toml"
        path.write_text('[[equivalent]]\nfile = "x"\nfunction = "f"\nmutants = []\nreason = " "\n')
        with pytest.raises(ValueError, match="no reason"):
            judge.listed(path)

    def test_prints_survivors_as_the_file_has_them(self, tmp_path):
        odd = mutant('say "\\n" – ü', "it's")
        path = tmp_path / "survivors.toml"
        path.write_text(f'[[equivalent]]\n{judge.as_toml(judge.key(odd))}\nreason = "because"\n', encoding="utf-8")
        assert judge.listed(path) == Counter([judge.key(odd)])

    def test_counts_by_file(self):
        lines = judge.table([*KILLED, (mutant("a", file="crdt/y.py"), True)]).splitlines()
        assert [line.split() for line in lines[1:]] == [
            ["algebra/x.py", "95", "95", "0"],
            ["crdt/y.py", "1", "0", "1"],
            ["all", "96", "95", "1"],
        ]


def test_the_list_of_survivors_can_be_read():
    assert all(entry[0] in run.every_file() for entry in judge.listed())
