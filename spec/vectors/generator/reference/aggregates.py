"""Aggregates: what any tree of combined lifts finalizes to, before and after retractions [EX-4 to EX-6]."""

from __future__ import annotations

from typing import Any

from generator.reference.contributions import read_contribution, voters_of
from generator.reference.hashes import model_root
from generator.reference.recipes import complete, read_recipe
from generator.reference.reduction import Settings, Voter, certified, merge
from generator.reference.refused import Refused
from generator.reference.tensors import Tensors, read_tensors, show_tensors


def aggregate(spec: Any) -> dict[str, Any]:
    """tau_m of all contributions, and of those left after each retraction [EX-4, EX-5].

    "retract" is a list of positions in "contributions"; "tau_m" has one entry more than it.
    """
    base, full, ids, voters = lifted(spec)
    recipe = read_recipe(full)
    if len(set(ids)) != len(ids):
        raise Refused("AggregateError")
    left = list(range(len(voters)))
    stages = [merge(base, voters, recipe).tau_m]
    for position in spec["retract"]:
        if position not in left:
            raise Refused("AggregateError")
        left.remove(position)
        if not left:
            raise Refused("AggregateError")  # an aggregate of no contributions does not finalize [EX-5]
        stages.append(merge(base, [voters[i] for i in left], recipe).tau_m)
    return {"ids": [i.hex() for i in ids], "tau_m": [show_tensors(stage) for stage in stages]}


def combine(spec: Any) -> dict[str, Any]:
    """tau_m of two combined aggregates, "left" and "right", each of all its contributions [EX-4, EX-6]."""
    halves = [lifted(spec[side]) for side in ("left", "right")]
    (left, left_full, left_ids, _), (right, right_full, right_ids, _) = halves
    clash = any(left[name].shape != right[name].shape for name in set(left) & set(right))
    if left_full != right_full or set(left_ids) & set(right_ids) or clash:
        raise Refused("AggregateError")
    voters = [voter for *_, held in halves for voter in held]
    tau_m = merge({**left, **right}, voters, read_recipe(left_full)).tau_m
    return {"ids": sorted(i.hex() for i in left_ids + right_ids), "tau_m": show_tensors(tau_m)}


def lifted(spec: Any) -> tuple[Tensors, dict[str, str], list[bytes], list[Voter]]:
    """The base, the complete recipe, the ids and the voters of one aggregate."""
    base, full = read_tensors(spec["base"]), complete(spec["recipe"])
    if "settings" in full or "out_dtype" in full:
        raise Refused("AggregateError")  # ST-6, RC-15
    contributions = [read_contribution(model_root(base), c, full["method"]) for c in spec["contributions"]]
    voters, _ = voters_of(base, contributions, read_recipe(full), Settings.none(base, read_recipe(full)))
    return base, full, [c.id for c in contributions], voters


def certificate(spec: Any) -> dict[str, Any]:
    """Whether a sum of fp32 numbers, given as bits, is certified [EX-2]."""
    return {"certified": certified([int(bits, 16) for bits in spec["numbers"]])}
