"""What `status` says of a signed workspace: who attests, and what has no effect and why [SG-12, SG-13]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mergealgebra.crdt.operations import Operation
    from mergealgebra.crdt.orset import ORSet

#: The most files and keys that are named.
_MOST_NAMED: Final = 8


def signed_for_json(state: ORSet, foreign: Sequence[Exception]) -> dict[str, object]:
    """Who may write, who attests the merge id, and the operations that have no effect."""
    from mergealgebra.attestations import witnesses
    from mergealgebra.crdt.authority import Later
    from mergealgebra.signatures import fingerprint

    if not state.genesis.is_signed:
        return {"signed": False}
    held = state.operations - state.admissible.operations
    found = witnesses(state, state.merge_id)
    return {
        "signed": True,
        "maintainers": [fingerprint(key) for key in state.genesis.maintainers],
        "witnesses": {root: sorted(map(fingerprint, keys)) for root, keys in found.items()},
        "passed_over": [str(error) for error in foreign],
        "not_admissible": sorted(operation.id for operation in held),
        "later": [id_ for id_, record in state.records().items() if record.kind == Later.kind],
    }


def signed_for_people(state: ORSet) -> dict[str, str]:
    """Lines about who may write and who attests; none of an open workspace."""
    from mergealgebra.attestations import witnesses
    from mergealgebra.cli.words import count
    from mergealgebra.ids import SHORT
    from mergealgebra.members import members

    if not state.genesis.is_signed:
        return {}
    known = members(state)
    writers = sum(bool(one.live) for one in known)
    maintainers = count(len(state.genesis.maintainers), "maintainer")
    found = witnesses(state, state.merge_id)
    said = [f"{count(len(keys), 'key')} for the model {root[:SHORT]}" for root, keys in found.items()]
    return {"signed": f"{maintainers}, {count(writers, 'writer')}", "attested by": "; ".join(said) or "nobody yet"}


def without_effect(state: ORSet, foreign: Sequence[Exception]) -> Iterator[str]:
    """A line for each reason for which operations have no effect in a signed workspace, and the first of them."""
    from mergealgebra.cli.words import count
    from mergealgebra.crdt.authority import Later

    if foreign:
        more = "" if len(foreign) == 1 else f"; and {len(foreign) - 1} more"
        yield f"{count(len(foreign), 'file')} of operations changed nothing: {foreign[0]}{more}"
    if not state.genesis.is_signed:
        return
    held = sorted(state.operations - state.admissible.operations, key=lambda operation: operation.id)
    if held:
        reasons = Counter(_why(operation, state) for operation in held)
        told = "; ".join(f"{number} {why}" for why, number in reasons.most_common(_MOST_NAMED))
        yield f"{count(len(held), 'operation')} without effect, carried to nobody: {told}"
    if later := [id_ for id_, record in state.records().items() if record.kind == Later.kind]:
        first = later[0][:12]
        yield (
            f"{count(len(later), 'operation')} of a later version changed nothing here, {first} first: a newer "
            "mergealgebra may show something else"
        )


def _why(operation: Operation, state: ORSet) -> str:
    """Why an operation is not admissible, and whose it is."""
    from mergealgebra.signatures import fingerprint

    authority, by = state.authority, fingerprint(operation.author or "")
    if operation.grant is None or operation.grant not in authority.grants:
        return f"by {by}, who has no such grant here"
    if authority.grants[operation.grant] != operation.author:
        return f"by {by}, under the grant of somebody else"
    return f"by {by}, whose grant was revoked"
