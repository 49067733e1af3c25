"""Forms: what a contribution's stored tensors stand for, by their names [CT-13, CT-14]; auxiliary tensors [CT-15]."""

from __future__ import annotations

from fractions import Fraction
from math import prod

from generator.reference.refused import Refused
from generator.reference.rounding import F32, F64, Format, convert, is_finite, rn, rounded, value
from generator.reference.taskvectors import check_held, difference_of, finite_or_none, stored_tau, vector
from generator.reference.tensors import Tensor, Tensors, in_name_order

FACTORS = (".low_rank_up", ".low_rank_down", ".low_rank_scale")
VECTOR = ".task_vector"
PLAIN = ("finetuned", "task_vector")


def parted(name: str) -> tuple[str, str]:
    """A tensor's own name, and the suffix."""
    for suffix in (*FACTORS, VECTOR):
        if name.endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def by_form(stored: Tensors) -> dict[str, str]:
    """The form of each tensor of a contribution of several forms, or of factors [CT-13]."""
    forms: dict[str, set[str]] = {}
    for name, _ in in_name_order(stored):
        own, suffix = parted(name)
        form = "finetuned" if not suffix else "task_vector" if suffix == VECTOR else "low_rank"
        forms.setdefault(own, set()).add(form)
    for own, found in forms.items():
        if len(found) > 1:
            raise Refused("DuplicateName", tensor=own)
        for suffix in FACTORS:
            if found == {"low_rank"} and own + suffix not in stored:
                raise Refused("NamesError", tensor=own + suffix)
    return {own: form for own, (form,) in ((own, tuple(found)) for own, found in forms.items())}


def shape_of(own: str, up: Tensor, down: Tensor, scale: Tensor) -> tuple[int, ...]:
    for suffix, factor in zip(FACTORS, (up, down), strict=False):
        if not factor.is_float:
            raise Refused("DtypeError", tensor=own + suffix)
    if scale.dtype != "F64":
        raise Refused("DtypeError", tensor=own + FACTORS[2])
    if scale.shape != ():
        raise Refused("ShapeError", tensor=own + FACTORS[2])
    if len(up.shape) != 2 or not down.shape or up.shape[1] != down.shape[0] or up.shape[1] < 1:
        raise Refused("ShapeError", tensor=own)
    return (up.shape[0], *down.shape[1:])


def numbers(fmt: Format, tensor: Tensor) -> list[Fraction | None]:
    """The elements rounded to fp32; None for one that is not finite there."""
    narrow = [convert(fmt, b, F32) if is_finite(fmt, b) else F32.infinity for b in tensor.bits()]
    return [value(F32, b) if is_finite(F32, b) else None for b in narrow]


def factored(own: str, up: Tensor, down: Tensor, scale: Tensor) -> Tensor:
    """tau of the factors of one tensor [CT-14]."""
    shape = shape_of(own, up, down, scale)
    (m, rank), n = up.shape, prod(down.shape[1:])
    a, b = numbers(up.fmt, up), numbers(down.fmt, down)
    times = value(F64, scale.bits()[0]) if is_finite(F64, scale.bits()[0]) else None
    taus = []
    for i in range(m):
        for j in range(n):
            row, column = a[i * rank : (i + 1) * rank], [b[k * n + j] for k in range(rank)]
            taus.append(element(row, column, times))
    return vector(own, shape, taus)


def element(row: list[Fraction | None], column: list[Fraction | None], scale: Fraction | None) -> int | None:
    total = Fraction(0)
    for x, y in zip(row, column, strict=True):
        if x is None or y is None:
            return None
        total = value(F64, rn(F64, total + x * y))
    if scale is None:
        return None
    return finite_or_none(rounded(scale * total, F64, F32))


def task_vector_of(base: Tensors, form: str, stored: Tensors) -> dict[str, Tensor]:
    """The task vector of a contribution. form: of its manifest, or `mixed`."""
    forms = dict.fromkeys(stored, form) if form in PLAIN else by_form(stored)
    found = {}
    for own, of in sorted(forms.items(), key=lambda item: item[0].encode("utf-8")):
        if of == "low_rank":
            found[own] = factored(own, *(stored[own + suffix] for suffix in FACTORS))
            check_held(base, {own: found[own]})
        else:
            plain = stored[own if form in PLAIN or of == "finetuned" else own + VECTOR]
            check_held(base, {own: plain})
            if of == "finetuned":
                found[own] = difference_of(own, base[own], plain)
            else:
                found[own] = vector(own, plain.shape, [stored_tau(plain, s) for s in plain.bits()])
    return found


def forms_found(form: str, stored: Tensors) -> list[str]:
    return [form] if form in PLAIN else sorted(set(by_form(stored).values()))


# Auxiliary tensors

ROWS = ".gram_rows"


def refuse(rule: str, tensor: str, index: list[int] | None = None) -> None:
    raise Refused(rule, tensor=tensor, index=index)


def check_auxiliary(kind: str, tensors: Tensors, taus: Tensors) -> None:
    """CT-15. taus: the task vector."""
    (check_fisher if kind == "fisher" else check_gram)(tensors, taus)


def finite(name: str, tensor: Tensor) -> list[Fraction]:
    found = []
    for i, x in enumerate(numbers(tensor.fmt, tensor)):
        if x is None:
            raise Refused("NonFinite", tensor=name, index=tensor.index(i))
        found.append(x)
    return found


def check_fisher(tensors: Tensors, taus: Tensors) -> None:
    for name in sorted({*tensors, *taus}, key=lambda name: name.encode("utf-8")):
        if name not in tensors or name not in taus:
            refuse("NamesError", name)
    for name, tensor in in_name_order(tensors):
        if not tensor.is_float:
            refuse("DtypeError", name)
        if tensor.shape != taus[name].shape:
            refuse("ShapeError", name)
        for i, x in enumerate(finite(name, tensor)):
            if x < 0:
                refuse("AuxiliaryError", name, tensor.index(i))


def check_gram(tensors: Tensors, taus: Tensors) -> None:
    layers = {name.removesuffix(ROWS) for name in tensors}
    if not layers:
        refuse("NamesError", "")
    for own in sorted(layers, key=lambda name: name.encode("utf-8")):
        for name in (own, own + ROWS):
            if name not in tensors or own not in taus:
                refuse("NamesError", name)
        matrix, rows = tensors[own], tensors[own + ROWS]
        if not matrix.is_float:
            refuse("DtypeError", own)
        if rows.dtype != "I64":
            refuse("DtypeError", own + ROWS)
        if len(taus[own].shape) != 2 or matrix.shape != 2 * taus[own].shape[1:]:
            refuse("ShapeError", own)
        if rows.shape != ():
            refuse("ShapeError", own + ROWS)
        if not 1 <= rows.bits()[0] < 2**63:
            refuse("AuxiliaryError", own + ROWS)
        found, n = finite(own, matrix), matrix.shape[0]
        for i in range(n):
            for j in range(i):
                if found[i * n + j] != found[j * n + i]:
                    refuse("AuxiliaryError", own, [i, j])
