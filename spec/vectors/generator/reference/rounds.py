"""Methods in several rounds, and those that look at whole tensors first [RA-3, RA-4, SC, EM-3, EM-4, CO].

A method has phases: what one adds is judged over the whole model before the next begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from generator.reference.dots import dot, r64
from generator.reference.elements import THRESHOLD
from generator.reference.recipes import read_recipe
from generator.reference.reduction import (
    Merged,
    Voter,
    apply,
    certified,
    check_coefficients,
    keep,
    product,
    ratio,
    scaled,
    sign,
    total,
)
from generator.reference.refused import Refused
from generator.reference.result_dtypes import copied
from generator.reference.rounding import F32, F64, is_finite, magnitude, rn, rounded, value
from generator.reference.settings import numbers_of
from generator.reference.tensors import Tensors, in_name_order, tensor_of_bits

ONE = rn(F32, Fraction(1))
Bits = tuple[int, ...]


@dataclass(frozen=True)
class Held:
    """What a contribution holds of a tensor: fp32 bits of c and of each tau, and its place in the order."""

    i: int
    id: str
    c: int
    tau: Sequence[int]


@dataclass
class Model:
    """All tensors that somebody holds, in name order; and what phases leave for each other."""

    full: Mapping[str, str]
    held: Mapping[str, Sequence[Held]]
    numbers: Mapping[str, Mapping[str, Fraction]]
    own: Mapping[str, Mapping[str, Mapping[str, Fraction]]]
    notes: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def number(self, key: str, name: str, contribution: str | None = None) -> Fraction:
        """What a tensor, or a contribution at it, has under a key [ST-2, ST-8]."""
        numbers = self.numbers if contribution is None else self.own[contribution]
        return numbers[name].get(key, Fraction(self.full.get(key, "1")))


#: A tensor's terms: for each that holds it, for each element, fp32 bits.
Phase = Callable[[Model, str], list[list[Bits]]]


def v_of(one: Held) -> list[int]:
    return [product(one.c, tau) for tau in one.tau]


def exact(bits: Sequence[int]) -> list[Fraction]:
    return [value(F32, b) for b in bits]


def columns(rows: Sequence[Sequence[int]]) -> list[Bits]:
    return list(zip(*rows, strict=True))


# -- SCE -----------------------------------------------------------------------------------------------------


def sce_squares(model: Model, name: str) -> list[list[Bits]]:
    """u, tau and q; the variances are noted [SC-2, SC-3]."""
    rows, n = [one.tau for one in model.held[name]], Fraction(len(model.held[name]))
    mus = [value(F32, ratio(total(column), n)) for column in columns(rows)]
    squares = []
    for row in rows:
        hs = [rn(F32, value(F32, tau) - mu) for tau, mu in zip(row, mus, strict=True)]
        squares.append([rn(F32, value(F32, h) ** 2) if is_finite(F32, h) else h for h in hs])
    if all(is_finite(F32, q) for row in squares for q in row):
        variances = [ratio(total(column), n) or 1 for column in columns(squares)]
        model.notes.setdefault("variance", {})[name] = variances
    us = [v_of(one) for one in model.held[name]]
    return [list(zip(u, row, qs, strict=True)) for u, row, qs in zip(us, rows, squares, strict=True)]


def sce_terms(model: Model, name: str) -> list[list[Bits]]:
    """v and w of those that have the sign [SC-3 to SC-5]."""
    held, taus = model.held[name], []
    for one in held:
        tau = list(one.tau)
        if model.full["select_topk"] != "1":
            kept = keep(model.notes["variance"][name], Fraction(model.full["select_topk"]), "keep_all")
            tau = [b if k else 0 for b, k in zip(tau, kept, strict=True)]
        model.notes.setdefault(f"left {one.i}", {})[name] = [b for b in tau if magnitude(F32, b)]
        taus.append(exact(tau))
    squares = [value(F32, one.c) * dot(xs, xs) for one, xs in zip(held, taus, strict=True)]
    ws = [rn(F32, square / sum(squares)) if sum(squares) else 0 for square in squares]
    signs = [1 if total(column) >= 0 else -1 for column in columns([v_of(one) for one in held])]
    return [
        [(rn(F32, value(F32, w) * x), w) if sign(x) == gamma else (0, 0) for x, gamma in zip(xs, signs, strict=True)]
        for xs, w in zip(taus, ws, strict=True)
    ]


def sce_total(model: Model, name: str, at: int, terms: Sequence[Bits]) -> int:
    """tau_m [SC-5]."""
    V, W = total(v for v, _ in terms), total(w for _, w in terms)
    return ratio(V, W) if W else 0


# -- RAM+ ----------------------------------------------------------------------------------------------------


def ram_v(one: Held) -> list[int]:
    return [v if abs(value(F32, tau)) > THRESHOLD else 0 for v, tau in zip(v_of(one), one.tau, strict=True)]


def is_change(v: int) -> bool:
    return magnitude(F32, v) != 0


def ram_changes(model: Model, name: str) -> list[list[Bits]]:
    """v [RA-1]."""
    return [[(v,) for v in ram_v(one)] for one in model.held[name]]


def ram_enlarged(model: Model, name: str) -> list[list[Bits]]:
    """v' [RA-3, RA-4]."""
    rows = [ram_v(one) for one in model.held[name]]
    k = [sum(map(is_change, column)) for column in columns(rows)]
    found = []
    for row in rows:
        alone = sum(is_change(v) and n == 1 for v, n in zip(row, k, strict=True))
        shared = sum(is_change(v) and n > 1 for v, n in zip(row, k, strict=True))
        r, alpha = (model.number(key, name) for key in ("r", "alpha"))
        f = rn(F32, 1 + r * min(Fraction(shared, alone), alpha)) if alone else ONE
        found.append([(enlarged(f, v) if n == 1 else v,) for v, n in zip(row, k, strict=True)])
    return found


