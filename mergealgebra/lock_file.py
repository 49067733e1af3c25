"""The text of a lock: read member by member, so that a stranger's takes little more memory than it must [LK-2].

What cannot be right is refused where it is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final

from mergealgebra.crdt.fields import is_id
from mergealgebra.crdt.genesis import SPEC
from mergealgebra.errors import LockError
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.header import LONE_SURROGATE, TensorRecord
from mergealgebra.tensors.json_grammar import joined
from mergealgebra.tensors.shapes import LIMIT, SIZES, BadShape, read_shape, shape_of
from mergealgebra.tensors.strict_json import Reader
from mergealgebra.text import shown

#: The version of the lock's format.
FORMAT: Final = 1
#: No lock is larger, whoever writes it.
MAX_BYTES = 100_000_000

_MAX_DEPTH: Final = 8
#: A recipe has fewer keys, whatever its method.
_MAX_RECIPE: Final = 64
#: So many shapes are remembered while a lock is read: most tensors share theirs with others.
_MOST_SHAPES: Final = 1024
#: The bytes of a lock but for its tensors and contributions, and of a contribution, at the most.
_MOST_AROUND: Final = 1 << 12
_MOST_CONTRIBUTION: Final = 320

#: A tensor as locks are written: dtype, sizes of the shape, root.
_TENSOR: Final = joined(
    *(rb"\{", rb'"dtype"', b":", rb'"([A-Z0-9_]{1,16}+)"', b","),
    *(rb'"shape"', b":", rb"\[", SIZES, rb"\]", b","),
    *(rb'"root"', b":", rb'"([0-9a-f]{64})"', rb"\}"),
)

#: What leads to a value, from the outside in.
Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LockedContribution:
    """A contribution's manifest without what all share, its id, and how many elements trim kept."""

    id: str
    form: str
    coefficient: str
    elements: int
    tensors: str
    kept: int


@dataclass(frozen=True, slots=True)
class LockedTensor:
    """A tensor of the merged model."""

    dtype: str
    shape: tuple[int, ...]
    root: str


def read_fields(data: bytes) -> dict[str, Any]:
    """The fields of a lock, each by itself what it should be. Raises LockError, and ValueError for what is not JSON."""
    reader = Reader(data, _MAX_DEPTH)
    fields = _members(reader, (), _LOCK)
    reader.finish()
    return fields


def size_of_lock(records: Iterable[TensorRecord], contributions: int) -> int:
    """The bytes of the lock of a merge, or a few more: what stands beside tensors is taken to be long."""
    return _MOST_AROUND + contributions * _MOST_CONTRIBUTION + sum(map(_size_of_tensor, records))


def _size_of_tensor(record: TensorRecord) -> int:
    """What a tensor takes, to the byte."""
    sizes = ",\n".join(f"        {size}" for size in record.shape)
    shape = f"[\n{sizes}\n      ]" if sizes else "[]"
    lines = (
        f"    {encode_basestring(record.name)}: {{",
        f'      "dtype": "{record.dtype}",',
        f'      "shape": {shape},',
        f'      "root": "{"0" * 64}"',
        "    },",
    )
    return sum(len(line.encode()) + 1 for line in lines)


# One value each


def _members(reader: Reader, where: Where, forms: Mapping[str, Callable[[Reader, Where], Any]]) -> dict[str, Any]:
    """An object of exactly these keys."""
    found: dict[str, Any] = {}
    for key in _names(reader, where, found):
        if key not in forms:
            raise _wrong((*where, key), "is not a key that stands there")
        found[key] = forms[key](reader, (*where, key))
    for key in forms:
        if key not in found:
            raise _wrong((*where, key), "field required")
    return found


def _names(reader: Reader, where: Where, found: Mapping[str, object]) -> Iterator[str]:
    """The keys of an object, none of which is found already."""
    if reader.mark != b"{":
        raise _expected(reader, where, "an object")
    for name in reader.names():
        if name in found:
            raise LockError(f"the key {shown(name)} stands twice")
        _check_text(name)
        yield name


