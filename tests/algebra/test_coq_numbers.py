"""The definitions of the proofs and the code give the same bits: certificates of elementary functions, dots. Needs Coq.

What is proved is proved of definitions/Elementary.v and definitions/Dots.v; this ties them to `algebra/`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mergealgebra.algebra import dots, elementary
from proofs.statements import PROOFS

pytestmark = pytest.mark.skipif(
    shutil.which("coqc") is None, reason="Coq is not installed; `make proofs` installs it or says how"
)

#: What the integers are made to say where a certificate fails.
SEVEN = 7.0
#: More than a chunk, most of them zeros, which Coq multiplies and adds quickly.
ELEMENTS, STEP = 4500, 15


@pytest.mark.clause("EF-3")
def test_certificates_and_what_they_give(tmp_path):
    y = answers()
    given = elementary.settled(lambda x, bits: (7 << bits, bits), np.zeros_like(y), y)
    assert 20 < np.count_nonzero(given == SEVEN) < len(y) - 20, "too few of the certificates fail, or too many"
    asked = f"map (fun y => let y := of_bits F64 y in if certificate y then to_bits F32 (given y) else 7) {coq(y)}"
    said = coq_says(tmp_path, "Elementary", asked)
    assert said == [7 if one == SEVEN else int(one.view(np.uint32)) for one in given]


@pytest.mark.clause("DT-1", "DT-2", "DT-3")
def test_dots(tmp_path):
    x, y = (np.zeros(ELEMENTS, np.float32) for _ in range(2))
    random = np.random.default_rng(3)
    x[::STEP], y[::STEP] = np.exp2(random.uniform(-9, 9, (2, ELEMENTS // STEP)))
    pairs = f"combine (spread {coq(x[::STEP])}) (spread {coq(y[::STEP])})"
    products = x.astype(np.float64) * y
    found = np.float64(dots.dot(x, y))
    assert found not in (products.cumsum()[-1], dots.fold(products)), "other orders give the same bits"
    assert coq_says(tmp_path, "Dots", f"[to_bits F64 (machine_dot ({pairs}))]") == [int(found.view(np.uint64))]


def answers() -> np.ndarray:
    """fp64 numbers of every kind but NaN: around halfway between fp32 numbers, where some certificates fail."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 0x7F800000, 60, dtype=np.uint32)
    # The least subnormal numbers, the least normal one, the greatest one.
    bits[:5] = 0, 1, 2, 0x007FFFFF, 0x7F7FFFFF
    number, after = bits.view(np.float32).astype(np.float64), (bits + 1).view(np.float32).astype(np.float64)
    after[4] = 2.0**128
    half = (number + after) / 2
    off = [half * (1 + k * 2.0**-49) for k in (-8, -3, -2, -1, 0, 2, 8)]
    corners = [0.0, -0.0, np.inf, -np.inf, 5e-324, 2.0**-151, 2.0**-150, 2.0**129, 1.0, np.finfo(np.float64).max]
    return np.concatenate([*off, -half, number, corners])


def coq(numbers: np.ndarray) -> str:
    """Their bits."""
    return f"[{'; '.join(map(str, numbers.view(f'u{numbers.itemsize}').tolist()))}]"


def coq_says(folder: Path, definitions: str, asked: str) -> list[int]:
    """The integers that Coq computes."""
    subprocess.run(["make", "-C", str(PROOFS), f"definitions/{definitions}.vo"], check=True, capture_output=True)
    script = folder / "questions.v"
    script.write_text(
        f"""
        From Coq Require Import ZArith List.
        From MergeAlgebra.Definitions Require Import Bits {definitions}.
        Import ListNotations.
        Open Scope Z_scope.
        Set Printing Width 1000000.
        Set Printing Depth 1000000.
        Definition spread (xs : list Z) : list (number F32) :=
          flat_map (fun x => of_bits F32 x :: repeat (of_bits F32 0) {STEP - 1}) xs.
        Eval vm_compute in ({asked}).
        """,
        encoding="utf-8",
    )
    command = ["coqc", *(PROOFS / "_CoqProject").read_text().split(), "-o", str(folder / "questions.vo"), str(script)]
    printed = subprocess.run(command, cwd=PROOFS, check=True, capture_output=True, text=True).stdout
    (answer,) = re.findall(r"= \[(.*?)\]\s*:", printed)
    return [int(number) for number in answer.split(";")]