def enlarged(f: int, v: int) -> int:
    if not is_change(v):
        return 0
    return rn(F32, value(F32, f) * value(F32, v)) if is_finite(F32, f) else f


def ram_total(model: Model, name: str, at: int, terms: Sequence[Bits]) -> int:
    changed = [v for (v,) in terms if is_change(v)]
    return ratio(total(changed), Fraction(len(changed))) if changed else 0


# -- EMR for a task ------------------------------------------------------------------------------------------


def plain(model: Model, name: str) -> list[list[Bits]]:
    return [[(v,) for v in v_of(one)] for one in model.held[name]]


def taken(model: Model, name: str) -> tuple[list[Fraction], list[Fraction]]:
    """v of the task's contribution, and what it takes of the unified model [EM-3]."""
    rows = [exact(v_of(one)) for one in model.held[name]]
    unified = [max(column) if sum(column) > 0 else min(column) for column in zip(*rows, strict=True)]
    (v,) = (row for row, one in zip(rows, model.held[name], strict=True) if one.id == model.full["task"])
    return v, [u if sign(x) == sign(u) else Fraction(0) for x, u in zip(v, unified, strict=True)]


def emr_terms(model: Model, name: str) -> list[list[Bits]]:
    """f u' of the task's contribution, 0 of all others [EM-4]."""
    f = emr_scale(model)
    found = []
    for one in model.held[name]:
        if one.id != model.full["task"]:
            found.append([(0,)] * len(one.tau))
        else:
            us = taken(model, name)[1]
            found.append([(rn(F32, value(F32, f) * u) if is_finite(F32, f) else f,) for u in us])
    return found


def emr_scale(model: Model) -> int:
    """f [EM-3]."""
    of_v, of_u = Fraction(0), Fraction(0)
    for name, held in model.held.items():
        if any(one.id == model.full["task"] and one.tau for one in held):
            v, u = taken(model, name)
            of_v += mean_size(v)
            of_u += mean_size(u)
    return rn(F32, of_v / of_u) if of_u else 0


def mean_size(xs: Sequence[Fraction]) -> Fraction:
    return r64(dot(list(map(abs, xs)), [Fraction(1)] * len(xs)) / len(xs))


def emr_total(model: Model, name: str, at: int, terms: Sequence[Bits]) -> int:
    return rounded(total(v for (v,) in terms), F64, F32)


# -- consensus and TALL masks --------------------------------------------------------------------------------


def mask_total(model: Model, name: str, at: int, terms: Sequence[Bits]) -> int:
    """tau_m [CO-3, CO-4]."""
    s = rounded(total(v for (v,) in terms), F64, F32)
    if model.full.get("task") == "":
        return s
    factors = [value(F32, rn(F32, model.number("tall_lambda", name, one.id))) for one in model.held[name]]
    set_ = [masked(factor, s, v) for factor, (v,) in zip(factors, terms, strict=True)]
    if "task" in model.full:
        return (
            s if any(m and one.id == model.full["task"] for m, one in zip(set_, model.held[name], strict=True)) else 0
        )
    return s if sum(set_) >= int(model.full["threshold"]) else 0


def masked(factor: Fraction, s: int, v: int) -> bool:
    """Whether the mask of a v is set [CO-2]."""
    if not is_finite(F32, s):
        return False
    others = rn(F32, value(F32, s) - value(F32, v))
    if not is_finite(F32, others):
        return False
    return abs(value(F32, v)) > factor * abs(value(F32, others))


# -- all of them ---------------------------------------------------------------------------------------------

