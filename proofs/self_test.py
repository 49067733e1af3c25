"""The checks can fail: faults are planted in a copy of the proofs, and each must be noticed.

    python3 -m proofs.self_test

The proofs must have been compiled; only what a fault touches is compiled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from proofs import check

#: A claim, the file of its claim, and the file whose last proof is of the lemma behind it.
CLAIM, CLAIMED_IN, PROVED_IN = "Network.unpersisted_operations_can_be_lost", "claims/Network.vo", "lemmas/Losses.v"


@dataclass(frozen=True)
class Fault:
    """declared: what stands before the section. tactic: how the proof begins. end: how it ends.

    in_source: what the look at the sources must say of it, "" for nothing. assumed: what Coq must print.
    """

    declared: str
    tactic: str
    in_source: str
    assumed: str
    end: str = "Qed."

    def plant(self, source: str) -> str:
        """The source with this fault in it."""
        before, proof, after = source.rpartition("  Proof.\n")
        declared = before.replace("\nSection ", f"\n{self.declared}\nSection ", 1)
        return declared + proof + self.tactic + after.replace("Qed.", self.end, 1)


FAULTS = {
    "a proof that is admitted": Fault("", "", "Admitted", "Losses.unpersisted_operations_can_be_lost", end="Admitted."),
    "an axiom": Fault("Axiom shortcut : 0 = 1.", "pose proof shortcut.", "Axiom", "Losses.shortcut"),
    "a parameter": Fault("Parameter shortcut : 0 = 1.", "pose proof shortcut.", "Parameter", "Losses.shortcut"),
    "a variable of no section": Fault(
        "Hypothesis shortcut : 0 = 1.", "pose proof shortcut.", "Hypothesis outside a section", "Losses.shortcut"
    ),
    "a recursion that does not end": Fault(
        "Unset Guard Checking. Fixpoint shortcut (n : nat) : 0 = 1 := shortcut n. Set Guard Checking.",
        "pose proof (shortcut 0).",
        "Unset Guard Checking",
        "Losses.shortcut",
    ),
    "an axiom of Coq's that assumptions.txt does not list here": Fault(
        "From Coq Require Import Classical.", "pose proof (classic True).", "", "Classical_Prop.classic"
    ),
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "proofs")
        shutil.copytree(check.PROOFS, copy)
        sound = (copy / PROVED_IN).read_text(encoding="utf-8")
        problems = [f"without a fault: {problem}" for problem in _look(copy)]
        for name, fault in FAULTS.items():
            (copy / PROVED_IN).write_text(fault.plant(sound), encoding="utf-8")
            problems += [f"{name}: {problem}" for problem in _unnoticed(fault, _look(copy))]
        (copy / PROVED_IN).write_text(FAULTS["a proof that is admitted"].plant(sound), encoding="utf-8")
        if _make(copy, "check").returncode == 0:
            problems.append("`make check` succeeds although a proof is admitted")
    print("\n".join(problems) or f"proofs: {len(FAULTS)} planted faults are noticed", file=sys.stderr)
    return 1 if problems else 0


def _look(proofs: Path) -> list[str]:
    """What the look at the sources says, then what the claim rests on, if it is not what the list says."""
    compiled = _make(proofs, CLAIMED_IN)
    if compiled.returncode:
        return [compiled.stdout + compiled.stderr]
    said = {CLAIM: check.listed(proofs)[CLAIM]}
    return [*check.check_sources(proofs), *check.check_assumptions(said, proofs)]


def _unnoticed(fault: Fault, said: list[str]) -> list[str]:
    """Where the fault should have been noticed and was not."""
    expected = [f"{PROVED_IN}:", fault.in_source] if fault.in_source else []
    noticed = [line for line in said if all(part in line for part in expected)]
    rests = [line for line in said if line.startswith(f"{CLAIM} rests on {fault.assumed}")]
    return [
        *([] if noticed else [f"the sources' check said {said}"]),
        *([] if rests else [f"the assumptions' check said {said}"]),
    ]


def _make(proofs: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--directory", str(proofs), target, f"PYTHON={sys.executable}"]
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=alone)


if __name__ == "__main__":
    sys.exit(main())
