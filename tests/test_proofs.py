"""What surrounds the proofs: claims, their clauses, the README and the assumptions are in step; the checks can fail.

Nothing here needs Coq: `make proofs` runs what does, and `tests/crdt/test_coq_model.py` compares a model with the code.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from proofs import check, statements
from spec.trace import clauses

CLAIMS = statements.claims()
README = statements.PROOFS / "README.md"
GOOD = "(** Join is good. [OS-7, OS-8 to OS-9] *)\nTheorem good : forall x, x = x.\nProof. exact @Joins.good. Qed.\n"
NO_CLAIMS = {
    "no comment": ("(** Join is good. [OS-7, OS-8 to OS-9] *)", ""),
    "a comment of something else": ("*)\n", "*)\nRequire Import List.\n"),
    "no clause": (" [OS-7, OS-8 to OS-9]", ""),
    "something else for a clause": ("OS-7,", "join,"),
    "a heading for a comment": ("(** Join", "(** ** Join"),
    "no sentence": ("Join is good.", "join is good"),
    "a lemma": ("Theorem", "Lemma"),
    "a proof of its own": ("exact @Joins.good", "intros x. reflexivity"),
    "no proof": ("Proof. exact @Joins.good. Qed.\n", ""),
    "an admitted proof": ("Qed.", "Admitted."),
}
UNPROVED = {
    "admitted": ("Lemma x : 0 = 1.\nAdmitted.", "2: Admitted"),
    "admit": ("Lemma x : 0 = 1.\nProof.\n  admit.\nQed.", "3: admit"),
    "axiom": ("Axiom x : 0 = 1.", "1: Axiom"),
    "parameter": ("Section S.\nParameters (x : nat).\nEnd S.", "2: Parameters"),
    "module type": ("Module Type T.\nParameter x : nat.\nEnd T.", "2: Parameter"),
    "variable": ("Variable x : 0 = 1.", "1: Variable outside a section"),
    "after the section": ("Section S.\nEnd S.\nHypotheses x : 0 = 1.", "3: Hypotheses outside a section"),
    "after a module alias": ("Module M := N.\nContext (x : 0 = 1).", "2: Context outside a section"),
    "local": ("Local Variable x : nat.", "1: Variable outside a section"),
    "guard": ("(* why\nnot *)\nUnset  Guard\n Checking.", "3: Unset Guard Checking"),
    "attribute": ("#[bypass_check(universes)] Definition x := Type.", "1: bypass_check"),
    "behind a string": ('Goal True. idtac "(*". Abort.\nAxiom x : 0 = 1. (* *)', "2: Axiom"),
}


class TestClaims:
    def test_cite_clauses_that_exist(self):
        unknown = {
            clause: names for clause, names in statements.theorems_by_clause().items() if clause not in clauses()
        }
        assert not unknown

    def test_have_names_of_their_own(self):
        names = [claim.name for claim in CLAIMS]
        assert len(set(names)) == len(names) > 40

    def test_the_readme_is_in_step(self):
        readme = README.read_text(encoding="utf-8")
        assert statements.with_table(readme, CLAIMS) == readme, "run `make -C proofs readme`"

    def test_a_claim_is_read(self, tmp_path):
        (claim,) = self._read(tmp_path, GOOD)
        assert claim == statements.Claim("Some", "good", "Join is good.", ("OS-7", "OS-8", "OS-9"))

    @pytest.mark.parametrize(("old", "new"), NO_CLAIMS.values(), ids=NO_CLAIMS)
    def test_a_theorem_that_is_no_claim_is_refused(self, tmp_path, old, new):
        assert old in GOOD
        with pytest.raises(statements.ClaimError, match=r"claims/Some\.v: good"):
            self._read(tmp_path, GOOD.replace(old, new, 1))

    def _read(self, folder, text):
        (folder / "claims").mkdir()
        (folder / "claims" / "Some.v").write_text(text, encoding="utf-8")
        return statements.claims(folder)


class TestAssumptions:
    def test_are_listed_for_each_claim_and_are_those_of_the_real_numbers(self):
        assert check.check_list([claim.name for claim in CLAIMS], check.listed()) == [], (
            "run `make -C proofs assumptions`"
        )

    def test_what_speaks_of_no_real_number_needs_none(self):
        exact = ("OperationSet.", "Network.", "Ties.", "Trim.", "FixedTree.")
        assert not [name for name, axioms in check.listed().items() if axioms and name.startswith(exact)]

    LISTS: ClassVar = {
        "lacking": ({}, "lacks A.x"),
        "too many": ({"A.x": [], "A.y": []}, "A.y, which is no claim"),
        "another axiom": ({"A.x": ["Classical_Prop.classic", "A.shortcut"]}, "A.x rests on A.shortcut"),
    }

    @pytest.mark.parametrize(("said", "problem"), LISTS.values(), ids=LISTS)
    def test_a_list_out_of_step_is_refused(self, said, problem):
        (found,) = check.check_list(["A.x"], said)
        assert problem in found

    def test_a_list_is_read_as_it_is_written(self, tmp_path):
        found = {"A.x": [], "A.y": ["bar", "foo"]}
        (tmp_path / "assumptions.txt").write_text(check.written(found), encoding="utf-8")
        assert check.listed(tmp_path) == found

    def test_what_coq_prints_is_read(self):
        printed = (
            "GROUP A.x\nClosed under the global context\nGROUP A.y\nAxioms:\nfoo\n  : forall n : nat,\n    n = n\n"
            "bar : False\nbaz is assumed to be guarded.\n"
        )
        assert dict(check._answers(printed)) == {"A.x": [], "A.y": ["bar", "baz", "foo"]}


class TestSources:
    def test_leave_nothing_unproved(self):
        assert check.check_sources() == []

    @pytest.mark.parametrize(("text", "said"), UNPROVED.values(), ids=UNPROVED)
    def test_that_leave_something_unproved_are_named(self, tmp_path, text, said):
        (tmp_path / "Bad.v").write_text(text, encoding="utf-8")
        assert list(check.faults(tmp_path / "Bad.v")) == [f"{tmp_path.name}/Bad.v:{said}"]

    def test_that_only_speak_of_it_are_not(self, tmp_path):
        text = '(* Admitted (* Axiom *) *)\nSection S.\nVariable x : nat.\nEnd S.\nGoal True. idtac "Axiom". Abort.'
        (tmp_path / "Good.v").write_text(text, encoding="utf-8")
        assert list(check.faults(tmp_path / "Good.v")) == []
