"""Object stores `o0` in a history of stores: what each holds, what befalls it, and writers who come in between."""

from __future__ import annotations

from typing import Any

from mergealgebra.store.objects import Store
from mergealgebra.sync.folder import SyncResult
from mergealgebra.sync.object_sync import sync_objects
from tests.simulation.bucket import HARMLESS, OBJECT_MISHAPS, Bucket, bucket_holdings, objects_of
from tests.simulation.damage import OUTER
from tests.simulation.history import insist
from tests.simulation.holdings import Holdings, frames
from tests.simulation.store_places import StorePlaces, tensors_of
from tests.simulation.team_model import Facts


class ObjectPlaces(StorePlaces):
    """The places of a history, object stores among them."""

    def __init__(self, *scenery: Any) -> None:
        super().__init__(*scenery)
        self._buckets: dict[str, Bucket] = {}
        self._objects = {root: objects_of(root, tensors) for root, tensors in tensors_of(self._manifests).items()}
        self._joined = Facts()  # what others brought in the middle of a sync

    def _bucket(self, name: str) -> Bucket:
        self._there(name)
        if name not in self._buckets:
            self._buckets[name] = Bucket(f"memory://{name}", self._path(name), self._disk)
        return self._buckets[name]

    def _by_objects(self, name: str, peer: str, *fate: str) -> SyncResult:
        how, number = fate[:2] if fate and fate[0] in (*OBJECT_MISHAPS, HARMLESS) else ("", "0")
        bucket = self._bucket(peer)
        with bucket.befallen(how, int(number), lambda: self._join(name, peer)):
            return sync_objects(self._open(name), bucket)

    def _join(self, name: str, peer: str) -> None:
        """Another replica syncs with the store, from the beginning to the end, while one is at it."""
        others = [one for one in sorted(self._held) if one[0] == "r" and one != name and not self._are_apart(one, peer)]
        for other in others[:1]:
            before, there = self._look_at(other), self._look_at(peer)
            sync_objects(Store.open(self._path(other)), self._bucket(peer))
            ours = before.facts | self._possible(before.facts | there.facts | there.salvage | self._waiting(peer))
            more = self._look_at(other).facts - ours
            lost = before.facts - self._held[other].facts
            insist("durable", not lost, f"{other} has lost {sorted(lost)}")
            insist("between", not more, f"{other} has {sorted(more)}, which nobody had")
            self._look_at(peer)
            gone = self._unduly_gone(peer, there)
            insist("packs", not gone, f"from {peer} went {gone}")
            self._gone |= there.files.keys() - self._held[peer].files.keys()
            self._joined |= before.facts

    def _waiting(self, peer: str) -> Facts:
        """The facts that were written to an object store and that nobody sees yet."""
        on_their_way = self._bucket(peer).on_their_way if peer[0] == "o" else []
        return Facts(filter(None, (self._fact_of(one) for data in on_their_way for one in frames(data))))

    def _possible(self, facts: Facts) -> Facts:
        """What may be admissible for who has heard some of these: not of a revoke, for one."""
        revokes = {fact for fact in facts if self._model.said[fact].kind == "revoke"}
        return self._model.admissible(facts - revokes) | self._model.admissible(facts)

    def _is_unsettled(self, peer: str) -> bool:
        return peer[0] == "o" and bool(self._bucket(peer).on_their_way)

    # In place of what is done with folders

    def _look_at(self, name: str) -> Holdings:
        if name[0] != "o":
            return super()._look_at(name)
        self._held[name] = bucket_holdings(self._path(name), self._fact_of, self._objects)
        return self._held[name]

    def _store_time(self, name: str) -> float:
        return self._bucket(name).now if name[0] == "o" else super()._store_time(name)

    def _damage(self, name: str, how: str, number: str) -> None:
        if name[0] != "o":
            super()._damage(name, how, number)
            return
        self._there(name)
        paths = [path for part in ("packs", "blobs") for path in sorted((self._path(name) / part).iterdir())]
        if paths:
            self._spoil(paths[int(number) % len(paths)], OUTER[how], int(number))
            self._look_at(name)

    def _mend(self, name: str) -> None:
        """The owner of an object store deletes the objects that are named, and all of a blob."""
        for root in self._there(name).rotten:
            for key in self._objects[root]:
                (self._path(name) / "blobs" / key).unlink(missing_ok=True)
        super()._mend(name)

    def _is_good_blob(self, name: str, file: str) -> bool:
        return name[0] == "o" or super()._is_good_blob(name, file)

    def _judge_reading(self, name: str, held: Holdings) -> None:
        if name[0] != "o":  # what is read there, whoever syncs with it is judged by
            super()._judge_reading(name, held)
