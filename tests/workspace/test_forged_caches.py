"""Whatever somebody writes into the cache of a workspace, its merges stay what they are without it [SY-9].

The adversary may read all of the workspace but its key, knows this program, and writes whatever he likes to `cache`.
"""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import suppress
from itertools import permutations
from random import Random

import pytest

import mergealgebra as ma
from mergealgebra.crdt.operations import Attest
from mergealgebra.encoding import decode, encode
from mergealgebra.errors import OutputError
from mergealgebra.incremental import keeper, pages
from mergealgebra.incremental.folder import HEADER
from mergealgebra.incremental.outcome import Outcome
from mergealgebra.incremental.pages import RECORD
from mergealgebra.incremental.seals import HEADER_BYTES, KEY_BYTES, Seal
from mergealgebra.resolution import aggregate_home
from mergealgebra.store.answers import KeptAnswers
from mergealgebra.store.private import KEY
from tests.cli.commands import tree
from tests.workspace.replicas import write_models

THEIRS = Seal(b"x" * KEY_BYTES)


@pytest.fixture
def alice(tmp_path, monkeypatch):
    """A workspace with three contributions in its aggregate, and one that came later. Pages have eight elements."""
    for module in (pages, keeper):
        monkeypatch.setattr(module, "PAGE", 8)
    write_models(tmp_path, 6)
    workspace = ma.Workspace.init(tmp_path / "alice", base=tmp_path / "base", recipe=ma.Ties(density="0.5"))
    for number in range(3):
        workspace.contribute(tmp_path / f"ft{number}.safetensors")
    assert kept(workspace) == Outcome("", None)
    workspace.contribute(tmp_path / "ft3.safetensors")
    return workspace


def kept(workspace):
    """Resolve by the cache; returns what became of the aggregate.

    It must give the model and lock of a merge in full, and attest to nothing else.
    """
    by_cache, in_full = (workspace.path.parent / name for name in ("by cache", "in full"))
    result = workspace.resolve(by_cache, keep_aggregate="always")
    in_full = resolved_in_full(workspace, in_full)
    assert tree(by_cache) == in_full
    shutil.rmtree(by_cache)
    attests = [item.payload for item in workspace.state.operations if isinstance(item.payload, Attest)]
    assert {made.model_root for made in attests if made.merge_id == result.merge_id} == {result.model_root}
    return result.aggregate


def resolved_in_full(workspace, out):
    """What a resolve without any cache leaves behind."""
    cache, aside = workspace.path / "cache", workspace.path / "cache aside"
    cache.rename(aside)
    workspace.resolve(out)
    found = tree(out)
    for folder in (out, cache):
        shutil.rmtree(folder)
    aside.rename(cache)
    return found


def folder_of(workspace):
    """Where a workspace keeps its aggregate."""
    return workspace.path / "cache" / "aggregate"


def body_of(workspace):
    """What the header of its aggregate says, which is no secret."""
    return decode((folder_of(workspace) / HEADER).read_bytes()[HEADER_BYTES:], max_bytes=1 << 20)


def pages_of(workspace):
    """The file of its pages."""
    return folder_of(workspace) / f"{body_of(workspace)['token']}.bin"


# Headers


def _exchanged(workspace, body):
    """What is visible now, in place of what was visible when the sums were made."""
    manifests = [manifest.to_map() for manifest in workspace.visible().values()]
    (new,) = [manifest for manifest in manifests if manifest not in [entry[0] for entry in body["contributions"]]]
    (_, *rest), *others = body["contributions"]
    return {"contributions": [[new, *rest], *others]}


def _turned(workspace, body):
    """Each contribution has the thresholds and counts of the next."""
    (_, *first), *_ = entries = body["contributions"]
    rest = [*(entry[1:] for entry in entries[1:]), first]
    return {"contributions": [[entry[0], *others] for entry, others in zip(entries, rest, strict=True)]}


