"""The map of a blob: names, dtypes, shapes and the digests of all leaves, checked before a byte of data [BL-1 to BL-3].

    {"tensors": [[name, dtype, shape, digests], ...], "version": 1}

From it alone follow the blob's header, where each leaf lies in its file, and its root.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final

from mergealgebra.encoding import LEAF_BYTES, TensorTree, decode, encode, model_root
from mergealgebra.errors import DtypeError, HeaderError, MapError, ShapeError
from mergealgebra.tensors.header import LONE_SURROGATE, kind_of
from mergealgebra.tensors.safetensors_file import canonical_header
from mergealgebra.tensors.shapes import MAX_SIZES
from mergealgebra.text import Where, shown

DIGEST_BYTES: Final = 32
#: The most tensors of a map, sizes in all their shapes, and bytes of a name in UTF-8.
MOST_TENSORS: Final = 1 << 18
MOST_SIZES: Final = 1 << 20
MOST_NAME_BYTES: Final = 1 << 12
_VERSION: Final = 1
_LEAST_BOUND: Final = 1 << 22
_MOST_BOUND: Final = 1 << 26
_ELEMENTS_A_BYTE: Final = 1 << 9
#: What a map can hold at most: two keys with their values, and for each tensor an array of four.
_MOST_VALUES: Final = 4 + 5 * MOST_TENSORS + MOST_SIZES


def most_map_bytes(elements: int) -> int:
    """How long the map of a blob may be, of a contribution that says how many elements it has [BL-2].

    >>> most_map_bytes(0), most_map_bytes(7_000_000_000), most_map_bytes(1 << 60)
    (4194304, 17866179, 67108864)
    """
    return min(_LEAST_BOUND + elements // _ELEMENTS_A_BYTE, _MOST_BOUND)


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """One tensor of a map. digests: of its leaves, joined."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    digests: bytes

    @property
    def leaves(self) -> int:
        """How many leaves it has."""
        return len(self.digests) // DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: the bytes of a tensor from `start` on, at `offset` in the file; the digest is SHA-256(00 || leaf)."""

    tensor: MappedTensor
    start: int
    offset: int
    nbytes: int
    digest: bytes


