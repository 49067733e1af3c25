"""`mergealgebra [-C WORKSPACE] status`"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from mergealgebra.cli.options import json_option, threads_option
from mergealgebra.cli.progress import progress_bar
from mergealgebra.cli.report import report, say, say_table, tell, warn
from mergealgebra.cli.words import command_for

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.store.objects import Store
    from mergealgebra.store.usage import Usage
    from mergealgebra.workspace import Workspace

#: What the folder of an open workspace can and cannot promise.
_TRUST: Final = (
    "This workspace is open: who can write to a folder that you sync with can add contributions, take them back, and "
    "hide that."
)
#: And that of a signed one.
_SIGNED: Final = (
    "This workspace is signed: only its maintainers, and whom they let, can change it. Who can write to a folder that "
    "you sync with can still hide what is new."
)

#: What the columns are of: a contribution may hold some tensors alone.
_COLUMNS: Final = (
    "change: its size (norm), against that of the same tensors of the base. values: how many of theirs it changes."
)

#: What --json prints of a visible contribution.
_Entry = Mapping[str, Any]


@click.command()
@click.option("--measure", is_flag=True, help="Read what was not measured here yet, and tell how much it changes.")
@threads_option
@json_option
@click.pass_obj
def command(workspace: str, measure: bool, threads: int | None, as_json: bool) -> None:
    """Show the visible contributions, what they merge to, and what is amiss."""
    from mergealgebra.crdt.garbage_collector import paused
    from mergealgebra.workspace import Workspace

    opened = Workspace.open(workspace)
    unmeasured: tuple[str, ...] = ()
    if measure:
        with progress_bar() as show:
            unmeasured = opened.measure(threads=threads, progress=show)
    with paused():
        _report(opened, unmeasured, as_json)


def _report(opened: Workspace, unmeasured: Sequence[str], as_json: bool) -> None:
    """Say what is in a workspace. unmeasured: lines about what could not be measured."""
    from mergealgebra.attestations import MOST_SHOWN, disagreements
    from mergealgebra.cli.trust import signed_for_json, signed_for_people, without_effect
    from mergealgebra.store.usage import Usage

    store, genesis = opened.store, opened.store.genesis
    state, foreign = store.contents()
    visible = _visible(state, store)
    name, doubt = _own_name(opened)
    surprising = _warnings(visible, command_for(store), complete=not opened.doubts)
    warnings = [*opened.doubts, *doubt, *_base_lost(opened), *unmeasured, *_misfit(store, visible), *surprising]
    warnings += [line for _, line in disagreements(state)][:MOST_SHOWN] + _unfinished(store)
    warnings += without_effect(state, foreign)
    usage = Usage.of(store, state)
    found = {
        "workspace": genesis.workspace_id,
        "name": genesis.name,
        "as_name": name,
        "base": genesis.base,
        "default_recipe": dict(genesis.recipe),
        "default_recipe_id": genesis.recipe_id,
        "merge_id": state.merge_id,
        **signed_for_json(state, foreign),
        "operations": len(state.operations),
        "bytes": usage.to_map(),
        "visible": visible,
        "warnings": warnings,
    }
    if as_json:
        report(found)
        return
    _tell(found, store, usage, signed_for_people(state))
    for text in warnings:
        warn(text)
    say()
    if any(entry["name"] for entry in visible) and not genesis.is_signed:
        from mergealgebra.cli.words import UNPROVED

        say(UNPROVED)
    say(_SIGNED if genesis.is_signed else _TRUST)


def _tell(found: Mapping[str, Any], store: Store, usage: Usage, signed: Mapping[str, str]) -> None:
    """What a workspace is, and what is visible in it, for a person. signed: lines about a signed one."""
    from mergealgebra.cli.words import count
    from mergealgebra.ids import SHORT
    from mergealgebra.recipe import in_words
    from mergealgebra.signing import own_public_key
    from mergealgebra.store.local import is_replica

    visible: Sequence[_Entry] = found["visible"]
    tell(
        {
            "workspace": found["name"] or "without a name",
            "id": found["workspace"],  # whole: it is what `clone PEER#ID` takes
            **_you(found["as_name"], store),
            "base": found["base"][:SHORT],
            "recipe": in_words(found["default_recipe"]),
            "merge id": found["merge_id"][:SHORT],
            **signed,
            "on the disk": _on_the_disk(usage),
        }
    )
    say()
    if not visible:
        advice = f": `{command_for(store)} contribute CKPT` adds a fine-tune" if is_replica(store) else ""
        say(f"Nothing is contributed yet{advice}.")
        return
    say(f"{count(len(visible), 'contribution')}:")
    say_table(_rows(visible, store.genesis.maintainers, own_public_key(store)), indent="  ")
    if any(entry["difference"] for entry in visible):
        say(f"  {_COLUMNS}")
    if is_replica(store) and any(entry["here"] and not entry["difference"] for entry in visible):
        say(f"  `{command_for(store)} status --measure` fills in what is not measured here yet.")


def _you(name: str | None, store: Store) -> dict[str, str]:
    """Who the owner is; nothing of a shared folder, which is nobody's."""
    from mergealgebra.store.local import is_replica

    if not is_replica(store):
        return {}
    return {"you": name or f"without a name; `{command_for(store)} set-name NAME` gives you one"}


