"""Ids as people type and read them: by their first digits.

An id that others must not be able to forge, such as a workspace's behind the # of `clone`, is always written in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise, takewhile
from typing import Final

from mergealgebra.errors import UnknownContribution
from mergealgebra.text import by_caller, listed, shown

#: Digits that show an id, and that name one that is typed, if no other id begins with them.
SHORT: Final = 12
LEAST: Final = 4


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Each id by its first digits: 12, or as many as tell it from the others.

    >>> short_ids(["a" * 64, "b" * 64])["b" * 64]
    'bbbbbbbbbbbb'
    """
    ordered = sorted(set(ids))
    digits = dict.fromkeys(ordered, SHORT)
    for pair in pairwise(ordered):
        needed = 1 + sum(takewhile(bool, (a == b for a, b in zip(*pair, strict=True))))
        for id_ in pair:
            digits[id_] = max(digits[id_], needed)
    return {id_: id_[:count] for id_, count in digits.items()}


def contribution_named(
    prefix: str, ids: Iterable[str], what: str = "contribution", others: Mapping[str, str] = {}
) -> str:
    """The one contribution among `ids` whose id begins so, in capitals or not.

    what: how a message calls one of them. others: contributions that are known and do not count here, each with the
    reason. Raises UnknownContribution, which lists the candidates.
    """
    if len(prefix) < LEAST:
        raise UnknownContribution(f"{shown(prefix)} is too short; give {LEAST} digits of the id, or more")
    ids = list(ids)
    short = short_ids([*ids, *others])
    matching = [id_ for id_ in ids if id_.startswith(prefix.lower())]
    if len(matching) == 1:
        return matching[0]
    if matching:
        candidates = listed(short[id_] for id_ in sorted(matching))
        raise UnknownContribution(f"{len(matching)} {what}s begin with {shown(prefix)}: {candidates}; give more digits")
    if excluded := sorted(id_ for id_ in others if id_.startswith(prefix.lower())):
        raise UnknownContribution(f"contribution {short[excluded[0]]} {others[excluded[0]]}")
    list_them = by_caller("`status` and `log`", "`visible()` and `log()`")
    raise UnknownContribution(f"no {what} begins with {shown(prefix)}; {list_them} list them")
