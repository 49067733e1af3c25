"""Aggregates: what any tree of combined lifts finalizes to, before and after retractions [EX-4 to EX-6]."""

from __future__ import annotations

from typing import Any

from generator.reference.contributions import read_contribution, voters_of
from generator.reference.hashes import model_root
from generator.reference.recipes import complete, read_recipe
from generator.reference.reduction import certified, merge
from generator.reference.refused import Refused
from generator.reference.tensors import read_tensors, show_tensors


def aggregate(spec: Any) -> dict[str, Any]:
    """tau_m of all contributions, and of those left after each retraction [EX-4, EX-5].

    "retract" is a list of positions in "contributions"; "tau_m" has one entry more than it.
    """
    base, full = read_tensors(spec["base"]), complete(spec["recipe"])
    recipe, root = read_recipe(full), model_root(base)
    contributions = [read_contribution(root, c, full["method"]) for c in spec["contributions"]]
    voters, _ = voters_of(base, contributions, recipe)
    if len({c.id for c in contributions}) != len(contributions):
        raise Refused("AggregateError")
    left = list(range(len(voters)))
    stages = [merge(base, voters, recipe).tau_m]
    for position in spec["retract"]:
        if position not in left:
            raise Refused("AggregateError")
        left.remove(position)
        stages.append(merge(base, [voters[i] for i in left], recipe).tau_m)
    return {"ids": [c.id.hex() for c in contributions], "tau_m": [show_tensors(stage) for stage in stages]}


def certificate(spec: Any) -> dict[str, Any]:
    """Whether a sum of fp32 numbers, given as bits, is certified [EX-2]."""
    return {"certified": certified([int(bits, 16) for bits in spec["numbers"]])}
