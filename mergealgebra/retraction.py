"""Retractions: contributions of a workspace are taken back, all that were named or none of them [OS-10].

No tensor is read, so this is quick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mergealgebra.crdt.operations import Signer, check_note
from mergealgebra.crdt.orset import ORSet
from mergealgebra.errors import UnknownContribution
from mergealgebra.history import now, stories
from mergealgebra.ids import contribution_named
from mergealgebra.store.local import own_name
from mergealgebra.store.objects import Store


@dataclass(frozen=True)
class Retraction:
    """Contributions that were taken back at once, their ids ascending.

    gone: those that were named and had been taken back before. before, after: the operations here without this
    retraction and with it.
    """

    contributions: tuple[str, ...]
    gone: tuple[str, ...]
    before: ORSet
    after: ORSet


def retract(
    store: Store, contributions: Iterable[str], note: str | None, state: ORSet | None, signer: Signer | None = None
) -> Retraction:
    """Take visible contributions back, and write the operations for that.

    contributions: ids or unique prefixes of ids. state: the operations here, where the caller has just read them.
    signer: of the operations, in a signed workspace, where one takes back what is one's own, and maintainers everything
    [SG-9]. Raises UnknownContribution and NotAllowed; then nothing was taken back.
    """
    check_note(note)
    state, name = state or store.state(), own_name(store)
    try:
        ids, gone = _named(contributions, state)
    except UnknownContribution as error:
        raise UnknownContribution(f"{error}; nothing was taken back") from None
    if not ids:
        return Retraction((), gone, state, state)
    delta = state.remove(*ids, time=now(), note=note, name=name, signer=signer)
    store.write_delta(delta)
    return Retraction(ids, gone, state, state | delta)


def _named(prefixes: Iterable[str], state: ORSet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The contributions whose ids begin so, ascending, each once: the visible ones, and those taken back before.

    A prefix means a visible one if it can. Raises UnknownContribution.
    """
    told = stories(state)
    visible = {id_ for id_, story in told.items() if story.visible}
    named = set()
    for prefix in prefixes:
        begun = {id_ for id_ in told if id_.startswith(prefix.lower())}
        if begun and not begun & visible:
            named.add(contribution_named(prefix, begun))
        else:
            named.add(contribution_named(prefix, visible, "visible contribution"))
    return tuple(sorted(named & visible)), tuple(sorted(named - visible))