def _tensors(reader: Reader, where: Where) -> dict[str, LockedTensor]:
    found: dict[str, LockedTensor] = {}
    shapes: dict[bytes, tuple[int, ...]] = {}
    for name in _names(reader, where, found):
        match = reader.take(_TENSOR)
        if match is None:
            found[name] = LockedTensor(**_members(reader, (*where, name), _TENSOR_FIELDS))
            continue
        dtype, sizes, root = match[1].decode(), match[2], match[3].decode()
        shape = shapes.get(sizes)
        if shape is None:
            shape = _shape_of(sizes, (*where, name))
            if len(shapes) < _MOST_SHAPES:
                shapes[sizes] = shape
        found[name] = LockedTensor(_NAMES.get(dtype, dtype), shape, root)
    return found


#: The names of dtypes, one object each.
_NAMES: Final = {name: name for name in DTYPES}


def _contributions(reader: Reader, where: Where) -> list[LockedContribution]:
    if reader.mark != b"[":
        raise _expected(reader, where, "an array")
    found: list[LockedContribution] = []
    for _ in reader.items():
        found.append(LockedContribution(**_members(reader, (*where, len(found)), _CONTRIBUTION_FIELDS)))
    return found


def _recipe(reader: Reader, where: Where) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in _names(reader, where, found):
        if len(found) == _MAX_RECIPE:
            raise _wrong(where, f"has more than {_MAX_RECIPE} keys")
        found[key] = _text(reader, (*where, key))
    return found


def _text(reader: Reader, where: Where) -> str:
    if reader.mark != b'"':
        raise _expected(reader, where, "a string")
    text = reader.text()
    _check_text(text)
    return text


def _root(reader: Reader, where: Where) -> str:
    root = reader.value()
    if not is_id(root):
        raise _wrong(where, f"expected 64 lower-case hexadecimal digits, not {shown(root)}")
    return str(root)


def _count(reader: Reader, where: Where) -> int:
    count = reader.value()
    if type(count) is not int or not 0 <= count < LIMIT:
        raise _wrong(where, f"expected an integer in [0, 2^63), not {shown(count)}")
    return count


def _version(expected: int) -> Callable[[Reader, Where], int]:
    def read(reader: Reader, where: Where) -> int:
        version = reader.value()
        if type(version) is not int or version != expected:
            raise _wrong(where, f"expected {expected}, not {shown(version)}; read it with the program that wrote it")
        return version

    return read


def _shape(reader: Reader, where: Where) -> tuple[int, ...]:
    try:
        return read_shape(reader)
    except BadShape as error:
        raise _wrong(where, str(error)) from None


def _shape_of(sizes: bytes, where: Where) -> tuple[int, ...]:
    try:
        return shape_of(sizes)
    except BadShape as error:
        raise _wrong(where, str(error)) from None


def _check_text(text: str) -> None:
    if found := LONE_SURROGATE.search(text):
        found[0].encode()  # which is refused; for all of a long text it would take four bytes a character


def _expected(reader: Reader, where: Where, what: str) -> LockError:
    return _wrong(where, f"expected {what}, not {shown(reader.value())}")


def _wrong(where: Where, what: str) -> LockError:
    return LockError(f"{shown('.'.join(map(str, where)) or 'the file')}: {what}")


_CONTRIBUTION_FIELDS: Final = {
    "id": _root,
    "form": _text,
    "coefficient": _text,
    "elements": _count,
    "tensors": _root,
    "kept": _count,
}
_TENSOR_FIELDS: Final = {"dtype": _text, "shape": _shape, "root": _root}
_LOCK: Final = {
    "format": _version(FORMAT),
    "spec": _version(SPEC),
    "base": _root,
    "recipe": _recipe,
    "contributions": _contributions,
    "merge_id": _root,
    "tensors": _tensors,
    "model_root": _root,
    "achieved_density": _text,
    "uncertified": _count,
    "backend": _text,
}
