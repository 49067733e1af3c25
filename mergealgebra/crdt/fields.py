"""Fields of genesis, manifests and operations, read strictly: a refusal says what stands there and what should.

Each reader takes the error class of the thing it reads, so that one rule has one error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from typing import Any, Final

from mergealgebra.errors import MergeAlgebraError
from mergealgebra.signatures import is_key
from mergealgebra.text import shown

_ID: Final = re.compile("[0-9a-f]{64}")

Refusal = type[MergeAlgebraError]


def is_id(value: object) -> bool:
    """Whether a value is an id or root as Python holds it: 64 lower-case hexadecimal digits [EN-4]."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def check_id(value: object, what: str, refusal: Refusal) -> None:
    """Refuse what is not an id [EN-4]."""
    if not is_id(value):
        raise refusal(f"{what} is {shown(value)}, not 32 bytes in 64 lower-case hexadecimal digits")


def check_key(value: object, what: str, refusal: Refusal) -> None:
    """Refuse what is not a key in 64 hexadecimal digits [SG-1]."""
    check_id(value, what, refusal)
    if not is_key(bytes.fromhex(str(value))):
        raise refusal(f"{what} is {shown(value)}, not the canonical encoding of an Ed25519 key that is of large order")


def ids_from_array(value: object, what: str, refusal: Refusal) -> tuple[str, ...]:
    """The ids whose bytes stand in an array of an encoding; `check_ascending` looks at their order."""
    if not isinstance(value, list):
        raise refusal(f"{what} are {shown(value)}, not an array")
    return tuple(id_from_bytes(item, f"one of {what}", refusal) for item in value)


def check_ascending(ids: tuple[str, ...], what: str, refusal: Refusal) -> None:
    """Refuse what is not at least one id, ascending, each once."""
    for item in ids:
        check_id(item, f"one of {what}", refusal)
    if not ids:
        raise refusal(f"{what} are none; at least one must be named")
    if list(ids) != sorted(set(ids)):
        raise refusal(f"{what} are not in ascending order, each once")


def id_from_bytes(value: object, what: str, refusal: Refusal) -> str:
    """The id whose 32 bytes stand in an encoding [EN-4]."""
    if not isinstance(value, bytes) or len(value) != 32:
        raise refusal(f"{what} is {shown(value)}, not 32 bytes")
    return value.hex()


def check_integer(value: object, bound: int, what: str, refusal: Refusal) -> None:
    """Refuse what is not an integer in [0, bound). A boolean is not an integer."""
    if type(value) is not int or not 0 <= value < bound:
        raise refusal(f"{what} is {shown(value)}, not an integer in [0, 2^{bound.bit_length() - 1})")


def check_text(value: object, sizes: range, what: str, refusal: Refusal) -> None:
    """Refuse what is not a string whose number of UTF-8 bytes lies in `sizes` [EN-1]."""
    if not isinstance(value, str):
        raise refusal(f"{what} is {shown(value)}, not a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise refusal(f"{what} {shown(value)} has a lone surrogate and is not UTF-8") from None
    if size not in sizes:
        raise refusal(f"{what} is {size} bytes long, not {sizes.start} to {sizes.stop - 1}")


def check_name(value: object, sizes: range, what: str, refusal: Refusal) -> None:
    """Refuse such a string that has a control character (Unicode category Cc), and what `check_text` refuses."""
    check_text(value, sizes, what, refusal)
    if any(unicodedata.category(character) == "Cc" for character in str(value)):
        raise refusal(f"{what} {shown(value)} has a control character")


def map_with_keys(
    value: object, required: Set[str], what: str, refusal: Refusal, *, optional: Set[str] = frozenset()
) -> dict[str, Any]:
    """The map, if it has all required keys, and no others but optional ones."""
    if not isinstance(value, dict):
        raise refusal(f"{what} is {shown(value)}, not a map")
    if missing := sorted(required - value.keys()):
        raise refusal(f"{what} lacks the key {shown(missing[0])}")
    if unknown := sorted(value.keys() - required - optional):
        raise refusal(f"{what} has the unknown key {shown(unknown[0])}")
    return value
