"""Contributions that are nearly one: told when the second is made, by a sample of their values."""

from __future__ import annotations

import numpy as np
import pytest

import mergealgebra as ma
from mergealgebra import likeness
from mergealgebra.engine.sources import Block
from tests.cli.commands import call
from tests.models import DTYPES, FLOATS, base, fine_tune, task_vector, write_file, write_folder
from tests.workspace.replicas import RECIPE, make_workspace


@pytest.fixture
def alice(root):
    """A workspace in which the fine-tune 0 is visible."""
    return make_workspace(root, "alice", 0)


def moved_by(vector, factor=1.0, noise=0.0):
    """The model that is so many task vectors away from the base, and a little noise."""
    random = np.random.default_rng(7)
    tuned = base()
    for name, move in vector.items():
        tuned[name] = np.asarray(tuned[name] + factor * move + noise * random.normal(size=move.shape), np.float32)
    return tuned


#: The same fine-tune once more, and how it is contributed.
COPIES = {
    "in double precision": (fine_tune(0, "F64"), {}),
    "in half precision": (fine_tune(0, "BF16"), {}),
    "with another coefficient": (fine_tune(0), {"coefficient": "0.5"}),
    "as a stored difference": (task_vector(0), {"form": "task_vector"}),
    "scaled": (moved_by(task_vector(0), 0.5), {}),
    "with a little noise": (moved_by(task_vector(0), noise=0.02), {}),
    "a part of it": (fine_tune(0), {"take": ["embed.*"]}),
}


@pytest.mark.clause("OS-15")
@pytest.mark.parametrize(("tensors", "options"), COPIES.values(), ids=COPIES)
def test_a_near_copy_is_told_with_the_figure_and_the_other(tensors, options, root, alice):
    first = next(iter(alice.visible()))
    made = alice.contribute(write_file(root / "copy.safetensors", tensors), **options)
    (warning,) = made.warnings
    assert f"contribution {made[:12]} is nearly {first[:12]}, visible already" in warning
    assert 0.95 <= float(warning.split("the base is ")[1].split(",")[0]) <= 1
    assert made in alice.visible()


#: What is no copy, whatever it shares.
OTHERS = {
    "another fine-tune": (fine_tune(1), {}),
    "the opposite": (moved_by(task_vector(0), -1), {}),
    "other tensors": ({"layer.0.bias": np.ones(4, np.float32)}, {"form": "task_vector"}),
}


@pytest.mark.clause("OS-15")
@pytest.mark.parametrize(("tensors", "options"), OTHERS.values(), ids=OTHERS)
def test_others_are_not_told(tensors, options, root, alice):
    assert alice.contribute(write_file(root / "other.safetensors", tensors), **options).warnings == ()


@pytest.mark.clause("OS-15")
def test_the_nearest_of_several_is_named(root, alice):
    first = next(iter(alice.visible()))
    alice.contribute(write_file(root / "noisy.safetensors", moved_by(task_vector(0), noise=0.05)))
    (warning,) = alice.contribute(root / "ft0.safetensors", "2").warnings
    assert f"is nearly {first[:12]} and 1 more, visible already: the cosine" in warning
    assert "is 1, over 81 of its 81 elements" in warning


@pytest.mark.clause("OS-15")
@pytest.mark.parametrize("gone", ["missing", "damaged", "retracted"])
def test_what_cannot_be_compared_stops_nothing(gone, root, alice):
    (id_,) = alice.visible()
    blob = next((alice.path / "blobs").iterdir())
    match gone:
        case "missing":
            blob.unlink()
        case "damaged":
            blob.write_bytes(blob.read_bytes()[:50])
        case "retracted":
            alice.retract(id_)
    assert alice.contribute(write_file(root / "copy.safetensors", fine_tune(0, "F64"))).warnings == ()


@pytest.mark.clause("OS-15")
def test_of_large_ones_a_sample_is_compared(root, monkeypatch):
    monkeypatch.setattr(likeness, "BLOCKS", 4)
    monkeypatch.setattr(likeness, "BLOCK", 3)
    alice = make_workspace(root, "alice", 0)
    (warning,) = alice.contribute(root / "ft0.safetensors", "2").warnings
    assert "is 1, over 12 of its 81 elements" in warning


@pytest.mark.clause("OS-15")
def test_a_sample_is_spread_over_all_tensors(monkeypatch):
    monkeypatch.setattr(likeness, "BLOCKS", 4)
    monkeypatch.setattr(likeness, "BLOCK", 3)

    class Record:
        def __init__(self, size):
            self.size = size

    found = likeness.sample([Record(size) for size in (16, 0, 2, 6)], ["a", "b", "c", "d"])
    assert found == [Block("a", 0, 3), Block("a", 6, 9), Block("a", 12, 15), Block("d", 0, 3)]
    assert likeness.sample([Record(5), Record(0), Record(7)], ["a", "b", "c"]) == [Block("a", 0, 5), Block("c", 0, 7)]


@pytest.mark.clause("OS-15")
def test_infinite_masks_count_nothing(root):
    mask = {"mask.bias": np.float32([-np.inf, 0, 0])}
    write_folder(root / "masked", {**base(), **mask})
    alice = ma.Workspace.init(root / "masks", base=root / "masked", recipe=RECIPE)
    for dtype in ("F32", "F64"):
        tuned = {**fine_tune(0, dtype), "mask.bias": mask["mask.bias"].astype(DTYPES[dtype])}
        made = alice.contribute(write_file(root / f"{dtype}.safetensors", tuned))
    assert "the base is 1, over" in made.warnings[0]
    assert set(FLOATS) < set(tuned)


@pytest.mark.clause("OS-15")
def test_the_command_warns_and_goes_on(root, alice):
    done = call(root, "-C", "alice", "contribute", "ft0.safetensors", "--coefficient", "2")
    assert done.code == 0
    assert done.stderr.startswith("warning: contribution ")
    assert len(done.stderr.splitlines()) == 1