def _each_page(workspace, body, change):
    """The table of pages, changed, and the pages with it."""
    table = [body["pages"][i : i + RECORD] for i in range(0, len(body["pages"]), RECORD)]
    return {"pages": b"".join(change(record) for record in table)}


HEADERS = {
    "a contribution exchanged": _exchanged,
    "thresholds and counts exchanged": _turned,
    "a contribution more": lambda w, body: {
        "contributions": [*body["contributions"], *_exchanged(w, body)["contributions"][:1]]
    },
    "a contribution less": lambda w, body: {"contributions": body["contributions"][1:]},
    "one twice": lambda w, body: {"contributions": [body["contributions"][0], *body["contributions"]]},
    "more kept": lambda w, body: {"contributions": [[m, k + 1, t] for m, k, t in body["contributions"]]},
    "thresholds of everything": lambda w, body: {
        "contributions": [[m, k, encode([[1]])] for m, k, _ in body["contributions"]]
    },
    "the recipe": lambda w, body: {"recipe": "ab" * 32},
    "the least grid": lambda w, body: {"least": body["least"] + 1},
    "the file of pages": lambda w, body: {"token": "0" * 16},
    "the votes": lambda w, body: {"votes": "float64"},
    "the tensors": lambda w, body: {"tensors": [[name + "x", *rest] for name, *rest in body["tensors"]]},
    "the format": lambda w, body: {"format": 1},
    "the seals of pages": lambda w, body: _each_page(w, body, lambda record: record[16:] + record[:16]),
    "no inputs": lambda w, body: _each_page(w, body, lambda record: record[:16] + bytes(16)),
}


#: Whoever has no key can copy a seal, or make one by a key of his own.
SEALS = {
    "the seal of the old one": lambda old, data: old,
    "a seal of his own": lambda old, data: THEIRS.of_header(data),
}


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("what", HEADERS)
def test_a_header_that_somebody_changed_is_none(alice, what, seal):
    path, body = folder_of(alice) / HEADER, body_of(alice)
    changed = body | HEADERS[what](alice, body)
    assert changed != body
    path.write_bytes(SEALS[seal](path.read_bytes()[:HEADER_BYTES], encode(changed)) + encode(changed))
    assert kept(alice).changes is None


def restore(folder, files):
    """Make a folder what it was."""
    shutil.rmtree(folder)
    for name, data in files.items():
        if data != "folder":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


@pytest.mark.clause("SY-9")
def test_a_header_cut_short_is_none(alice):
    whole, cache = (folder_of(alice) / HEADER).read_bytes(), tree(alice.path / "cache")
    for size in (0, 1, HEADER_BYTES, len(whole) - 1):
        (folder_of(alice) / HEADER).write_bytes(whole[:size])
        assert kept(alice).changes is None
        restore(alice.path / "cache", cache)
    assert kept(alice).changes == 1


# Pages, and all that is old


@pytest.mark.clause("SY-9")
def test_pages_in_each_others_places_are_damage(alice):
    """Two pages of one tensor, of equal size: their bytes were written here, only not there."""
    path, cache = pages_of(alice), tree(alice.path / "cache")
    data, element = path.read_bytes(), 21
    start = next(at for at, size in _tensors(body_of(alice)) if size >= 16) * element
    page = 8 * element
    first, second = data[start : start + page], data[start + page : start + 2 * page]
    assert first != second
    path.write_bytes(data[:start] + second + first + data[start + 2 * page :])
    assert kept(alice).changes is None
    restore(alice.path / "cache", cache)
    assert kept(alice).changes == 1


def _tensors(body):
    """The first element and the size of each tensor."""
    at = 0
    for _, size, *_ in body["tensors"]:
        yield at, size
        at += size


