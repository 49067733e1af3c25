"""The values of a lock, each read by what it must be; what cannot be right is refused where it stands [LK-2]."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mergealgebra.crdt.fields import is_id
from mergealgebra.errors import LockError
from mergealgebra.tensors.header import LONE_SURROGATE
from mergealgebra.tensors.shapes import LIMIT, BadShape, read_shape, shape_of
from mergealgebra.tensors.strict_json import Reader
from mergealgebra.text import shown

#: What leads to a value, from the outside in.
Where = tuple[str | int, ...]


def items(reader: Reader, where: Where) -> Iterator[None]:
    """The items of an array."""
    if reader.mark != b"[":
        raise expected_another(reader, where, "an array")
    yield from reader.items()


def text(reader: Reader, where: Where) -> str:
    """A string, of whole characters."""
    if reader.mark != b'"':
        raise expected_another(reader, where, "a string")
    found = reader.text()
    check_text(found)
    return found


def root(reader: Reader, where: Where) -> str:
    """A root or an id."""
    found = reader.value()
    if not is_id(found):
        raise wrong(where, f"expected 64 lower-case hexadecimal digits, not {shown(found)}")
    return str(found)


def count(reader: Reader, where: Where) -> int:
    """How many of something."""
    found = reader.value()
    if type(found) is not int or not 0 <= found < LIMIT:
        raise wrong(where, f"expected an integer in [0, 2^63), not {shown(found)}")
    return found


def version(*expected: int) -> Callable[[Reader, Where], int]:
    """One of some versions."""

    def read(reader: Reader, where: Where) -> int:
        found = reader.value()
        if type(found) is not int or found not in expected:
            known = " or ".join(map(str, expected))
            raise wrong(where, f"expected {known}, not {shown(found)}; read it with the program that wrote it")
        return found

    return read


def shape(reader: Reader, where: Where) -> tuple[int, ...]:
    """The shape of a tensor."""
    try:
        return read_shape(reader)
    except BadShape as error:
        raise wrong(where, str(error)) from None


def shape_in(sizes: bytes, where: Where) -> tuple[int, ...]:
    """The shape that these sizes are, as the file has them."""
    try:
        return shape_of(sizes)
    except BadShape as error:
        raise wrong(where, str(error)) from None


def check_text(found_text: str) -> None:
    """Raise UnicodeEncodeError for half a character."""
    if found := LONE_SURROGATE.search(found_text):
        found[0].encode()  # which is refused; for all of a long text it would take four bytes a character


def expected_another(reader: Reader, where: Where, what: str) -> LockError:
    """The error of a value of another kind. what: the kind that was expected."""
    return wrong(where, f"expected {what}, not {shown(reader.value())}")


def wrong(where: Where, what: str) -> LockError:
    """The error of a value. what: what is wrong with it."""
    return LockError(f"{shown('.'.join(map(str, where)) or 'the file')}: {what}")
