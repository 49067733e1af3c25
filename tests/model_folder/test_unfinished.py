"""A model is written beside files of others: whatever they move there meanwhile, nothing else is touched."""

from __future__ import annotations

import os

import pytest

import mergealgebra as ma
from mergealgebra.errors import OutputError
from mergealgebra.model_folder import output
from mergealgebra.model_folder.leftovers import unfinished_in
from mergealgebra.model_folder.unfinished import token_of
from tests.cli.commands import tree
from tests.engine.scenes import merged

pytestmark = pytest.mark.clause("LK-7")


@pytest.fixture
def ours(tmp_path):
    """Another folder of ours, with a model in it."""
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"years of work")
    return folder


def _link(path, ours):
    path.symlink_to(ours)


def _folder(path, ours):
    ours.rename(path)


EXCHANGES = {"a link to a folder of ours": _link, "a folder of ours": _folder, "nothing": lambda path, ours: None}


def _contents(root):
    """What is in the other folder of ours, wherever it is now."""
    (found,) = (path.parent for path in root.rglob("model.safetensors") if path.read_bytes() == b"years of work")
    return tree(found)


def _unfinished(root):
    (found,) = root.glob(".out.*.unfinished")
    return found


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
@pytest.mark.parametrize("fails", [False, True])
def test_what_is_put_in_its_place_is_neither_written_nor_removed(tmp_path, monkeypatch, ours, exchange, fails):
    before, real = tree(ours), output.write_tensors

    def write(folder, *rest):
        found = _unfinished(tmp_path)
        found.rename(tmp_path / "away")
        exchange(found, ours)
        if fails:
            raise OSError(28, "No space left on device")
        real(folder, *rest)

    monkeypatch.setattr(output, "write_tensors", write)
    with pytest.raises(OutputError):
        merged(tmp_path)
    assert _contents(tmp_path) == before
    assert not fails or list((tmp_path / "away").iterdir()) == []


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
def test_what_is_put_in_its_place_before_it_is_opened_is_not_taken_for_it(tmp_path, monkeypatch, ours, exchange):
    before, real = tree(ours), os.mkdir

    def mkdir(name, *rest, **named):
        real(name, *rest, **named)
        if str(name).endswith(".unfinished"):
            found = _unfinished(tmp_path)
            found.rename(tmp_path / "away")
            exchange(found, ours)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OutputError):
        merged(tmp_path)
    assert _contents(tmp_path) == before


def test_an_interrupt_right_after_the_rename_leaves_the_model(tmp_path, monkeypatch):
    real = os.replace

    def replace(*names, **folders):
        real(*names, **folders)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        merged(tmp_path)
    assert ma.verify(tmp_path / "out").ok


def test_a_finished_model_under_its_name_is_no_leftover(tmp_path):
    """Whoever may write beside it can rename it, and `gc` would then do what he may not."""
    merged(tmp_path)
    (tmp_path / "out").rename(tmp_path / ".out.0123456789abcdef.unfinished")
    assert unfinished_in(tmp_path) == []


def test_no_model_is_called_as_they_are(tmp_path):
    with pytest.raises(OutputError, match="has a name that only unfinished models have; choose another name"):
        merged(tmp_path, out=".x.0123456789abcdef.unfinished")


@pytest.mark.parametrize("name", [b"\xff" * 220, b"a" + b"\xff" * 250, "\U0001f600".encode() * 60 + b"\xff" * 9])
def test_it_has_a_name_whatever_the_model_is_called(tmp_path, monkeypatch, name):
    made, real = [], os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path, *rest, **named: (made.append(path), real(path, *rest, **named)))
    merged(tmp_path, out=os.fsdecode(name))
    assert token_of(made[-1]) is not None
    assert ma.verify(tmp_path / os.fsdecode(name)).ok
