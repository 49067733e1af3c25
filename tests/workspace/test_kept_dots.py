"""A workspace keeps the dot products of its contributions: the next resolve finds the rows of those that came."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import mergealgebra as ma
from mergealgebra.encoding import decode, encode
from mergealgebra.engine import weights
from mergealgebra.errors import BlobDamaged, MethodError
from mergealgebra.fsck import inspect
from mergealgebra.incremental.seals import HEADER_BYTES, KEY_BYTES, Seal
from mergealgebra.store import cache
from tests.cli.commands import tree
from tests.models import FLOATS, write_file
from tests.workspace.replicas import make_workspace, write_models

pytestmark = pytest.mark.clause("DT-8", "SY-9")

KERNELS = ["numba", "numpy"]
#: Of any number of contributions, on task vectors and on models.
METHODS = {"model_stock": ma.ModelStock(), "multislerp": ma.MultiSlerp(), "karcher": ma.Karcher()}
#: Tensors that have elements.
TENSORS = len(FLOATS) - 1
#: In turns, the number of a fine-tune and its coefficient: it comes, or goes if it is there.
TURNS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["1", "0.5"])), min_size=2, max_size=7)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a base and six fine-tunes."""
    root = tmp_path_factory.mktemp("models")
    write_models(root, 6)
    return root


