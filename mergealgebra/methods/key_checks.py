"""What the keys of recipes take: each function makes a value canonical, or refuses it [RC-4]."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mergealgebra.algebra import decimals
from mergealgebra.errors import DecimalError, RecipeError
from mergealgebra.text import shown

#: A value, and how a message about it begins, to the text that is kept. Raises RecipeError or DecimalError.
Check = Callable[[object, str], str]

_WHOLE: Final = re.compile("0|[1-9][0-9]{0,19}", re.ASCII)
_TEXT_BYTES: Final = 1 << 12
_COUNT: Final = re.compile("[1-9][0-9]{0,8}", re.ASCII)
_ID: Final = re.compile("[0-9a-f]{64}", re.ASCII)


def _key_in(what: str) -> str:
    """The key, of how a message about it begins."""
    return what.rpartition(": ")[2]


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_lambda(value: object, what: str) -> str:
    """A decimal whose fp32 number is finite [MG-1]."""
    decimals.fp32(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_density(value: object, what: str) -> str:
    """A decimal above 0 and at most 1 [RC-3]."""
    decimals.exact_density(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_share(value: object, what: str) -> str:
    """A decimal from 0 to below 1 [BC-1, DE-1]."""
    decimals.exact_share(value, _key_in(what))
    return decimals.canonical_decimal(value, _key_in(what))


def check_factor(value: object, what: str) -> str:
    """A decimal from 0 on whose fp32 number is finite [RA-3, CO-1]."""
    text = check_lambda(value, what)
    if text.startswith("-"):
        raise DecimalError(f"{_key_in(what)}: {text} is negative; it must be 0 or more")
    return text


def check_count(value: object, what: str) -> str:
    """A whole number from 1 to 999999999 in decimal digits [CO-1]."""
    if not isinstance(value, str) or not _COUNT.fullmatch(value):
        raise RecipeError(f"{what}: {shown(value)} is not a whole number from 1 to 999999999; write it like '2'")
    return value


def check_task(value: object, what: str) -> str:
    """The id of a contribution in full, or an empty text [RC-13]."""
    if not isinstance(value, str) or not (value == "" or _ID.fullmatch(value)):
        raise RecipeError(
            f"{what}: {shown(value)} is not the id of a contribution; write all of its 64 hexadecimal digits, in "
            "lower case, or leave it out"
        )
    return value


def check_seed(value: object, what: str) -> str:
    """A whole number below 2^64 in decimal digits [RM-1]."""
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise RecipeError(f"{what}: {shown(value)} is not a whole number in decimal digits; write it like '42'")
    if int(value) >= 1 << 64:
        raise RecipeError(f"{what}: {value} is 2^64 or more; choose a smaller one")
    return value


#: Of what a merged model can be.
_RESULTS: Final = ("F64", "F32", "BF16", "F16")
#: What others call these.
_CALLED: Final = {"float64": "F64", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def check_out_dtype(value: object, what: str) -> str:
    """A float dtype, by its name in safetensors, or an empty text [RC-15]."""
    if value == "" or value in _RESULTS:
        return str(value)
    named = _CALLED.get(str(value).removeprefix("torch."))
    todo = f"write {named}" if named else f"expected one of {', '.join(_RESULTS)}"
    raise RecipeError(f"{what}: {shown(value)} is unknown; {todo}")


def check_text(value: object, what: str) -> str:
    """Any text of at most 4,096 bytes, kept as it is."""
    if not isinstance(value, str) or not _is_utf8(value) or len(value.encode()) > _TEXT_BYTES:
        raise RecipeError(f"{what}: {shown(value)} is not a text of at most {_TEXT_BYTES:,} bytes")
    return value


def one_of(*known: str) -> Check:
    """One of some words."""

    def check(value: object, what: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise RecipeError(f"{what}: {shown(value)} is unknown; expected one of {', '.join(known)}")
        return str(value)

    return check
