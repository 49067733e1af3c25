"""The merge that is wanted: of what is visible, by some recipe, or the merge of a lock once more [OS-11, LK-6]."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mergealgebra.crdt.genesis import merge_id
from mergealgebra.crdt.manifest import Manifest
from mergealgebra.crdt.operations import Add
from mergealgebra.credits import Credit, credits_of
from mergealgebra.errors import BaseMismatch, BlobMissing, UnknownContribution
from mergealgebra.ids import SHORT
from mergealgebra.methods.method import Method
from mergealgebra.methods.settings import contributions_in
from mergealgebra.recipe import computable_recipe
from mergealgebra.text import by_caller, command_in

if TYPE_CHECKING:
    from mergealgebra.crdt.orset import ORSet
    from mergealgebra.lock import Lock


@dataclass(frozen=True)
class Wanted:
    """Base, recipe, and contributions by their ids, ascending: what a merge gives depends on nothing else [MG-8].

    credits: what is known of the contributions, by their ids, for the model card alone [LK-8].
    """

    base: str
    recipe: Method
    contributions: Mapping[str, Manifest]
    credits: Mapping[str, Credit] = field(default_factory=dict, compare=False)

    @classmethod
    def visible(cls, state: ORSet, recipe: Method | None = None) -> Self:
        """What is visible in a state, by its workspace's default recipe, or by another [OS-11]."""
        recipe = recipe or computable_recipe(state.genesis.recipe)
        return cls(state.genesis.base, recipe, state.visible(), _credits(state, state.visible_ids()))

    @classmethod
    def locked(cls, lock: Lock, state: ORSet) -> Self:
        """What a lock describes, all of which was added in a state once [LK-6].

        Raises BaseMismatch for another base, and UnknownContribution.
        """
        if lock.base != state.genesis.base:
            raise BaseMismatch(
                f"its base is {lock.base}, the workspace's {state.genesis.base}; name the workspace that it was made in"
            )
        known = known_manifests(state)
        for contribution in lock.contributions:
            if contribution.id not in known:
                raise UnknownContribution(
                    f"contribution {contribution.id} is unknown to the workspace; sync with a replica that has it"
                )
        contributions = {contribution.id: known[contribution.id] for contribution in lock.contributions}
        return cls(lock.base, computable_recipe(lock.recipe), contributions, _credits(state, contributions))

    def refuse_lost(self, found: Container[str], state: ORSet, workspace: Path) -> None:
        """Raise BlobMissing for a retracted contribution whose tensors are not among the roots that were found.

        workspace: where they were looked for.
        """
        for id_ in sorted(self.contributions.keys() - state.visible().keys()):
            if self.contributions[id_].tensors not in found:
                takes = by_caller(f"{command_in(workspace)} sync PEER --retracted", "sync(PEER, retracted=True)")
                raise BlobMissing(
                    f"contribution {id_[:12]} was retracted, and its tensors are not here; if a share or a workspace "
                    f"has them, `{takes}` takes them"
                )

    @property
    def merge_id(self) -> str:
        """The id of this merge [MG-10]."""
        return merge_id(self.base, self.recipe.id, self.contributions)


def misfit(recipe: Method, contributions: Collection[str]) -> str:
    """Why a workspace's recipe cannot merge these contributions, whatever they hold; empty if it may [RC-13, NS-1]."""
    arity, task = recipe.needs.arity, recipe.needs.task
    other = f"{by_caller('`resolve OUT --recipe R`', 'resolve(OUT, recipe=R)')} merges by another recipe"
    if task and task not in contributions:
        return (
            f"the workspace's recipe, {recipe.name}, is for the task of contribution {task[:12]}, which is not visible "
            f"here, so it cannot merge: sync with somebody who has it; {other}"
        )
    if absent := [id_ for id_ in contributions_in(recipe) if id_ not in contributions]:
        return (
            f"the workspace's recipe, {recipe.name}, has settings for contribution {absent[0][:SHORT]}, which is not "
            f"visible here, so it cannot merge: sync with somebody who has it; {other}"
        )
    if arity is not None and contributions and len(contributions) != arity:
        number = "1 is" if len(contributions) == 1 else f"{len(contributions):,} are"
        return (
            f"the workspace's recipe, {recipe.name}, merges exactly {arity}, and {number} visible, so it "
            f"cannot merge: `retract` or contribute one; {other}"
        )
    return ""


def known_manifests(state: ORSet) -> dict[str, Manifest]:
    """All contributions that were ever added to a state's base, by id; retracted ones among them."""
    adds = {id_: state.adds(id_)[0].operation.payload for id_ in state.known_ids()}
    return {id_: add.manifest for id_, add in adds.items() if isinstance(add, Add)}


def _credits(state: ORSet, contributions: Iterable[str]) -> dict[str, Credit]:
    """What is known of contributions. An add that stands tells more than all that were taken back."""
    records = (record for id_ in contributions for record in state.standing(id_) or state.adds(id_))
    return credits_of((record.operation for record in records), state.maker)
