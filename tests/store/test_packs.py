"""Stores that hold packs: what is kept of them, when they are written, when files go, and that nothing is lost."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import time
from contextlib import suppress

import pytest

from mergealgebra.crdt.operations import Attest, Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.crdt.packs import BRANCH, Pack
from mergealgebra.encoding import hash_id
from mergealgebra.errors import MergeAlgebraError, OperationError, PackError, WrongWorkspace
from mergealgebra.store import packing
from mergealgebra.store.local import write_local
from mergealgebra.store.objects import Store
from mergealgebra.store.operation_store import OperationStore
from mergealgebra.store.private import KEY
from tests.crash import fault_points, kill_points
from tests.crdt.strategies import GENESIS, MANIFESTS, OTHER_GENESIS, WORKSPACE, nonce
from tests.store.stores import files_of, names_in

DAY = 24 * 60 * 60


def attest(number: int) -> Operation:
    return Operation(WORKSPACE, Attest(f"{number:064x}", "0" * 64))


def pack_of(*numbers: int, replaces: tuple[str, ...] = ()) -> Pack:
    return Pack.of([attest(number).encode() for number in numbers], replaces)


@pytest.fixture
def store(tmp_path):
    """A replica in which nothing is yet."""
    return replica(tmp_path / "alice")


def replica(path):
    store = Store.create(path, GENESIS)
    write_local(store, path.parent / "base")
    return store


def put(store, *numbers):
    for number in numbers:
        store.write_operation(attest(number))


def count(store):
    """How many operations a store holds, read by a process that knows nothing of it."""
    return len(Store.open(store.path).state().operations)


def age(folder, seconds=2 * DAY):
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def decoded(monkeypatch):
    """The ids of the operations that were decoded."""
    found, real = [], Operation.decode.__func__

    def decode(cls, data, workspace):
        made = real(cls, data, workspace)
        found.append(made.id)
        return made

    monkeypatch.setattr(Operation, "decode", classmethod(decode))
    return found


@pytest.mark.clause("PK-2", "SY-1")
class TestReading:
    def test_operations_lie_in_packs_and_in_files_of_their_own(self, store):
        put(store, 0, 1)
        store.write_pack(pack_of(1, 2))
        store.write_pack(pack_of(2, 3))
        assert count(store) == 4
        assert store.operation_ids() == tuple(sorted(attest(number).id for number in range(4)))
        assert store.read_operation(attest(3).id) == attest(3)

    def test_a_share_holds_packs_too(self, tmp_path):
        share = Store.create(tmp_path / "share", GENESIS)
        share.write_pack(pack_of(1, 2))
        assert count(share) == 2
        assert not (share.path / "cache").exists()

    def test_packs_alone_make_a_store_that_lost_its_genesis(self, store):
        store.write_pack(pack_of(1))
        (store.path / "genesis").unlink()
        with pytest.raises(Exception, match="was a workspace, and has no file `genesis` now"):
            Store.create(store.path, GENESIS)

    @pytest.mark.clause("SY-3", "OS-6")
    @pytest.mark.parametrize("kind", ["another name", "a changed bit", "no pack", "malformed", "of another workspace"])
    def test_what_is_not_a_pack_of_this_workspace_is_refused_and_named(self, store, kind):
        foreign = Pack.of([Operation(OTHER_GENESIS.workspace_id, attest(1).payload).encode()])
        data, error, message = {
            "another name": (pack_of(1).encode(), PackError, "is damaged: its bytes have the name"),
            "a changed bit": (pack_of(1).encode()[:-1] + b"\x01", PackError, "is damaged: .*mends it"),
            "no pack": (b"x", PackError, "is refused: the pack begins with 78, .*delete it"),
            "malformed": (Pack.of([b"\x80"]).encode(), PackError, "is refused: operation .*lacks the key"),
            "of another workspace": (foreign.encode(), WrongWorkspace, "belongs to workspace.*move it away"),
        }[kind]
        name = {"a changed bit": pack_of(1).name, "another name": "1" * 64}.get(kind, hash_id("pack", data))
        put(store, 7)
        (store.path / "packs").mkdir()
        (store.path / "packs" / name).write_bytes(data)
        with pytest.raises(error, match=message) as caught:
            store.state()
        assert name in str(caught.value)
        reading = store.read()
        assert reading.state.operations == {attest(7)}
        assert list(reading.damaged_packs) == [name]
        assert not (store.path / "cache" / "records").exists()

    @pytest.mark.clause("SY-10")
    def test_a_link_in_place_of_a_pack_is_not_followed(self, store, tmp_path):
        (tmp_path / "elsewhere").write_bytes(pack_of(1).encode())
        (store.path / "packs").mkdir()
        (store.path / "packs" / pack_of(1).name).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(PackError, match="it is a link, not a file"):
            store.state()

    def test_files_with_other_names_are_not_part_of_it(self, store):
        (store.path / "packs").mkdir()
        (store.path / "packs" / "README").write_bytes(b"")
        assert store.state() == ORSet(GENESIS)
        assert store.ignored() == ("packs/README",)


#: What others do to what is kept of a pack.
FORGERIES = {
    "a changed bit": lambda entry, other: entry.write_bytes(entry.read_bytes()[:-1] + b"\x00"),
    "that of another pack": lambda entry, other: entry.write_bytes(other.read_bytes()),
    "nothing": lambda entry, other: entry.write_bytes(b""),
    "a link": lambda entry, other: (entry.unlink(), entry.symlink_to(other)),
    "gone": lambda entry, other: entry.unlink(),
    "another key": lambda entry, other: (entry.parents[2] / KEY).unlink(),
}


@pytest.mark.clause("PK-6", "SY-9")
class TestWhatIsKept:
    def test_of_a_pack_that_was_checked_is_not_checked_again(self, store, decoded):
        add = store.state().add(MANIFESTS[0], nonce(0))
        store.write_pack(
            Pack.of([*(attest(number).encode() for number in range(20)), *(x.encode() for x in add.operations)])
        )
        assert count(store) == 21
        assert len(decoded) == 21
        decoded.clear()
        state = Store.open(store.path).state()
        assert len(state.operations), state.visible_ids() == (21, {MANIFESTS[0].id})
        assert state.attestations(f"{3:064x}") == {"0" * 64}
        assert decoded == []
        assert state.visible() == {MANIFESTS[0].id: MANIFESTS[0]}
        assert decoded == list(add.by_id())

    @pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
    def test_is_not_believed_unless_this_workspace_wrote_it(self, store, decoded, forge):
        packs = [pack_of(1, 2), pack_of(3)]
        for pack in packs:
            store.write_pack(pack)
        store.state()
        entry, other = (store.path / "cache" / "records" / pack.name for pack in packs)
        forge(entry, other)
        decoded.clear()
        assert count(store) == 3
        assert set(decoded) >= {attest(1).id, attest(2).id}

    def test_is_another_workspace_s_in_a_copy(self, store, decoded):
        store.write_pack(pack_of(1))
        store.state()
        shutil.copytree(store.path, store.path.parent / "copy")
        decoded.clear()
        assert count(Store.open(store.path.parent / "copy")) == 1
        assert decoded == [attest(1).id]

    def test_says_nothing_of_a_pack_that_is_not_there(self, store):
        store.write_pack(pack_of(1))
        store.state()
        (store.path / "packs" / pack_of(1).name).unlink()
        assert count(store) == 0

    def test_a_body_whose_bytes_changed_is_noticed_when_it_is_read(self, store):
        delta = store.state().add(MANIFESTS[0], nonce(0))
        pack = Pack.of([one.encode() for one in delta.operations])
        store.write_pack(pack)
        store.state()
        path = store.path / "packs" / pack.name
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
        state = Store.open(store.path).state()
        with pytest.raises(PackError, match=r"does not stand in it where it stood.*mends it"):
            state.visible()

    def test_a_pack_of_another_length_is_damaged_at_once(self, store):
        store.write_pack(pack_of(1))
        store.state()
        path = store.path / "packs" / pack_of(1).name
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(PackError, match=r"is damaged: it has .* bytes"):
            Store.open(store.path).state()


@pytest.mark.clause("PK-3")
class TestPacking:
    def test_sixteen_files_are_packed_and_stay_for_a_day(self, store):
        put(store, *range(BRANCH - 1))
        store.state()
        assert not (store.path / "packs").exists()
        put(store, BRANCH)
        assert len(store.state().operations) == BRANCH
        assert names_in(store.path / "packs") == {pack_of(*range(BRANCH - 1), BRANCH).name}
        assert len(names_in(store.path / "operations")) == BRANCH
        assert len(store.state().operations) == BRANCH

    def test_sixteen_packs_are_merged_to_one_that_names_them(self, store):
        packs = [pack_of(*range(number * 20, number * 20 + 20)) for number in range(BRANCH)]
        for pack in packs:
            store.write_pack(pack)
        store.state()
        names = {pack.name for pack in packs}
        (made,) = names_in(store.path / "packs") - names
        found = Pack.decode((store.path / "packs" / made).read_bytes())
        assert set(found.replaces) == names
        assert len(found.operations) == count(store) == 320

    def test_sixteen_written_at_once_are_a_pack(self, store):
        store.write_delta(ORSet(GENESIS, [attest(number) for number in range(BRANCH)]))
        assert not names_in(store.path / "operations")
        assert names_in(store.path / "packs") == {pack_of(*range(BRANCH)).name}

    def test_a_share_is_not_packed_by_who_reads_it(self, tmp_path):
        share = Store.create(tmp_path / "share", GENESIS)
        put(share, *range(BRANCH))
        share.state()
        assert not (share.path / "packs").exists()

    @pytest.mark.clause("SY-8")
    def test_a_death_at_any_moment_loses_nothing(self, store, tmp_path):
        put(store, *range(BRANCH))
        expected = store.read().state
        for moment, folder in kill_points(store.path, lambda folder: Store.open(folder).state(), tmp_path / "scratch"):
            assert Store.open(folder).state() == expected, moment
            assert Store.open(folder).ignored() == (), moment

    @pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
    def test_what_cannot_be_written_is_no_error(self, store, tmp_path, fault):
        put(store, *range(BRANCH))
        shutil.copytree(store.path, tmp_path / "first")
        expected = Store.open(tmp_path / "first").state()  # once, so that all modules are loaded
        for moment, folder, error in fault_points(
            store.path, lambda folder: Store.open(folder).state(), tmp_path / "scratch", fault
        ):
            assert error is None, moment
            assert Store.open(folder).state() == expected, moment


@pytest.mark.clause("PK-4")
class TestRemoving:
    def test_what_was_in_a_larger_pack_for_a_day_goes(self, store):
        put(store, *range(BRANCH))
        store.state()
        inside = pack_of(1, 2)
        store.write_pack(inside)
        age(store.path / "packs")
        assert count(store) == BRANCH
        assert names_in(store.path / "operations") == set()
        assert names_in(store.path / "packs") == {pack_of(*range(BRANCH)).name}
        assert names_in(store.path / "cache" / "records") <= {pack_of(*range(BRANCH)).name, inside.name}
        assert count(store) == BRANCH

    def test_what_several_packs_hold_together_stays(self, store):
        packs = [pack_of(0, 1, 2), pack_of(2, 3, 4), pack_of(1, 2, 3)]
        for pack in packs:
            store.write_pack(pack)
        age(store.path / "packs")
        assert count(store) == 5
        assert names_in(store.path / "packs") == {pack.name for pack in packs}

    def test_two_packs_of_the_same_stay(self, store):
        packs = [pack_of(0, 1), pack_of(0, 1, replaces=("1" * 64,))]
        for pack in packs:
            store.write_pack(pack)
        age(store.path / "packs")
        assert count(store) == 2
        assert names_in(store.path / "packs") == {pack.name for pack in packs}

    def test_the_only_operation_of_a_pack_stays_beside_it(self, store):
        put(store, 1)
        store.write_pack(pack_of(1))
        age(store.path / "packs")
        store.state()
        assert names_in(store.path / "operations") == {attest(1).id}

    def test_nothing_goes_for_a_pack_that_is_damaged_meanwhile(self, store):
        """What it holds is known under seal; that it is still there is not."""
        put(store, 1, 2)
        store.write_pack(pack_of(1, 2, 3))
        store.state()
        path = store.path / "packs" / pack_of(1, 2, 3).name
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        age(store.path / "packs")
        Store.open(store.path).state()
        assert names_in(store.path / "operations") == {attest(1).id, attest(2).id}

    @pytest.mark.clause("SY-10")
    def test_nothing_goes_in_a_share(self, tmp_path):
        share = Store.create(tmp_path / "share", GENESIS)
        put(share, 1)
        share.write_pack(pack_of(1, 2))
        age(share.path / "packs")
        before = files_of(share.path)
        share.state()
        assert files_of(share.path) == before

    def test_by_several_processes_at_once_loses_nothing(self, store, monkeypatch):
        """Each writes operations, packs what it finds and removes what lies inside others, as fast as it can.

        Without the day for which files stay, a reader may miss some for a moment: what is asked is what is left.
        """
        monkeypatch.setattr(packing, "RESTING_SECONDS", -DAY)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=_work, args=(store.path, number)) for number in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert count(store) == 3 * 60
        assert len(names_in(store.path / "packs")) < BRANCH + 3


def _work(path, worker):
    for number in range(60):
        put(Store.open(path), worker * 1000 + number)
        with suppress(MergeAlgebraError):
            Store.open(path).state()


@pytest.mark.clause("PK-5")
class TestFilesThatGo:
    def test_an_operation_is_read_from_what_replaced_its_pack(self, store):
        delta = store.state().add(MANIFESTS[0], nonce(0))
        data = [one.encode() for one in delta.operations]
        store.write_pack(Pack.of(data))
        state = store.state()
        store.write_pack(Pack.of([*data, attest(1).encode()], [Pack.of(data).name]))
        store.pack(Pack.of(data).name).remove()
        assert state.visible() == {MANIFESTS[0].id: MANIFESTS[0]}
        assert len(store.state().operations) == 2

    def test_what_is_moved_into_a_pack_while_it_is_read_is_seen(self, store, monkeypatch):
        put(store, 1, 2)
        real = OperationStore.names

        def names(self, part):
            found = real(self, part)
            if part == "operations" and found:
                store.write_pack(pack_of(1, 2))
                for number in (1, 2):
                    (store.path / "operations" / attest(number).id).unlink()
            return found

        monkeypatch.setattr(OperationStore, "names", names)
        assert count(store) == 2

    def test_an_operation_that_is_nowhere_is_missing(self, store):
        with pytest.raises(OperationError, match="is missing; sync again"):
            store.read_operation("1" * 64)


class TestOneProcess:
    def test_reads_each_file_once(self, store, decoded):
        store.write_pack(pack_of(*range(30)))
        put(store, 100)
        state = store.state()
        decoded.clear()
        put(store, 101)
        grown = store.state()
        assert decoded == [attest(101).id]
        assert len(grown.difference(state).operations) == 1
        assert store.state() is grown

    def test_notices_what_is_lost_or_damaged_meanwhile(self, store):
        put(store, 1, 2)
        store.write_pack(pack_of(3))
        assert len(store.state().operations) == 3
        (store.path / "packs" / pack_of(3).name).unlink()
        assert store.state().operations == {attest(1), attest(2)}
        (store.path / "operations" / attest(1).id).write_bytes(b"x")
        with pytest.raises(OperationError, match="is damaged"):
            store.state()
