"""Mistakes of identity: ids that leave something out, nonces that come twice, and bytes that are not what they name."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import msgpack

from mergealgebra import contribution, encoding, resolve
from mergealgebra.crdt import operations
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Operation
from mergealgebra.crdt.orset import ORSet
from mergealgebra.store import blobs, operation_store
from mergealgebra.sync import replica
from mergealgebra.tensors import checkpoint
from tests.simulation.faults.fault import Patches, fault

# Ids and nonces


@contextmanager
def _model_root(change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Iterator[None]:
    """Roots of changed records, wherever the product has them from."""
    real = encoding.model_root

    def model_root(records: Iterable[tuple[Any, ...]]) -> str:
        return real(map(change, records))

    with ExitStack() as stack:
        for module in (encoding, contribution, blobs, checkpoint, resolve):
            stack.enter_context(mock.patch.object(module, "model_root", model_root))
        yield


@fault("ids ignore the dtype", "sets", "identity", "visible")
def id_ignores_dtype() -> Patches:
    yield _model_root(lambda record: (record[0], "F16", *record[2:]))


@fault("ids ignore the shape", "sets", "identity", "visible")
def id_ignores_shape() -> Patches:
    yield _model_root(lambda record: (*record[:2], (), record[3]))


@fault("roots ignore the shape: a blob of another shape passes for the right one", "folders", "admission", "refusal")
def blob_of_another_shape() -> Patches:
    yield _model_root(lambda record: (*record[:2], (), record[3]))
    yield mock.patch.object(replica, "check_fit", lambda *_: None)  # the base would tell, where it is at hand


@fault("ids ignore the coefficient", "sets", "identity", "visible")
def id_ignores_coefficient() -> Patches:
    def id_(self: Manifest) -> str:
        return encoding.hash_id("contribution", encoding.encode({**self.to_map(), "coefficient": ""}))

    yield mock.patch.object(Manifest, "id", property(id_))


@contextmanager
def _nonces(nonce: Callable[[ORSet, Manifest], bytes]) -> Iterator[None]:
    """Nonces that are computed and not drawn."""
    real = ORSet.add

    def add(self: ORSet, manifest: Manifest, _: bytes | None = None, **extras: Any) -> ORSet:
        return real(self, manifest, hashlib.sha256(nonce(self, manifest)).digest()[:16], **extras)

    with mock.patch.object(ORSet, "add", add):
        yield


@fault("every add of a contribution has the same nonce", "sets", "held", "visible")
def nonce_is_reused() -> Patches:
    yield _nonces(lambda _, manifest: manifest.id.encode())


@fault("nonces follow from what a replica holds: a restored backup draws them again", "sets", "held", "visible")
def backup_resets_nonces() -> Patches:
    yield _nonces(lambda state, _: "".join(state.by_id()).encode())


# Bytes of operations


@fault("the name of an operation is not compared with its bytes", "sets", "admission", "held")
def damaged_operation_is_admitted() -> Patches:
    yield mock.patch.object(operation_store, "hash_id", lambda domain, data: _Anything("f" * 64))


class _Anything(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@fault("an operation need not be in canonical bytes", "sets", "admission")
def bytes_need_not_be_canonical() -> Patches:
    def decode(data: bytes, max_bytes: int) -> Any:
        return next(msgpack.Unpacker(io.BytesIO(data)))

    yield mock.patch.object(operations, "decode", decode)


@fault("an operation of another workspace is taken", "sets", "admission")
def another_workspace_is_taken() -> Patches:
    real = vars(Operation)["decode"].__func__

    def decode(cls: type[Operation], data: bytes, workspace: str) -> Operation:
        named = msgpack.unpackb(data)["body"]["workspace"]
        return real(cls, data.replace(named, bytes.fromhex(workspace)), workspace)

    yield mock.patch.object(Operation, "decode", classmethod(decode))
