"""Whether contributions fit the base and the method, as far as headers tell: everything before a number is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isinf

from mergealgebra.algebra.decimals import round_to_fp32
from mergealgebra.algebra.method import Round
from mergealgebra.engine.sources import Contribution, Source
from mergealgebra.errors import AuxiliaryError, CoefficientError, DtypeError, MethodError, NamesError, RecipeError
from mergealgebra.ids import SHORT
from mergealgebra.kernels.blocks import block_rounds, whole_round
from mergealgebra.methods.method import OUT_DTYPE, Method
from mergealgebra.methods.numbers import Plain
from mergealgebra.methods.settings import CONTRIBUTION, SETTINGS, contributions_in
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.strange_names import name_advice
from mergealgebra.tensors.task_vector import check_shapes
from mergealgebra.text import listed, shown


def check_method(recipe: Method) -> None:
    """Raise MethodError for a method that cannot be computed, whoever wrote it, and RecipeError for one not here."""
    if not recipe.rounds:
        raise MethodError(f"{recipe.name} has no rounds; `rounds` returns (algebra.Round(lift, finalize),)")
    votes = whole_round(recipe) is None and any(round_.columns.votes for round_ in block_rounds(recipe))
    if votes and recipe.needs.negative:
        raise MethodError(
            f"{recipe.name} sums coefficients as votes, which must be positive, and takes negative ones; leave out "
            "negative=True, or columns=algebra.Columns(votes=True)"
        )


def check_plain(recipe: Method, plain: Mapping[str, Plain], contributions: Sequence[Contribution]) -> None:
    """Raise an error unless settings change numbers alone, and leave coefficients finite [ST-4].

    plain: what tensors are merged by.
    """
    if plain and (whole := whole_round(recipe)):
        raise RecipeError(f"{whole.name} sees whole tensors, of which settings say nothing; leave `settings` out")
    first: dict[int, tuple[str, Plain]] = {}
    for name, one in plain.items():
        first.setdefault(id(one), (name, one))
    for name, one in first.values():
        for each in (one, *one.own.values()):
            if _shape(each.method) != _shape(recipe):
                raise MethodError(f"{recipe.name} has other stages for tensor {name!r}: settings must not do that")
        for contribution in contributions:
            if isinf(round_to_fp32(Fraction(contribution.coefficient) * one.of(contribution.id).factor)):
                raise CoefficientError(
                    f"{contribution.label}: tensor {name!r}: its coefficient {contribution.coefficient!r} times that "
                    "of the recipe's settings is beyond the largest fp32 number; use a smaller one"
                )


def _shape(recipe: Method) -> list[tuple[object, ...]]:
    """What must be the same for all tensors."""
    return [
        (type(one), one.unit, *((tuple(map(type, one.stages)), one.columns) if isinstance(one, Round) else ()))
        for one in recipe.rounds
    ]


def check_out_dtype(recipe: Method, base: Source) -> None:
    """Raise RecipeError where what the method sees of the base would not be the base's numbers [RC-15]."""
    if recipe.out_dtype == "F64" and recipe.needs.base:
        narrow = (name for name, record in base.records.items() if record.dtype in ("F32", "BF16", "F16"))
        if (name := next(narrow, None)) is not None:
            raise RecipeError(
                f"{recipe.name}: {OUT_DTYPE}: the method looks at the base, so that F64 is only for a base of F64, and "
                f"tensor {name!r} is {base.records[name].dtype}; write F32, or leave it out"
            )


def check_arity(recipe: Method, contributions: int) -> None:
    """Raise RecipeError for more or fewer contributions than the method takes."""
    arity = recipe.needs.arity
    if arity is None or contributions == arity:
        return
    if contributions > arity:
        todo = f"take {contributions - arity} out, in a workspace by `mergealgebra retract ID`"
    else:
        todo = f"add {arity - contributions}"
    raise RecipeError(
        f"{recipe.name} merges exactly {arity} contribution{'s' if arity > 1 else ''}, and there are {contributions}; "
        f"{todo}, or merge by another method, such as mean"
    )


