"""`mergealgebra [-C WORKSPACE] members`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from mergealgebra.cli.options import json_option
from mergealgebra.cli.report import report, say, say_table

if TYPE_CHECKING:
    from mergealgebra.members import Member


@click.command()
@json_option
@click.pass_obj
def command(workspace: str, as_json: bool) -> None:
    """List who may contribute to a signed workspace, or could once: maintainers, then others by key."""
    from mergealgebra.signing import own_public_key
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    found = opened.members()
    if as_json:
        report({"members": [_entry(one) for one in found]})
    elif found:
        say_table(_rows(found, own_public_key(opened.store)))
    else:
        say("This workspace is open: everybody can contribute who can write to a folder that you sync with.")


def _entry(member: Member) -> dict[str, object]:
    return {
        "key": member.fingerprint,
        "maintainer": member.is_maintainer,
        "names": list(member.names),
        "live": list(member.live),
        "revoked": list(member.revoked),
        "operations": member.operations,
    }


def _rows(found: Iterable[Member], own: str | None) -> Iterator[tuple[str, ...]]:
    from mergealgebra.cli.words import called_maintainer, who

    yield "key", "name", "grants", "operations"
    for number, one in enumerate(found):  # the maintainers first
        names = called_maintainer(number, mine=one.key == own) if one.is_maintainer else who(" or ".join(one.names))
        yield one.fingerprint, names, _grants(one), f"{one.operations:,}"


def _grants(member: Member) -> str:
    if member.is_maintainer:
        return "maintainer"
    live, revoked = f"{len(member.live)} live", f"{len(member.revoked)} revoked"
    return ", ".join(text for text, ids in ((live, member.live), (revoked, member.revoked)) if ids)
