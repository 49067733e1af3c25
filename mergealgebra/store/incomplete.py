"""Syncs that were incomplete: what the last one with each peer could not carry, for the owner of a replica [SY-4].

`incomplete.json` lies beside the genesis, and sync never carries it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.addresses import peer_scheme, without_secrets
from mergealgebra.disk import lock, opened_folder, refused_as_output
from mergealgebra.store.entries import INCOMPLETE, ROOT, Entry
from mergealgebra.store.local import read_json, write_json
from mergealgebra.store.objects import Store
from mergealgebra.text import location, printable

#: Begins what a peer could not be given, of what is written down of a sync.
NOT_GIVEN: Final = "not given: "
#: Written down until a sync has ended.
CUT_SHORT: Final = "it was cut short"
_OF_SERVERS: Final = "of tensors that came in part `serve` sends the rest, and a web server's files begin anew"
#: What is kept of tensors that came in part, by the scheme of the peer's address [BL-7, PR-18].
_KEPT: Final = {
    "s3": "of tensors that came in part, each object of up to 64 MiB that came whole is kept",
    "http": _OF_SERVERS,
    "https": _OF_SERVERS,
}

#: The most refusals of one peer that are written down; how many more there are is written down too.
_REFUSALS: Final = 8
#: Stands in the file for syncs of which nothing is known: no peer's path is empty.
_UNKNOWN: Final = ""
_LOCK_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Incomplete:
    """What is known of incomplete syncs.

    refusals: what the last sync with a peer could not carry, by peer; those with whom it was complete are left out.
    others: whether there may be more, as the file is or was damaged, and nobody has deleted it.
    """

    refusals: Mapping[str, Sequence[str]]
    others: bool = False

    @property
    def nothing(self) -> bool:
        """Whether all is complete."""
        return not self.refusals and not self.others

    def to_map(self) -> dict[str, object]:
        """What stands in the file."""
        return {**self.refusals, **({_UNKNOWN: []} if self.others else {})}


def write_incomplete(store: Store, peer: str, refusals: Sequence[str]) -> None:
    """Write down what a sync with a peer could not carry; where all is complete, there is no file.

    peer: where it is, as its owner would name it. Raises OutputError.
    """
    with refused_as_output(store.path), _alone(store.path):
        before = read_incomplete(store)
        told = {name: told for name, told in before.refusals.items() if name != peer}
        if refusals:
            more = [f"and {len(refusals) - _REFUSALS} more"] if len(refusals) > _REFUSALS else []
            told[peer] = [*refusals[:_REFUSALS], *more]
        after = Incomplete(told, before.others)
        if after == before:
            return
        if after.nothing:
            Entry(store.path, ROOT, INCOMPLETE).remove()
        else:
            write_json(store.path, INCOMPLETE, after.to_map())


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """While no other sync of the replica writes down what it could not carry, where there are locks.

    A sync holds the lock for moments. A process that holds it for seconds is not a sync, and nobody waits for it.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    with opened_folder(store) as folder:
        while not _is_locked(folder) and time.monotonic() < deadline:
            time.sleep(_LOCK_SECONDS / 1000)
        yield


def _is_locked(folder: int) -> bool:
    """Take the lock of an open folder; False when somebody else holds it."""
    try:
        lock(folder)
    except BlockingIOError:
        return False
    return True


def read_incomplete(store: Store) -> Incomplete:
    """What is written down of incomplete syncs."""
    written = read_json(store.path, INCOMPLETE)
    if written is None:
        return Incomplete({}, others=True)
    refusals = {
        peer: [text for text in told if isinstance(text, str)] if isinstance(told, list) else []
        for peer, told in written.items()
        if peer != _UNKNOWN
    }
    return Incomplete(refusals, others=_UNKNOWN in written)


def incomplete_lines(store: Store) -> list[str]:
    """The same as lines for people."""
    file = location(store.path / INCOMPLETE)
    found = read_incomplete(store)
    lines = [_incomplete_line(peer, told, file) for peer, told in found.refusals.items()]
    if found.others:
        lines.append(
            f"{file} is or was damaged, so nobody knows which syncs were incomplete, and contributions may be lacking: "
            "delete it, and sync with all peers"
        )
    return lines


def _incomplete_line(peer: str, told: Sequence[str], file: str) -> str:
    given = bool(told) and all(text.startswith(NOT_GIVEN) for text in told)
    kept = _KEPT.get(peer_scheme(peer) or "") if CUT_SHORT in told else None
    told = [f"{text} ({kept})" if kept and text == CUT_SHORT else text for text in told]
    lacking = "others may lack yours" if given else "contributions may be lacking"
    return (
        f"the last sync with {printable(without_secrets(peer))} was incomplete, so {lacking}: "
        f"{printable(_advice_once([text.removeprefix(NOT_GIVEN) for text in told]))}; sync again "
        f"(if that peer is gone for good, delete {file})"
    )


def _advice_once(told: Sequence[str]) -> str:
    """Texts in a row; where several in a row end with the same advice, only the last keeps it.

    >>> _advice_once(["a is full; make room", "b is full; make room"])
    'a is full; b is full; make room'
    """
    texts = []
    for number, text in enumerate(told):
        what, mark, advice = text.rpartition("; ")
        following = told[number + 1].rpartition("; ")[2] if number + 1 < len(told) else None
        texts.append(what if mark and advice == following else text)
    return "; ".join(texts)