@pytest.fixture
def alice(models, tmp_path):
    """A workspace with four contributions, of which the dot products are kept."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    workspace = make_workspace(tmp_path, "alice", 0, 1, 2, 3, recipe=METHODS["model_stock"])
    assert found(workspace) == 10 * TENSORS
    return workspace


@pytest.fixture(scope="module", autouse=True)
def _counted():
    """Count the dot products that are found."""
    with pytest.MonkeyPatch.context() as patch:
        real = weights.fold
        patch.setattr(weights, "fold", lambda sums: COUNT.append(1) or real(sums))
        yield


COUNT: list[int] = []


def folder_of(workspace):
    return workspace.path / "cache" / "dots"


def file_of(workspace):
    """The only entry."""
    (path,) = folder_of(workspace).iterdir()
    return path


def resolved(workspace, **how):
    """What a resolve writes, and how many dot products it found."""
    out = workspace.path.parent / "out"
    COUNT.clear()
    workspace.resolve(out, **how)
    model = tree(out)
    shutil.rmtree(out)
    return model, len(COUNT)


def found(workspace, **how):
    """How many dot products a resolve finds, which gives what a merge in full gives and finds all."""
    kept = tree(folder_of(workspace)) if folder_of(workspace).exists() else {}
    shutil.rmtree(folder_of(workspace), ignore_errors=True)
    in_full, _ = resolved(workspace, **how)
    shutil.rmtree(folder_of(workspace), ignore_errors=True)
    for name, data in kept.items():
        folder_of(workspace).mkdir(exist_ok=True)
        (folder_of(workspace) / name).write_bytes(data)
    by_cache, count = resolved(workspace, **how)
    assert by_cache == in_full
    return count


# What is found anew


def test_what_stays_and_what_goes_is_known_and_what_comes_is_a_row(alice):
    assert found(alice) == 0
    gone = alice.retract(min(alice.visible()))
    assert gone is not None
    assert found(alice) == 0
    alice.contribute(alice.path.parent / "ft4.safetensors")
    assert found(alice) == 4 * TENSORS
    assert found(alice) == 0


def test_what_comes_back_before_another_came_is_known(alice):
    alice.retract(min(alice.visible()))
    found(alice)
    for number in range(4):
        alice.contribute(alice.path.parent / f"ft{number}.safetensors")
    assert found(alice) == 0


def test_another_coefficient_changes_no_dot_product(alice):
    alice.contribute(alice.path.parent / "ft0.safetensors", "0.5")
    assert len(alice.visible()) == 5
    assert found(alice) == 0


def test_methods_on_task_vectors_have_one_set_and_those_on_models_another(alice):
    assert found(alice, recipe=METHODS["multislerp"]) == 0
    assert found(alice, recipe=METHODS["karcher"]) == 10 * TENSORS
    assert found(alice, recipe=ma.Karcher(max_iter="3")) == 0
    assert len(list(folder_of(alice).iterdir())) == 2


@pytest.mark.clause("ST-4")
def test_where_a_coefficient_is_0_the_dot_products_are_not_known(alice):
    shutil.rmtree(folder_of(alice))
    rule = {"tensors": "layer.*", "coefficient": "0"}
    assert found(alice, recipe=ma.ModelStock(settings=[rule])) == 10 * (TENSORS - 2)
    assert found(alice) == 10 * 2


@pytest.mark.parametrize("recipe", [ma.Slerp(), ma.NuSlerp()], ids=lambda recipe: recipe.name)
def test_of_two_there_is_a_row_for_the_other(alice, recipe):
    root = alice.path.parent
    pair = make_workspace(root, "pair", 0, 1, recipe=recipe)
    assert found(pair) == 3 * TENSORS
    pair.retract(min(pair.visible()))
    pair.contribute(root / "ft2.safetensors")
    assert found(pair) == 2 * TENSORS


def test_a_tensor_that_few_hold_has_few(alice):
    root = alice.path.parent
    write_file(root / "few.safetensors", {"layer.0.bias": np.float32([1, 2, 3, 4])})
    alice.contribute(root / "few.safetensors", form="task_vector")
    assert found(alice) == 5
    assert found(alice) == 0


@settings(max_examples=25)
@given(turns=TURNS, recipe=st.sampled_from(sorted(METHODS)), backend=st.sampled_from(KERNELS))
def test_any_history_gives_what_a_merge_in_full_gives(models, tmp_path_factory, turns, recipe, backend):
    root = tmp_path_factory.mktemp("history")
    workspace = ma.Workspace.init(root / "workspace", base=models / "base", recipe=METHODS[recipe])
    for number, coefficient in turns:
        before = set(workspace.visible())
        id_ = workspace.contribute(models / f"ft{number}.safetensors", coefficient)
        if id_ in before:
            workspace.retract(id_)
        if workspace.visible():
            event(f"found: {found(workspace, backend=backend)}")
    shutil.rmtree(root)


@pytest.mark.clause("DT-2", "DT-3", "MG-8")
@pytest.mark.parametrize("backend", KERNELS)
def test_a_row_of_several_spans_has_the_bits_of_all_pairs(tmp_path, backend):
    """Of numbers whose sums depend on the order: more than a span of elements, and chunks that are not full."""
    random = np.random.default_rng(1)
    start = {"w": random.normal(size=(1 << 20) + 4097).astype(np.float32)}
    write_file(tmp_path / "base.safetensors", start)
    workspace = ma.Workspace.init(tmp_path / "workspace", base=tmp_path / "base.safetensors", recipe=ma.Karcher())
    for number in range(4):
        moves = random.normal(size=start["w"].size).astype(np.float32)
        workspace.contribute(write_file(tmp_path / f"ft{number}.safetensors", {"w": start["w"] + moves}))
        assert found(workspace, backend=backend) == number + 1


# Nothing in the cache is trusted


def _lies(data):
    """The body of an entry in which all dot products are 1."""
    value = decode(data[HEADER_BYTES:])
    ones = {name: np.ones(len(dots) // 8).tobytes() for name, dots in value["dots"].items()}
    return encode({**value, "dots": ones})


FORGED = {
    "a bit of a number flipped": lambda data, path: data[:-1] + bytes([data[-1] ^ 1]),
    "a bit of the seal flipped": lambda data, path: bytes([data[0] ^ 1]) + data[1:],
    "cut": lambda data, path: data[:-9],
    "empty": lambda data, path: b"",
    "too long": lambda data, path: data + bytes(cache.MOST_BYTES),
    "other numbers behind the seal": lambda data, path: data[:HEADER_BYTES] + _lies(data),
    "sealed by another key": lambda data, path: (
        Seal(b"x" * KEY_BYTES).of_entry(encode(["cache/dots", path.name]) + _lies(data)) + _lies(data)
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_damaged_or_forged_counts_as_missing(alice, how):
    path = file_of(alice)
    path.write_bytes(FORGED[how](path.read_bytes(), path))
    assert found(alice) == 10 * TENSORS
    assert found(alice) == 0


def test_one_entry_is_not_another(alice):
    """Those on models in place of those on task vectors; those of another workspace; figures of a contribution."""
    name, honest = file_of(alice).name, file_of(alice).read_bytes()
    found(alice, recipe=METHODS["karcher"])
    (other,) = (path for path in folder_of(alice).iterdir() if path.name != name)
    bob = make_workspace(alice.path.parent, "bob", 0, 1, 2, 3, recipe=METHODS["model_stock"])
    found(bob)
    assert file_of(bob).name == name
    figures = min((alice.path / "cache" / "figures").iterdir())
    for data in (other.read_bytes(), file_of(bob).read_bytes(), figures.read_bytes()):
        assert data != honest
        (folder_of(alice) / name).write_bytes(data)
        assert found(alice) == 10 * TENSORS


def test_an_older_entry_lacks_rows_and_does_no_harm(alice):
    path, before = file_of(alice), file_of(alice).read_bytes()
    alice.retract(min(alice.visible()))
    alice.contribute(alice.path.parent / "ft4.safetensors")
    alice.contribute(alice.path.parent / "ft5.safetensors")
    found(alice)
    path.write_bytes(before)
    assert found(alice) == (4 + 5) * TENSORS


def test_what_would_be_too_long_is_not_kept(alice, monkeypatch):
    monkeypatch.setattr(cache, "MOST_BYTES", file_of(alice).stat().st_size - 1)
    shutil.rmtree(folder_of(alice))
    assert [found(alice), found(alice)] == [10 * TENSORS] * 2
    assert not folder_of(alice).exists()


def test_a_blob_that_changed_is_named_and_nothing_is_written(alice):
    """What is known of its dot products is of the tensors that its id stands for."""
    entry, blob = file_of(alice).read_bytes(), max((alice.path / "blobs").iterdir())
    data = bytearray(blob.read_bytes())
    data[-2] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(data)
    with pytest.raises(BlobDamaged):
        alice.resolve(alice.path.parent / "out")
    assert not (alice.path.parent / "out").exists()
    assert file_of(alice).read_bytes() == entry


def test_a_merge_that_fails_keeps_nothing(alice, monkeypatch):
    shutil.rmtree(folder_of(alice))
    monkeypatch.setattr(weights, "weighed", lambda *_: (_ for _ in ()).throw(MethodError("no")))
    with pytest.raises(MethodError):
        alice.resolve(alice.path.parent / "out")
    assert not folder_of(alice).exists()


# What others say of them


@pytest.mark.clause("SY-11")
def test_fsck_names_what_cannot_be_read(alice):
    assert inspect(alice.path).ok
    path = file_of(alice)
    path.write_bytes(path.read_bytes()[:-3])
    assert [str(path) in line for line in inspect(alice.path).damaged] == [True]


@pytest.mark.clause("EX-8")
def test_sums_are_not_kept_and_the_reason_is_said(alice):
    said = alice.resolve(alice.path.parent / "out", keep_aggregate="always").aggregate
    assert said.problem == (
        "the coefficients of model_stock follow from all contributions, which are read again for their sum; their dot "
        "products are kept without it"
    )