def _base_lost(workspace: Workspace) -> list[str]:
    """A line if the base is not where its owner said."""
    from mergealgebra.errors import WorkspaceError
    from mergealgebra.store.local import is_replica

    try:
        if is_replica(workspace.store):
            _ = workspace.base
    except WorkspaceError as error:
        return [str(error)]
    return []


def _misfit(store: Store, visible: Sequence[_Entry]) -> list[str]:
    """A line if the workspace's recipe cannot merge what is visible, for its number or its task."""
    from mergealgebra.errors import MergeAlgebraError
    from mergealgebra.store.local import default_recipe
    from mergealgebra.wanted import misfit

    try:
        said = misfit(default_recipe(store), [entry["contribution"] for entry in visible])
    except MergeAlgebraError:  # a recipe that this version does not know; who computes it says so
        return []
    return [said] if said else []


def _on_the_disk(usage: Usage) -> str:
    """What a workspace takes, without what takes nothing."""
    from mergealgebra.cli.words import size

    parts = {
        "operations": usage.operations,
        "visible tensors": usage.visible,
        "retracted tensors": usage.retracted,
        "tensors that came in part": usage.partial,
        "cache": usage.cache,
        "kept sums": usage.aggregate,
    }
    return ", ".join(f"{size(nbytes)} of {what}" for what, nbytes in parts.items() if nbytes) or "nothing"


def _rows(visible: Sequence[_Entry], maintainers: Sequence[str], own: str | None) -> Iterator[tuple[str, ...]]:
    from mergealgebra.cli.words import NOTHING, WHEN, called_maintainer, form_in_words, noted, percent, size, when, who
    from mergealgebra.ids import short_ids
    from mergealgebra.signatures import fingerprint

    called = {fingerprint(key): called_maintainer(number, mine=key == own) for number, key in enumerate(maintainers)}
    short = short_ids(entry["contribution"] for entry in visible)
    yield "id", "who", WHEN, "what", "size", "change", "values", "note"
    for entry in visible:
        yield (
            short[entry["contribution"]],
            who(called.get(entry["name"], entry["name"])),
            when(entry["time"]),
            form_in_words(entry["form"], entry["coefficient"]),
            "not here" if entry["bytes"] is None else size(entry["bytes"]),
            *(percent(entry[key]) if entry[key] else NOTHING for key in ("difference", "changed")),
            noted(entry["note"]),
        )


def _visible(state: ORSet, store: Store) -> list[dict[str, object]]:
    from mergealgebra.algebra.decimals import from_hex, shortest
    from mergealgebra.figures import saved_figures
    from mergealgebra.history import told_by
    from mergealgebra.store.holdings import needed_kinds
    from mergealgebra.store.usage import blob_sizes

    kinds, sizes = needed_kinds(store.genesis), blob_sizes(store)
    measured = saved_figures(store.path, state.visible_ids())
    entries: list[dict[str, object]] = []
    for id_, manifest in state.visible().items():
        figures, add = measured.get(id_, {}), told_by(state, id_)
        entries.append(
            {
                "contribution": id_,
                "form": manifest.form,
                "coefficient": shortest(from_hex(manifest.coefficient)),
                "elements": manifest.elements,
                "tensors": manifest.tensors,
                "here": all(root in sizes for root in manifest.roots(kinds)),
                "bytes": sizes.get(manifest.tensors),
                "name": state.maker(add),
                "time": add.time,
                "note": add.note,
                "difference": figures.get("difference"),
                "changed": figures.get("changed"),
            }
        )
    return entries


def _own_name(workspace: Workspace) -> tuple[str | None, list[str]]:
    """The owner's name, and a line if what is written down is not a name."""
    from mergealgebra.errors import WorkspaceError

    try:
        return workspace.as_name, []
    except WorkspaceError as error:
        return None, [str(error)]


def _warnings(visible: Sequence[_Entry], command: str, *, complete: bool) -> list[str]:
    """What stops `resolve`, or may surprise [OS-13]. command: begins a command about this workspace.

    complete: whether the last syncs were; if not, the next may bring what is missing, and nobody should retract it.
    """
    from mergealgebra.cli.words import same_tensors
    from mergealgebra.figures import doubts
    from mergealgebra.ids import short_ids

    short = short_ids(entry["contribution"] for entry in visible)
    warnings = [
        f"contribution {short[entry['contribution']]}: its tensors are not here, so nothing can be merged: sync with "
        "somebody who has them"
        + (f", or take it back for everybody: `{command} retract {short[entry['contribution']]}`" if complete else "")
        for entry in visible
        if not entry["here"]
    ]
    warnings += same_tensors({entry["contribution"]: entry["tensors"] for entry in visible}, command)
    figures = {entry["contribution"]: entry for entry in visible if entry["difference"]}
    for id_, said in doubts(figures).items():
        warnings.append(f"contribution {short[id_]}: {said}; if so, `{command} retract {short[id_]}`")
    return warnings


def _unfinished(store: Store) -> list[str]:
    """What killed commands of this workspace left [LK-7]."""
    from mergealgebra.model_folder.leftovers import age_in_words
    from mergealgebra.store.garbage import leftovers
    from mergealgebra.text import location

    return [
        f"{location(left.path)} is an {left.kind} of a command that was killed, {left.nbytes:,} bytes, "
        f"{age_in_words(left.age)} old; `{command_for(store)} gc --delete` removes it"
        for left in leftovers(store.path)
    ]
