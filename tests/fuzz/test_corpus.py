"""The decoders against all that fuzzing found, and some thousand mutations of it; without atheris, the same every time.

An input that fails is printed in hexadecimal: mend the decoder, and keep the input as `corpus/TARGET/crash-NAME`.
"""

from __future__ import annotations

import shutil
from itertools import count
from random import Random

import pytest

from mergealgebra.encoding import decode, encode
from mergealgebra.incremental.seals import HEADER_BYTES, Seal
from tests.fuzz import campaign, families, outer
from tests.fuzz.plants import PLANTS
from tests.fuzz.seeds import CORPUS, SEEDS
from tests.fuzz.targets import TARGETS
from tests.workspace.replicas import make_workspace, write_models

#: Decoders that leave much of their work to C, where no steps are counted.
IN_C = ("header", "index", "value", "lock", "pattern", "question", "call")

CLAUSES = {
    "header": ("EN-9", "EN-10", "EN-11", "EN-12", "EN-13", "EN-14"),
    "index": ("EN-15", "EN-16"),
    "value": ("EN-1", "EN-2", "EN-3"),
    "manifest": ("CT-2", "CT-3", "CT-4"),
    "genesis": ("OS-1",),
    "operation": ("OS-2", "OS-3", "OS-4", "OS-5", "OS-6"),
    "store": ("OS-7", "OS-9", "OS-11", "SY-1", "SY-3", "CT-6"),
    "lock": ("LK-2", "LK-4"),
    "recipe": ("RC-1", "RC-4", "RC-7"),
    "pattern": ("CT-8",),
    "thresholds": ("SY-9", "MG-8"),
    "aggregate": ("SY-9",),
    "question": ("PR-3", "PR-6", "PR-9"),
    "answer": ("PR-4", "PR-5", "PR-9"),
    "call": ("PR-9", "PR-11", "PR-19"),
    "frames": ("PR-9", "PR-14"),
    "map": ("BL-1", "BL-2", "BL-3"),
    "request": ("PR-20",),
}
TARGET = [pytest.param(name, marks=pytest.mark.clause(*CLAUSES[name]), id=name) for name in TARGETS]


@pytest.mark.parametrize("name", TARGET)
def test_the_corpus(name, tmp_path):
    assert campaign.replay(TARGETS[name], campaign.corpus(name), tmp_path)


@pytest.mark.parametrize("name", TARGET)
def test_mutations_of_the_corpus(name, tmp_path):
    target = TARGETS[name]
    accepted = campaign.mutate(target, campaign.corpus(name), tmp_path, target.inputs, seed=4)
    assert accepted >= 10, "hardly anything reaches what lies behind the first check"


@pytest.mark.parametrize("name", TARGET)
def test_hostile_inputs_cost_linear_time_and_memory_within_the_cap(name, tmp_path):
    campaign.grow(TARGETS[name], tmp_path)


@pytest.mark.parametrize("name", IN_C)
def test_what_is_done_in_c_does_not_slow_down(name, tmp_path):
    campaign.slow(TARGETS[name], tmp_path)


@pytest.mark.clause("RC-7")
def test_a_long_recipe_takes_memory_within_the_cap(tmp_path):
    """PyYAML takes hundreds of bytes for each one of this, which shows only where the file is long."""
    target, data = TARGETS["recipe"], families.RECIPES["items"](1 << 12)
    campaign.replay(target, {"items": data}, tmp_path)


@pytest.fixture
def resolve_with(tmp_path):
    """A workspace that keeps an aggregate: what stands in its header, and how it resolves with another one there."""
    write_models(tmp_path, 2)
    workspace = make_workspace(tmp_path, "alice", 0, 1)
    workspace.resolve(tmp_path / "first", keep_aggregate="always", threads=1)
    kept, saved, numbers = workspace.path / "cache" / "aggregate", tmp_path / "saved", count()
    shutil.copytree(kept, saved)

    def resolve(header: bytes):
        shutil.rmtree(kept)
        shutil.copytree(saved, kept)
        (kept / "header").write_bytes(header)
        return workspace.resolve(tmp_path / f"out-{next(numbers)}", keep_aggregate="always", threads=1)

    return (saved / "header").read_bytes(), resolve


@pytest.mark.clause("SY-9")
def test_a_forged_header_of_an_aggregate_is_none(resolve_with):
    """Whoever made it knows all but the key of the workspace."""
    good, resolve = resolve_with
    lock, random = resolve(good).lock, Random(4)
    for _ in range(30):
        result = resolve(outer.sealed(TARGETS["aggregate"].mutate(random, good)))
        assert (result.lock, result.aggregate.changes) == (lock, None)


@pytest.mark.clause("SY-9")
def test_a_least_grid_that_is_none_means_no_aggregate(resolve_with, tmp_path):
    good, resolve = resolve_with
    odd = encode(decode(good[HEADER_BYTES:]) | {"least": -1000})
    result = resolve(outer.sealed(bytes(HEADER_BYTES) + odd, Seal((tmp_path / "alice" / "cache.key").read_bytes())))
    assert (result.lock, result.aggregate.changes) == (resolve(good).lock, None)


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_defects_are_found(plant, tmp_path, monkeypatch):
    name, defect = PLANTS[plant]
    target = TARGETS[name]
    defect(monkeypatch)
    with pytest.raises(campaign.Found):
        campaign.replay(target, campaign.corpus(name), tmp_path)
        campaign.grow(target, tmp_path)
        campaign.mutate(target, campaign.corpus(name), tmp_path, target.inputs, seed=4)


def test_the_seeds_are_those_of_the_corpus():
    for name, inputs in SEEDS.items():
        for seed, data in inputs.items():
            assert (CORPUS / name / f"seed-{seed}").read_bytes() == data, f"{name}: run python -m tests.fuzz.seeds"
    assert SEEDS.keys() == TARGETS.keys() == CLAUSES.keys()