@dataclass(frozen=True)
class BlobMap:
    """A map that is in order by itself.

    tensors: in name order. header: the bytes of the blob's file before its data [EN-17].
    """

    tensors: tuple[MappedTensor, ...]
    header: bytes

    @classmethod
    def of(cls, tensors: Iterable[tuple[str, str, Sequence[int], bytes]]) -> BlobMap:
        """The map of tensors in name order: name, dtype, shape, and the digests of the leaves. Raises MapError."""
        return cls._of(_checked([list(one) for one in tensors]))

    @classmethod
    def decode(cls, data: bytes, root: str, elements: int) -> BlobMap:
        """The map of the blob with this root, from bytes that somebody gave [BL-1 to BL-3].

        elements: how many its contribution says that it has: bytes and values are bounded before they are looked at.
        Raises EncodingError for what is too long or not canonical, and MapError.
        """
        value = decode(data, max_bytes=most_map_bytes(elements), max_values=_MOST_VALUES)
        if not isinstance(value, dict) or set(value) != {"tensors", "version"}:
            raise MapError(f"the map is {shown(value)}, not a map with the keys tensors and version")
        if type(value["version"]) is not int or value["version"] != _VERSION:
            raise MapError(
                f"the map has the version {shown(value['version'])}, expected {_VERSION}: update mergealgebra"
            )
        found = cls._of(_checked(value["tensors"]))
        if found.root != root:
            raise MapError(f"the map is that of the root {found.root}, not of {root}")
        return found

    @classmethod
    def _of(cls, tensors: tuple[MappedTensor, ...]) -> BlobMap:
        try:
            return cls(tensors, canonical_header((one.name, one.dtype, one.shape, one.nbytes) for one in tensors))
        except HeaderError as error:
            raise MapError(f"the map is of tensors that no file holds: {error}") from None

    def encode(self) -> bytes:
        """The bytes of the map."""
        tensors = [[one.name, one.dtype, list(one.shape), one.digests] for one in self.tensors]
        return encode({"tensors": tensors, "version": _VERSION})

    @cached_property
    def root(self) -> str:
        """The root of the blob [EN-7]."""
        return model_root((one.name, one.dtype, one.shape, _tensor_root(one)) for one in self.tensors)

    @property
    def nbytes(self) -> int:
        """The bytes of the blob's file."""
        return self._starts[-1]

    @property
    def leaves(self) -> int:
        """How many leaves there are, numbered from 0 through the file."""
        return self._firsts[-1]

    def leaf(self, number: int) -> Leaf:
        """One leaf by its number. Raises IndexError."""
        if not 0 <= number < self.leaves:
            raise IndexError(f"there is no leaf {number} of {self.leaves}")
        at = bisect_right(self._firsts, number) - 1  # the last that begins there: empty tensors have no leaf
        tensor, place = self.tensors[at], number - self._firsts[at]
        start = place * LEAF_BYTES
        digest = tensor.digests[place * DIGEST_BYTES : (place + 1) * DIGEST_BYTES]
        return Leaf(tensor, start, self._starts[at] + start, min(LEAF_BYTES, tensor.nbytes - start), digest)

    def run(self, first: int, count: int) -> list[Leaf]:
        """Neighbouring leaves: one piece of the file. Raises IndexError."""
        return [self.leaf(number) for number in range(first, first + count)]

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of the first leaf of each tensor, and how many there are."""
        return list(accumulate((one.leaves for one in self.tensors), initial=0))

    @cached_property
    def _starts(self) -> list[int]:
        """Where each tensor begins in the file, and where the file ends."""
        return list(accumulate((one.nbytes for one in self.tensors), initial=len(self.header)))


def _tensor_root(tensor: MappedTensor) -> str:
    tree = TensorTree()
    tree.extend(_pieces(tensor.digests))
    return tree.root()


def _pieces(digests: bytes) -> Iterator[bytes]:
    return (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))


def _checked(tensors: Any) -> tuple[MappedTensor, ...]:
    """The tensors of a map, each judged by itself, and their order [BL-1, BL-2]."""
    if not isinstance(tensors, list):
        raise MapError(f"the tensors of the map are {shown(tensors)}, not an array")
    if len(tensors) > MOST_TENSORS:
        raise MapError(f"the map has {len(tensors)} tensors, at most {MOST_TENSORS} are allowed")
    found = tuple(map(_tensor, tensors))
    for one, other in pairwise(found):
        if one.name >= other.name:  # by code points, which is the order of UTF-8
            raise MapError(f"the tensors of the map are not in name order: {Where(other.name)} after {Where(one.name)}")
    if (sizes := sum(len(one.shape) for one in found)) > MOST_SIZES:
        raise MapError(f"the shapes of the map have {sizes} sizes, at most {MOST_SIZES} are allowed")
    return found


def _tensor(entry: Any) -> MappedTensor:
    match entry:
        case [str(name), str(dtype), list(shape) | tuple(shape), bytes(digests)]:
            pass
        case _:
            raise MapError(f"a tensor of the map is {shown(entry)}, not an array of name, dtype, shape and digests")
    where = Where(name)
    if len(name) > MOST_NAME_BYTES or LONE_SURROGATE.search(name) or len(name.encode()) > MOST_NAME_BYTES:
        raise MapError(f"a name of the map is {shown(name)}, not text of at most {MOST_NAME_BYTES} bytes")
    if len(shape) > MAX_SIZES or not all(type(size) is int and 0 <= size < 1 << 63 for size in shape):
        raise MapError(f"{where} has the shape {shown(shape)}, not at most {MAX_SIZES} sizes below 2^63")
    try:
        _, _, nbytes = kind_of(dtype, tuple(shape), where)
    except (DtypeError, HeaderError, ShapeError) as error:
        raise MapError(f"the map is of tensors that no file holds: {error}") from None
    leaves = -(-nbytes // LEAF_BYTES)
    if len(digests) != DIGEST_BYTES * leaves:
        raise MapError(
            f"{where} has {len(digests)} bytes of digests, expected {DIGEST_BYTES} for each of {leaves} leaves"
        )
    return MappedTensor(name, dtype, tuple(shape), nbytes, digests)
