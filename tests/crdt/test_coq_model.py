"""The model of the proofs and the code say the same of the same histories. Needs Coq.

What is proved is proved of definitions/OperationSet.v; this ties it to `crdt/`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import UnknownContribution
from proofs.statements import PROOFS
from tests.crdt.strategies import GENESIS, MANIFESTS, OTHER_BASE

HISTORIES = 100
MERGE_IDS = ("1" * 64, "2" * 64)
ROOTS = ("3" * 64, "4" * 64, "5" * 64)
FOREIGN = replace(MANIFESTS[0], base=OTHER_BASE)
CONTRIBUTIONS = tuple(manifest.id for manifest in (*MANIFESTS, FOREIGN))

#: The hashes are the code's own: a manifest is its base and its id, and the remark of an operation is its id.
MODEL = """
From Coq Require Import NArith List.
From MergeAlgebra.Definitions Require Import OperationSet.
Import ListNotations.
Open Scope N_scope.
Set Printing Width 1000000.
Set Printing Depth 1000000.
Lemma total : forall x y, (x <=? y) = true \\/ (y <=? x) = true.
Proof. intros x y. rewrite !N.leb_le. apply N.le_ge_cases. Qed.
Lemma transitive : forall x y z, (x <=? y) = true -> (y <=? z) = true -> (x <=? z) = true.
Proof. intros x y z. rewrite !N.leb_le. apply N.le_trans. Qed.
Lemma antisymmetric : forall x y, (x <=? y) = true -> (y <=? x) = true -> x = y.
Proof. intros x y. rewrite !N.leb_le. apply N.le_antisymm. Qed.
Definition itself (o : operation_over N (N * N) unit N) : N :=
  match o with Add _ _ said | Remove _ said | Attest _ _ said => said end.
Definition here : workspace :=
  Workspace N N.leb total transitive antisymmetric (N * N) fst snd unit N itself BASE 0.
Definition named (o : option (operation here)) : list N :=
  match o with Some (Remove ids _) => ids | _ => [] end.
"""


@pytest.mark.clause("OS-7", "OS-8", "OS-9", "OS-10", "OS-12", "SY-4")
@pytest.mark.skipif(shutil.which("coqc") is None, reason="Coq is not installed; `make proofs` installs it or says how")
def test_the_model_and_the_code_agree(tmp_path):
    """On what is visible, what a retraction names, which roots are attested and what a sync carries."""
    states = [history(seed) for seed in range(HISTORIES)]
    in_code = [answer for state, other in pairwise(states) for answer in code_says(state, other)]
    assert sum(map(bool, in_code)) > HISTORIES, "too few of the histories say anything"
    assert coq_says(tmp_path, Asked(states)) == in_code


def history(seed: int) -> ORSet:
    """Adds, a few for another base; removes of adds, a few of something else; attests. A part of them arrived."""
    choose = Random(seed)
    made: list[Operation] = []
    for number in range(choose.randrange(16)):
        made.append(Operation(GENESIS.workspace_id, payload(choose, number, made)))
    return ORSet(GENESIS, frozenset(choose.sample(made, choose.randint(len(made) // 2, len(made)))))


def payload(choose: Random, number: int, made: list[Operation]) -> Add | Remove | Attest:
    kind = choose.choice(["add", "add", "add", "remove", "remove", "attest"])
    if kind == "remove" and made:
        return Remove(tuple(sorted({choose.choice(made).id for _ in range(choose.randint(1, 3))})))
    if kind == "attest":
        return Attest(choose.choice(MERGE_IDS), choose.choice(ROOTS))
    manifest = FOREIGN if choose.random() < 0.1 else choose.choice(MANIFESTS)
    return Add(manifest, number.to_bytes(16, "big"))


def code_says(state: ORSet, other: ORSet) -> Iterator[list[str]]:
    yield list(state.visible())
    yield from (list(retracted(state, manifest.id)) for manifest in (*MANIFESTS, FOREIGN))
    yield from (sorted(state.attestations(merge_id)) for merge_id in MERGE_IDS)
    yield list(state.difference(other).by_id())


def retracted(state: ORSet, contribution: str) -> tuple[str, ...]:
    """The adds that the code's retraction names; none where it is an error."""
    try:
        (operation,) = state.remove(contribution).operations
    except UnknownContribution:
        return ()
    assert isinstance(operation.payload, Remove)
    return operation.payload.operations


class Asked:
    """What `code_says`, asked of the model; ids are numbers there, in the order of their bytes."""

    def __init__(self, states: list[ORSet]) -> None:
        self.states = states
        held = [operation for state in states for operation in state.operations]
        named = [
            name for operation in held if isinstance(operation.payload, Remove) for name in operation.payload.operations
        ]
        made = {operation.id for operation in held}.union(named)
        self.ids = sorted({GENESIS.base, OTHER_BASE, *MERGE_IDS, *ROOTS, *CONTRIBUTIONS, *made})
        self._numbers = {name: number for number, name in enumerate(self.ids)}

    def script(self) -> str:
        """The model, the states, and the questions about each and the next."""
        lines = [MODEL.replace("BASE", str(self._numbers[GENESIS.base]))]
        lines += [f"Definition s{n} : state here := {self._state(state)}." for n, state in enumerate(self.states)]
        lines += [
            f"Eval vm_compute in ({question} : list N)."
            for n in range(len(self.states) - 1)
            for question in self._about(n)
        ]
        return "\n".join(lines)

    def _about(self, n: int) -> Iterator[str]:
        yield f"visible s{n}"
        yield from (f"named (retract s{n} {self._numbers[contribution]} 0)" for contribution in CONTRIBUTIONS)
        yield from (f"attestations s{n} {self._numbers[merge_id]}" for merge_id in MERGE_IDS)
        yield f"@ascending here (map itself (difference s{n} s{n + 1}))"

    def _state(self, state: ORSet) -> str:
        """Its operations in any order, the first one twice."""
        operations = [self._operation(operation) for operation in state.operations]
        return f"[{'; '.join([*operations[:1], *operations])}]"

    def _operation(self, operation: Operation) -> str:
        payload, number = operation.payload, self._numbers
        if isinstance(payload, Add):
            return f"Add ({number[payload.manifest.base]}, {number[payload.manifest.id]}) tt {number[operation.id]}"
        if isinstance(payload, Remove):
            return f"Remove [{'; '.join(str(number[name]) for name in payload.operations)}] {number[operation.id]}"
        return f"Attest {number[payload.merge_id]} {number[payload.model_root]} {number[operation.id]}"


def coq_says(folder: Path, asked: Asked) -> list[list[str]]:
    """The lists of ids that Coq computes, one for each question."""
    subprocess.run(["make", "--directory", str(PROOFS), "definitions/OperationSet.vo"], check=True, capture_output=True)
    script = folder / "questions.v"
    script.write_text(asked.script(), encoding="utf-8")
    command = ["coqc", *(PROOFS / "_CoqProject").read_text().split(), "-o", str(folder / "questions.vo"), str(script)]
    printed = subprocess.run(command, cwd=PROOFS, check=True, capture_output=True, text=True).stdout
    answers = re.findall(r"= \[(.*?)\]\s*:", printed)
    return [[asked.ids[int(number)] for number in re.findall(r"\d+", answer)] for answer in answers]
