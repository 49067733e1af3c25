"""One seed is one history with one end: in every process, whatever its hash seed, and on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import drawn

ROOT = Path(__file__).parents[2]

#: What the first histories of each level come to. After a change of the simulation or of the format, take it from
#: `python -m tests.simulation --digest --level sets --histories 150` and the like.
DIGESTS = {
    "sets": (150, "99580d2682ac8d2fbd0a3073c6ecdf92f027e9d0e8ea56fd5b36c9ac08f50828"),
    "teams": (20, "9bfc4b036a6a771513b1d282b24b88706adee45c4e57b61d11eaf550aadd875b"),
    "stores": (6, "602c5a3fed83c3a11804ab627d9b093deade13447ee7e75f86d42a555abb447f"),
    "folders": (8, "313d3f3ee3fa5f7046c7d1583025a9baf4d55cb3ba8ac1d3c665fe840b780547"),
}


@pytest.mark.clause("OS-1", "OS-2", "CT-3")
@pytest.mark.parametrize(
    ("level", "hash_seed"),
    [("sets", "0"), ("sets", "1"), ("folders", "0"), ("folders", "1"), ("teams", "1"), ("stores", "0")],
)
def test_a_seed_gives_one_end_everywhere(level, hash_seed):
    histories, digest = DIGESTS[level]
    command = [sys.executable, "-m", "tests.simulation", "--digest", "--level", level, "--histories", str(histories)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.stdout.splitlines()[-1:] == [f"digest {digest}"], run.stdout + run.stderr


@pytest.mark.parametrize("level", DIGESTS)
def test_other_seeds_give_other_histories(level):
    assert len({drawn(level, seed) for seed in range(100)}) == 100