def check_task(recipe: Method, contributions: Sequence[Contribution]) -> None:
    """Raise RecipeError unless the contribution that a method's task names is there, once [RC-13]."""
    task = recipe.needs.task
    if not task:
        return
    named = [contribution.label for contribution in contributions if contribution.id == task]
    if len(named) == 1:
        return
    if named:
        raise RecipeError(
            f"{recipe.name}: task: {listed(named)} are the same contribution {task[:12]}; a task is one: leave out all "
            "but one of them"
        )
    ids = listed(f"{contribution.id} ({contribution.label})" for contribution in contributions)
    raise RecipeError(
        f"{recipe.name}: task: no contribution here has the id {task}; write the id of one that is here, in full: {ids}"
    )


def check_named(recipe: Method, contributions: Sequence[Contribution]) -> None:
    """Raise RecipeError unless each contribution that settings are for is there, once [ST-7]."""
    for id_ in contributions_in(recipe):
        named = [contribution.label for contribution in contributions if contribution.id == id_]
        where = f"{recipe.name}: {SETTINGS}: {CONTRIBUTION}"
        if len(named) > 1:
            raise RecipeError(
                f"{where}: {listed(named)} are the same contribution {id_[:SHORT]}, and settings by contribution are "
                "for one: leave out all but one of them"
            )
        if not named:
            ids = listed(f"{one.id} ({one.label})" for one in contributions)
            raise RecipeError(
                f"{where}: {id_} is not among what is merged; take its entries out, or write one of these ids: {ids}"
            )


def refuse_text(coefficients: Sequence[str]) -> None:
    """Raise CoefficientError for one text where a list of them must be: its characters are no coefficients."""
    if isinstance(coefficients, str):
        raise CoefficientError(
            f"coefficients is {shown(coefficients)}, one text; pass a list, such as [{coefficients!r}]"
        )


def check(contribution: Contribution, base: Source, recipe: Method) -> None:
    """Names, shapes and dtypes fit the base, and the contribution the method [CT-5]."""
    check_usable(contribution, recipe)
    if recipe.needs.roots and contribution.tensors is None and contribution.names:
        raise RecipeError(
            f"{contribution.label}: {recipe.name} makes masks from the root of its tensors; hash it first"
        )
    if contribution.forms and (whole := whole_round(recipe)):
        raise RecipeError(
            f"{contribution.label} holds tensors in several forms, and {whole.name} takes contributions of one: merge "
            "by a recipe without a dialect, or retract it"
        )
    for name in sorted(contribution.names, key=str.encode):
        if name not in base.records:
            todo = name_advice([name]) or "it belongs to another model"
            raise NamesError(f"{contribution.label}: tensor {name!r} is not in the base; {todo}")
        ours, theirs = contribution.source.records[name], base.records[name]
        check_shapes(f"{contribution.label}: tensor {name!r}", name, tuple(ours.shape), tuple(theirs.shape))
        if not (DTYPES[ours.dtype].is_float and DTYPES[theirs.dtype].is_float):
            raise DtypeError(
                f"{contribution.label}: tensor {name!r} is {ours.dtype}, the base's {theirs.dtype}; "
                "only float tensors have a task vector; leave it out"
            )


def check_usable(contribution: Contribution, recipe: Method) -> None:
    """Coefficient and auxiliary tensors fit the method [RC-6]. Raises CoefficientError, RecipeError and the like."""
    recipe.check_coefficient(contribution.coefficient, contribution.label)
    for kind in sorted(recipe.needs.auxiliary):
        _check_auxiliary(contribution, kind, recipe)


def _check_auxiliary(contribution: Contribution, kind: str, recipe: Method) -> None:
    """A number for each element of each tensor."""
    source = contribution.auxiliary.get(kind)
    if source is None:
        raise AuxiliaryError(
            f"{contribution.label} has no {kind} tensors, which {recipe.name} needs: contribute it again with them, or "
            "merge by another method"
        )
    for name in sorted(contribution.names, key=str.encode):
        if name not in source.records:
            raise NamesError(f"{contribution.label}: its {kind} tensors lack {name!r}; {recipe.name} needs all of them")
        ours, theirs = source.records[name], contribution.source.records[name]
        check_shapes(f"{contribution.label}: {kind} of {name!r}", name, tuple(ours.shape), tuple(theirs.shape))
        if not DTYPES[ours.dtype].is_float:
            raise DtypeError(f"{contribution.label}: {kind} of {name!r} is {ours.dtype}; it must be a float tensor")