Total = Callable[[Model, str, int, Sequence[Bits]], int]
METHODS: Mapping[str, tuple[Sequence[Phase], Total]] = {
    "sce": ((plain, sce_terms), sce_total),
    "sce, selected": ((sce_squares, sce_terms), sce_total),
    "ramplus_tl": ((ram_changes, ram_enlarged), ram_total),
    "emr of a task": ((plain, emr_terms), emr_total),
    "consensus_ta": ((plain,), mask_total),
    "tall_mask": ((plain,), mask_total),
}


def row_of(full: Mapping[str, str]) -> str:
    """The row of METHODS; no row for a method of one round and element."""
    if full["method"] == "emr":
        return "emr of a task" if full["task"] else ""
    if full["method"] == "sce" and full["select_topk"] != "1":
        return "sce, selected"
    return full["method"]


def merge(base: Tensors, voters: Sequence[Voter], full: Mapping[str, Any], ids: Sequence[str]) -> tuple[Merged, Model]:
    """The merged model [MG-1 to MG-7], and what the phases noted."""
    recipe = read_recipe(full)
    entries, names = full.get("settings", []), [name for name, t in base.items() if t.is_float]
    numbers, own = numbers_of(entries, names), [numbers_of(entries, names, one) for one in ids]
    check_coefficients(voters, recipe)
    if full.get("task") and list(ids).count(full["task"]) != 1:
        raise Refused("RecipeError")
    held: dict[str, list[Held]] = {}
    cs: dict[str, list[int]] = {}
    for name, _ in in_name_order(base):
        factors = [numbers_of_one.get(name, {}).get("coefficient", Fraction(1)) for numbers_of_one in own]
        cs[name] = [scaled(v.c, factor, name, i) for i, (v, factor) in enumerate(zip(voters, factors, strict=True))]
        held[name] = [Held(i, ids[i], cs[name][i], v.taus[name].bits()) for i, v in enumerate(voters) if name in v.taus]
    model = Model(full, {name: of for name, of in held.items() if of}, numbers, dict(zip(ids, own, strict=True)))
    phases, finish = METHODS[row_of(full)]
    failed = {name: set[int]() for name in model.held}
    for phase in phases[:-1]:
        for name in model.held:
            judge(base, model, name, phase(model, name), failed[name])
    out = full.get("out_dtype", "")
    tensors, taus = {name: t if name in model.held else copied(name, t, out) for name, t in base.items()}, {}
    for name in model.held:
        lambda32 = rn(F32, model.number("lambda", name))
        result, tau_m = finished(base, model, name, phases[-1](model, name), finish, lambda32, failed[name])
        tensors[name] = tensor_of_bits(out or base[name].dtype, base[name].shape, result)
        taus[name] = tensor_of_bits("F32", base[name].shape, tau_m)
        if not certified(cs[name]):
            failed[name] = set(range(base[name].elements))
    return Merged(tensors, taus, sum(map(len, failed.values()))), model


def judge(base: Tensors, model: Model, name: str, terms: Sequence[Sequence[Bits]], failed: set[int]) -> None:
    for at in range(base[name].elements):
        judge_element(base, model, name, [row[at] for row in terms], at, failed)


def judge_element(base: Tensors, model: Model, name: str, terms: Sequence[Bits], at: int, failed: set[int]) -> None:
    """Refuse what is not finite, and note where a sum fails its certificate [MG-6, EX-7]."""
    for one, of in zip(model.held[name], terms, strict=True):
        if not all(is_finite(F32, x) for x in of):
            raise Refused("NonFinite", contribution=one.i, tensor=name, index=base[name].index(at))
    if not all(map(certified, zip(*terms, strict=True))):
        failed.add(at)


def finished(
    base: Tensors,
    model: Model,
    name: str,
    terms: Sequence[Sequence[Bits]],
    finish: Total,
    lambda32: int,
    failed: set[int],
) -> tuple[list[int], list[int]]:
    """The bits of the results and of tau_m of a tensor."""
    results, taus = [], []
    for at, b in enumerate(base[name].bits()):
        here = [row[at] for row in terms]
        judge_element(base, model, name, here, at, failed)
        tau_m = finish(model, name, at, here)
        result = (
            apply(base[name], b, lambda32, tau_m, model.full.get("out_dtype", "")) if is_finite(F32, tau_m) else None
        )
        if result is None:
            raise Refused("NonFinite", tensor=name, index=base[name].index(at))
        results.append(result)
        taus.append(tau_m)
    return results, taus


def kept(model: Model, counts: Sequence[int]) -> list[int]:
    """How many elements count of each contribution [LK-2, SC-6]. counts: of all its elements."""
    if row_of(model.full) != "sce, selected":
        return list(counts)
    return [sum(map(len, model.notes.get(f"left {i}", {}).values())) for i in range(len(counts))]
