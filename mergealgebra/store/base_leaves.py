"""The leaves of the base on this disk, beside those of a blob: equal ones are copied, alike ones XORed [BL-5, BL-9]."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from mergealgebra.encoding import LEAF_BYTES, leaf_digest
from mergealgebra.errors import MergeAlgebraError
from mergealgebra.progress import More, untold
from mergealgebra.store.blob_map import DIGEST_BYTES, Leaf, MappedTensor
from mergealgebra.store.maps import Maps
from mergealgebra.store.partial_blob import PartialBlob
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import TensorRecord

#: The base, if it is at hand.
Base = Callable[[], Checkpoint | None]

_THREADS: Final = 2


def no_base() -> None:
    """For those who have no base."""


@dataclass
class BaseLeaves:
    """The base of a store's workspace, opened when it is first needed. Threads may share it.

    is_sound: whether it was not found to be damaged.
    """

    maps: Maps
    base: Base = no_base
    is_sound: bool = field(default=True)

    def alike(self, leaf: Leaf) -> bytes | None:
        """The base's bytes at the place of a leaf, if its tensor is there in the same dtype and shape."""
        return self._read(leaf) if self.has_like(leaf.tensor) else None

    def has_like(self, tensor: MappedTensor) -> bool:
        """Whether the base has a tensor of this name, dtype and shape."""
        record = self._checkpoint.records.get(tensor.name) if self._checkpoint and self.is_sound else None
        return record is not None and _are_alike(record, tensor)

    def copy_equal(self, blob: PartialBlob, more: More = untold) -> None:
        """Give a blob in the making the leaves that are the base's, each hashed as it is copied [BL-9].

        Raises OutputError.
        """
        found = [number for number in blob.lacking() if self._equals(blob.map.leaf(number))]
        if not found:
            return
        with suppress(FileNotFoundError), blob.opened() as file:  # whoever writes the next leaf finds out what happened
            for number in found:
                leaf = blob.map.leaf(number)
                data = self._read(leaf)
                if data is not None and leaf_digest(data) == leaf.digest and file.write(number, leaf, memoryview(data)):
                    more(leaf.nbytes)

    @property
    def is_at_hand(self) -> bool:
        """Whether there is a base that is not known to be damaged."""
        return self._checkpoint is not None and self.is_sound

    def is_good_at(self, leaf: Leaf) -> bool:
        """Whether it has at the place of a leaf what the workspace's base has; if not, it counts for nothing any more.

        That leaf alone is read, so that no peer makes this process read all of the base again and again [BL-6].
        """
        if self._tensors is None:
            self.is_sound = False
        elif self.is_sound and (tensor := self._tensors.get(leaf.tensor.name)) and _are_alike(tensor, leaf.tensor):
            data = self.alike(leaf)
            self.is_sound = data is not None and leaf_digest(data) == _digest_at(tensor, leaf)
        return self.is_sound

    def _equals(self, leaf: Leaf) -> bool:
        """Whether the base should have the same bytes at the same place of the tensor of the same name."""
        tensor = self._tensors.get(leaf.tensor.name) if self._tensors else None
        return tensor is not None and _digest_at(tensor, leaf) == leaf.digest

    def _read(self, leaf: Leaf) -> bytes | None:
        base = self._checkpoint
        if base is None or not self.is_sound or leaf.tensor.name not in base.records:
            return None
        size = DTYPES[base.records[leaf.tensor.name].dtype].itemsize
        try:
            found = base.read(leaf.tensor.name, leaf.start // size, (leaf.start + leaf.nbytes) // size)
        except MergeAlgebraError:
            return None
        return found.view(np.uint8).tobytes()

    @cached_property
    def _checkpoint(self) -> Checkpoint | None:
        return self.base()

    @cached_property
    def _tensors(self) -> dict[str, MappedTensor] | None:
        """The tensors of the workspace's base by name; None where what is at hand is another, or nothing."""
        base = self._checkpoint
        found = self.maps.of_base(base, self.maps.store.genesis.base, _THREADS) if base else None
        return {tensor.name: tensor for tensor in found.tensors} if found else None


def _are_alike(one: TensorRecord | MappedTensor, other: MappedTensor) -> bool:
    return (one.dtype, one.shape) == (other.dtype, other.shape)


def _digest_at(tensor: MappedTensor, leaf: Leaf) -> bytes:
    """The digest of a tensor's leaf at the place of another's."""
    at = leaf.start // LEAF_BYTES * DIGEST_BYTES
    return tensor.digests[at : at + DIGEST_BYTES]