@pytest.fixture
def history(alice):
    """What her cache was at some times, the last of which is now, with the contributions visible at each."""
    root, moments = alice.path.parent, []
    for step in ("add 4", "retract", "add 5 at 0.5", "retract"):
        assert kept(alice).changes == 1
        moments.append((tree(folder_of(alice)), sorted(alice.visible())))
        if step == "retract":
            alice.retract(next(iter(alice.visible())))
        else:
            _, number, *coefficient = step.replace("at ", "").split()
            alice.contribute(root / f"ft{number}.safetensors", *coefficient)
    return moments


@pytest.mark.clause("SY-9")
def test_an_older_aggregate_is_brought_up_to_date(alice, history):
    for files, visible in history:
        restore(folder_of(alice), files)
        apart = set(visible) ^ set(alice.visible())
        assert kept(alice).changes == (len(apart) if len(apart) < len(alice.visible()) else None)


@pytest.mark.clause("SY-9")
def test_the_pages_of_one_time_do_not_go_with_the_header_of_another(alice, history):
    for (header, _), (other, _) in permutations(history, 2):
        restore(folder_of(alice), header)
        (theirs,) = [data for name, data in other.items() if name.endswith(".bin")]
        pages_of(alice).write_bytes(theirs)
        assert kept(alice).changes is None


@pytest.mark.clause("SY-9")
def test_the_pages_of_one_time_do_not_go_with_the_seals_of_another(alice, history):
    """The body of each header behind the seal of another."""
    for (header, _), (other, _) in permutations(history, 2):
        restore(folder_of(alice), header | {HEADER: other[HEADER][:HEADER_BYTES] + header[HEADER][HEADER_BYTES:]})
        assert kept(alice).changes is None


# Thresholds


@pytest.mark.clause("SY-9", "TI-3")
def test_thresholds_are_proved_by_the_update_that_uses_them(alice):
    """Of the contribution that comes and of the one that goes: those of others, and random ones."""
    alice.resolve(alice.path.parent / "known")
    inside = [manifest for manifest, *_ in body_of(alice)["contributions"]]
    alice.retract(next(id_ for id_, manifest in alice.visible().items() if manifest.to_map() in inside))
    cache, random = tree(alice.path / "cache"), Random(1)
    thresholds = {name: data for name, data in cache.items() if name.startswith("thresholds/")}
    others = [*sorted(set(thresholds.values())), *(encode([[random.randrange(1, 1 << 31)]]) for _ in range(8))]
    assert len(thresholds) == 4
    used = []
    for other in others:
        restore(alice.path / "cache", cache | dict.fromkeys(thresholds, other))
        used.append(kept(alice).changes)
    assert used.count(2) <= 2  # two of them have one threshold
    assert set(used[-8:]) == {None}
    restore(alice.path / "cache", cache)
    assert kept(alice) == Outcome("", 2)


# Keys


