"""The model that replicas are judged by: who said what, and who has heard of it. It knows no bytes, ids or hashes.

A fact is one thing that was said, under a name of the simulator's; a replica is the set of the facts it has heard.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field


@dataclass
class Model:
    """What every fact says, and what follows for one who has heard some of them [OS-9, OS-10, OS-12].

    adds: fact -> contribution. removes: fact -> the adds that it takes back. attests: fact -> what was visible to
    the one who said it, and the root that it names.
    """

    adds: dict[str, str] = field(default_factory=dict)
    removes: dict[str, Set[str]] = field(default_factory=dict)
    attests: dict[str, tuple[Set[str], str]] = field(default_factory=dict)

    def standing(self, heard: Set[str]) -> Set[str]:
        """The adds that nothing heard takes back."""
        taken_back = {add for fact in heard & self.removes.keys() for add in self.removes[fact]}
        return (heard & self.adds.keys()) - taken_back

    def visible(self, heard: Set[str]) -> Set[str]:
        """The contributions of the standing adds."""
        return {self.adds[add] for add in self.standing(heard)}

    def observed(self, heard: Set[str], contribution: str) -> Set[str]:
        """What a retraction takes back: the standing adds that are known to the one who retracts."""
        return {add for add in self.standing(heard) if self.adds[add] == contribution}

    def attested(self, heard: Set[str]) -> Set[str]:
        """The roots that somebody heard of computed for what is visible now."""
        visible = self.visible(heard)
        said = (self.attests[fact] for fact in heard & self.attests.keys())
        return {root for seen, root in said if seen == visible}
