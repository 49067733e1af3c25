"""What was measured of contributions is kept in the cache, and believed only under our seal."""

from __future__ import annotations

import shutil

import pytest

import mergealgebra as ma
from mergealgebra.encoding import encode
from mergealgebra.figures import save_figures, saved_figures
from mergealgebra.fsck import inspect
from mergealgebra.incremental.seals import Seal
from tests.cli.commands import call, tree


def told(root, who="alice"):
    """The figures that `status` tells, by contribution."""
    visible = call(root, "-C", who, "status", "--json").printed()["visible"]
    return {entry["contribution"]: (entry["difference"], entry["changed"]) for entry in visible}


UNKNOWN = {(None, None)}


@pytest.mark.clause("SY-9", "CT-11")
class TestFigures:
    def test_of_what_was_contributed_here_are_told_without_a_tensor(self, root, alice):
        made = alice.contribute(root / "ft2.safetensors")
        for blob in (alice.path / "blobs").iterdir():
            blob.write_bytes(b"")
        shutil.rmtree(root / "base")
        figures = made.measure.to_map()
        assert told(root)[made] == (figures["difference"], figures["changed"])
        assert UNKNOWN.isdisjoint(told(root).values())

    def test_of_what_came_from_others_are_unknown_until_show_measures_them(self, root, alice):
        bob = ma.Workspace.clone(root / "alice", root / "bob", base=root / "base")
        assert set(told(root, "bob").values()) == UNKNOWN
        for id_ in bob.visible():
            bob.show(id_)
        assert told(root, "bob") == told(root)

    def test_are_not_there_when_the_cache_or_its_key_is_gone(self, root, alice):
        shutil.rmtree(alice.path / "cache")
        assert set(told(root).values()) == UNKNOWN
        alice.show(min(alice.visible()))
        (alice.path / "cache.key").unlink()
        before = tree(alice.path)
        assert set(told(root).values()) == UNKNOWN
        assert tree(alice.path) == before

    @pytest.mark.parametrize("how", ["sealed by others", "without a seal", "empty", "too long", "a folder", "a link"])
    def test_that_others_wrote_are_not_told(self, how, root, alice):
        id_ = min(alice.visible())
        path = alice.path / "cache" / "figures" / id_
        honest = path.read_bytes()
        body = encode({"contribution": id_, "figures": {"difference": "0", "changed": "0"}})
        path.unlink()
        match how:
            case "sealed by others":
                path.write_bytes(Seal(b"x" * 32).of_entry(body) + body)
            case "without a seal":
                path.write_bytes(body)
            case "empty":
                path.write_bytes(b"")
            case "too long":
                path.write_bytes(honest + bytes(5000))
            case "a folder":
                path.mkdir()
            case "a link":
                (root / "elsewhere").write_bytes(honest)
                path.symlink_to(root / "elsewhere")
        assert told(root)[id_] == (None, None)

    def test_of_one_contribution_are_not_those_of_another(self, root, alice):
        first, second = alice.visible()
        folder = alice.path / "cache" / "figures"
        shutil.copy(folder / first, folder / second)
        assert told(root)[second] == (None, None)

    def test_are_known_to_fsck(self, root, alice):
        path = alice.path / "cache" / "figures" / min(alice.visible())
        assert inspect(alice.path).ok
        path.write_bytes(path.read_bytes()[:-3])
        assert [str(path) in line for line in inspect(alice.path).damaged] == [True]

    def test_never_leave_with_a_sync(self, root, alice):
        alice.sync(root / "share", create=True)
        assert not (root / "share" / "cache").exists()

    def test_that_cannot_be_kept_are_not(self, root, alice):
        shutil.rmtree(alice.path / "cache")
        (alice.path / "cache").write_bytes(b"")
        save_figures(alice.path, min(alice.visible()), {"difference": "1", "changed": "1"})
        assert saved_figures(alice.path, alice.visible()) == {}