def _spoilt_keys():
    return {
        "gone": lambda path: path.unlink(),
        "of a byte less": lambda path: os.truncate(path, KEY_BYTES - 1),
        "of a byte more": lambda path: os.truncate(path, KEY_BYTES + 1),
        "readable by others": lambda path: path.chmod(0o604),
        "written by the group": lambda path: path.chmod(0o620),
        "of somebody else": lambda path: os.chown(path, 12345, -1),
        "a link": lambda path: path.symlink_to(path.rename(path.with_name("old key"))),
        "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    }


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("what", _spoilt_keys())
def test_a_key_that_is_not_private_is_replaced(alice, what):
    path = alice.path / KEY
    before = path.read_bytes()
    if what == "of somebody else" and os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    _spoilt_keys()[what](path)
    assert kept(alice) == Outcome("", None)
    told = path.lstat()
    assert (told.st_mode, told.st_size, told.st_uid) == (0o100600, KEY_BYTES, os.geteuid())
    assert path.read_bytes() != before
    if what == "a link":
        assert (alice.path / "old key").read_bytes() == before
    assert kept(alice) == Outcome("", 0)


@pytest.mark.clause("SY-9")
def test_no_two_workspaces_have_one_key(alice):
    bob = ma.Workspace.init(alice.path.parent / "bob", base=alice.base, recipe=alice.recipe)
    assert bob.store.genesis.workspace_id == alice.store.genesis.workspace_id
    bob.sync(alice.path)
    kept(bob)
    assert (bob.path / KEY).read_bytes() != (alice.path / KEY).read_bytes()


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_key_is_private_from_its_creation(alice, monkeypatch, umask):
    """Of another umask, even one that would let its owner read nothing, it is private or not at all."""
    modes, real = [], os.write

    def write(descriptor, data):
        modes.append(os.fstat(descriptor).st_mode & 0o777) if len(data) == KEY_BYTES else None
        return real(descriptor, data)

    (alice.path / KEY).unlink()
    monkeypatch.setattr(os, "write", write)
    before = os.umask(umask)
    try:
        with suppress(OutputError):
            aggregate_home(alice.store).key()
    finally:
        os.umask(before)
    assert modes == [0o600 & ~umask]


# Special files, and links


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # the name of a socket is short
        made.bind(path.name)


def _device(path):
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        pytest.skip("only root may make devices")


SPECIAL = {
    "a pipe": _pipe,
    "a socket": _socket,
    "a device": _device,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a folder": lambda path: path.mkdir(),
}
FILES = {
    "the header": lambda w: folder_of(w) / HEADER,
    "the pages": pages_of,
    "thresholds": lambda w: min((w.path / "cache" / "thresholds").iterdir()),
    "the key": lambda w: w.path / KEY,
    "the aggregate": folder_of,
    "all thresholds": lambda w: w.path / "cache" / "thresholds",
    "the cache": lambda w: w.path / "cache",
}


def _removed(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.clause("SY-9")
@pytest.mark.timeout(30)
@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("file", FILES)
def test_what_is_no_file_is_as_if_it_was_not_there(alice, file, special):
    expected = alice.resolve(alice.path.parent / "in full").lock
    path = FILES[file](alice)
    _removed(path)
    SPECIAL[special](path)
    result = alice.resolve(alice.path.parent / "by cache", keep_aggregate="always")
    assert result.lock == expected
    if file in ("the aggregate", "the cache") and special != "a folder":
        assert f"{path.name} in the workspace cannot be used: " in result.aggregate.problem
    elif special != "a folder":
        assert result.aggregate.problem == ""


@pytest.fixture
def outside(tmp_path):
    """Somebody's folder, with files whose names are those of a cache, as old as they may be."""
    folder = tmp_path / "outside"
    for name in ("0123456789abcdef.bin", "0123456789abcdef.new", HEADER, "1-2.part"):
        for path in (folder / name, folder / "aggregate" / name, folder / "thresholds" / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"theirs")
            os.utime(path, (0, 0))
    return folder


@pytest.mark.clause("SY-9")
@pytest.mark.parametrize("name", ["cache", "cache/aggregate", "cache/thresholds", "tmp"])
def test_no_link_leads_out_of_the_workspace(alice, outside, name):
    before, path = tree(outside), alice.path / name
    (alice.path / KEY).unlink()
    shutil.rmtree(path)
    path.symlink_to(outside, target_is_directory=True)
    if name == "tmp":
        with pytest.raises(OutputError, match="it is a link, not a folder"):
            aggregate_home(alice.store).key()
        for entry in list(KeptAnswers(alice.path)):
            del KeptAnswers(alice.path)[entry]
        KeptAnswers(alice.path)["x"] = b"y"
        assert "x" not in KeptAnswers(alice.path)
    else:
        result = alice.resolve(alice.path.parent / "kept", keep_aggregate="always")
        refused = name != "cache/thresholds"
        assert (
            "in the workspace cannot be used: it is a link, not a folder; delete it" in result.aggregate.problem
        ) == refused
        del KeptAnswers(alice.path)[HEADER]
        assert refused or list(KeptAnswers(alice.path)) == []
    assert tree(outside) == before
    assert path.is_symlink()
