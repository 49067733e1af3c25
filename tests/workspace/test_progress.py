"""Whoever works long tells how much is done, of a total that was known when the work began [CL-4]."""

from __future__ import annotations

import itertools

import pytest

import mergealgebra as ma
from mergealgebra.fsck import inspect
from tests.workspace.replicas import RECIPE

#: Elements of the base that are floats, bytes of all its tensors, and of a contribution's file.
ELEMENTS, BASE, BLOB = 81, 4 * 81 + 3 + 8 * 16, 708


def _share(root, alice):
    """A share that has what alice has, all of it."""
    alice.sync(root / "share", create=True)
    return root / "share"


def _damaged(root, alice):
    """The same, but one of its blobs is a byte shorter."""
    first, *_ = sorted((_share(root, alice) / "blobs").iterdir())
    first.write_bytes(first.read_bytes()[:-1])
    return root / "share"


def _refused(root, alice):
    """A share whose two blobs are no blobs at all."""
    for path in (_share(root, alice) / "blobs").iterdir():
        path.write_bytes(bytes(path.stat().st_size))
    return root / "share"


def _clone(root, peer, show):
    with pytest.raises(ma.MergeAlgebraError):
        ma.Workspace.clone(peer, root / "bob", base=root / "base", progress=show)


#: What is done with a folder, alice's workspace and a progress; and each step that is told, with its total.
WORK = {
    "init": (
        lambda root, alice, show: ma.Workspace.init(root / "new", base=root / "base", recipe=RECIPE, progress=show),
        {"reading the base": BASE},
    ),
    "a share": (
        lambda root, alice, show: ma.Workspace.init_share(
            root / "new", base=root / "base", recipe=RECIPE, progress=show
        ),
        {"reading the base": BASE},
    ),
    "set_base": (
        lambda root, alice, show: alice.set_base(root / "base", progress=show),
        {"reading the base": BASE},
    ),
    "contribute": (
        lambda root, alice, show: alice.contribute(root / "ft2.safetensors", progress=show),
        {"reading the base": BASE, "check": ELEMENTS, "writing the contribution": BLOB},
    ),
    "sync that gives": (
        lambda root, alice, show: alice.sync(root / "share", create=True, progress=show),
        {"copying blobs": 2 * BLOB},
    ),
    "sync that has nothing to do": (lambda root, alice, show: alice.sync(_share(root, alice), progress=show), {}),
    "sync that mends": (
        lambda root, alice, show: alice.sync(_damaged(root, alice), progress=show),
        {"copying blobs": 2 * BLOB - 1},
    ),
    "clone": (
        lambda root, alice, show: ma.Workspace.clone(
            _share(root, alice), root / "bob", base=root / "base", progress=show
        ),
        {"reading the base": BASE, "copying blobs": 2 * BLOB},
    ),
    "clone of what is refused": (
        lambda root, alice, show: _clone(root, _refused(root, alice), show),
        {"reading the base": BASE, "copying blobs": 2 * BLOB},
    ),
    "fsck": (
        lambda root, alice, show: inspect(root / "alice", progress=show),
        {"checking blobs": 2 * BLOB},
    ),
    "fsck of what is damaged": (
        lambda root, alice, show: inspect(_refused(root, alice), progress=show),
        {"checking blobs": 2 * BLOB},
    ),
    "verify": (
        lambda root, alice, show: (alice.resolve(root / "out"), ma.verify(root / "out", progress=show)),
        {"reading the model": BASE},
    ),
}


@pytest.mark.clause("CL-4")
@pytest.mark.parametrize(("work", "expected"), WORK.values(), ids=WORK)
def test_every_step_ends_at_the_total_with_which_it_began(work, expected, root, alice):
    told: list[tuple[str, int, int]] = []
    work(root, alice, lambda *step: told.append(step))
    steps = {name: list(group) for name, group in itertools.groupby(told, key=lambda step: step[0])}
    assert {name: group[-1][1:] for name, group in steps.items()} == {name: (n, n) for name, n in expected.items()}
    for group in steps.values():
        assert group == sorted(group)
        assert len({total for _, _, total in group}) == 1


def test_a_blob_is_told_of_piece_by_piece(alice):
    told: list[int] = []
    alice.store.check_blob(alice.store.blob_roots()[0], more=told.append)
    assert sum(told) == BLOB
    assert len(told) > 1
