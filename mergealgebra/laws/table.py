"""The laws by name: what each says, how it is asked, how its sides are compared, and to whom it applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mergealgebra.laws import arrangements, equations
from mergealgebra.laws.arrangements import Arrangement
from mergealgebra.laws.calls import arity_of, as_given, by_parts, on_copies
from mergealgebra.laws.equations import Sides
from mergealgebra.laws.relations import equal, same_bits, same_values, within


def to_all(merge: Any) -> str:
    """Every merge function can be asked."""
    return ""


def to_parts(merge: Any) -> str:
    """Only merge functions with attributes `lift`, `combine` and `finalize` can be asked."""
    missing = [part for part in ("lift", "combine", "finalize") if not callable(getattr(merge, part, None))]
    return f"it has no attribute {', '.join(missing)}" if missing else ""


def to_any_number(merge: Any) -> str:
    """Only merge functions that take any number of task vectors can be asked."""
    arity = arity_of(merge)
    return "" if arity is None else f"of task vectors it takes exactly {arity}, and the law is about other numbers"


def to_several(merge: Any) -> str:
    """Only merge functions that take two task vectors or more can be asked."""
    return "it takes exactly one task vector, and that has one order" if arity_of(merge) == 1 else ""


def to_one(merge: Any) -> str:
    """Only merge functions that take one task vector can be asked."""
    return to_any_number(merge) if arity_of(merge) != 1 else ""


@dataclass(frozen=True)
class Law:
    """A named law.

    sentence: what it says, its condition included. sides: how its sides are told, each before its value. equation:
    computes the two. arrangement: chooses the equation's arguments. relation: when the sides agree. span: the
    magnitudes, apart from 0, of the numbers it is asked about. called: how the merge function is called. applies: why
    it cannot be asked of a merge function, or "".
    """

    sentence: str
    sides: tuple[str, str]
    equation: Callable[..., Sides]
    arrangement: Arrangement
    relation: Callable[[Any, Any], bool] = same_bits
    span: tuple[float, float] = (2.0**-149, 2.0**100)
    called: Callable[[Any], Any] = on_copies
    applies: Callable[[Any], str] = to_all


#: Every law, in the order of the table. "The same" means equal bits, all NaNs being equal.
LAWS: Final[Mapping[str, Law]] = MappingProxyType(
    {
        "order_independence": Law(
            "Task vectors in another order give the same result.",
            ("in one order the merge is", "in another"),
            equations.order_independence,
            arrangements.in_another_order,
            applies=to_several,
        ),
        "associativity": Law(
            "(a . b) . c and a . (b . c) are the same, x . y being the merge of x and y over a base of zeros, "
            "wherever no two of a, b, c are exact opposites.",
            ("(a . b) . c is", "a . (b . c) is"),
            equations.associativity,
            arrangements.three,
            applies=to_any_number,
        ),
        "idempotence": Law(
            "Copies of one task vector give the value that one gives; -0 equals 0.",
            ("several copies give", "one alone"),
            equations.idempotence,
            arrangements.copies,
            same_values,
            applies=to_any_number,
        ),
        "identity_of_zero": Law(
            "A task vector of zeros among the others changes no value; -0 equals 0.",
            ("with a task vector of zeros the merge is", "without it"),
            equations.identity_of_zero,
            arrangements.a_place,
            same_values,
            applies=to_any_number,
        ),
        "single_model_identity": Law(
            "One task vector alone gives base + task vector, rounded once to fp32, in value; -0 equals 0.",
            ("the merge is", "base + task vector is"),
            equations.single_model_identity,
            arrangements.one_alone,
            same_values,
            applies=to_one,
        ),
        "scale_equivariance": Law(
            "Task vectors times a power of two give the result times it, over a base of zeros, in value, where "
            "magnitudes lie between 2^-60 and 2^60, so that nothing under- or overflows; -0 equals 0.",
            ("scaled before the merge it is", "scaled afterwards"),
            equations.scale_equivariance,
            arrangements.a_factor,
            same_values,
            span=(2.0**-60, 2.0**60),
        ),
        "sign_symmetry": Law(
            "Negated task vectors give the negated result, over a base of zeros, in value; -0 equals 0.",
            ("negated before the merge it is", "negated afterwards"),
            equations.sign_symmetry,
            arrangements.vectors_alone,
            same_values,
        ),
        "coordinate_permutation": Law(
            "Permuting the elements of a tensor, in base and task vectors alike, permutes the result.",
            ("permuted before the merge it is", "permuted afterwards"),
            equations.coordinate_permutation,
            arrangements.elements_in_another_order,
        ),
        "shard_invariance": Law(
            "A tensor cut in two, whose pieces stay neighbours in the order of names, gives the pieces of the result.",
            ("cut before the merge it is", "cut afterwards"),
            equations.shard_invariance,
            arrangements.a_cut,
        ),
        "locality": Law(
            "What stands at other coordinates of a task vector does not change a coordinate of the result.",
            ("with other numbers elsewhere it is", "as it stands"),
            equations.locality,
            arrangements.a_coordinate,
        ),
        "bounds": Law(
            "Over a base of zeros the result lies between the least and the greatest of 0 and the task vectors.",
            ("the merge is", "the least and the greatest allowed are"),
            equations.bounds,
            arrangements.vectors_alone,
            within,
        ),
        "dtype_stability": Law(
            "The result has the names, shapes and dtypes of the base, which may be float32, float64, float16 or "
            "bfloat16 (of ml_dtypes); magnitudes lie between 2^-10 and 2^10.",
            ("the merge has", "the base has"),
            equations.dtype_stability,
            arrangements.a_dtype,
            equal,
            span=(2.0**-10, 2.0**10),
        ),
        "purity": Law(
            "A call changes neither base nor task vectors, and the same call again gives the same result.",
            ("afterwards, or the second time, it is", "before, or the first time, it was"),
            equations.purity,
            arrangements.all_of_it,
            called=as_given,
        ),
        "homomorphism": Law(
            "Lifted task vectors, combined in any tree and finalized, give the merge of all; for functions that "
            "offer lift(task_vector), combine(part, part) and finalize(base, part).",
            ("merged in parts it is", "merged at once"),
            equations.homomorphism,
            arrangements.a_tree,
            called=by_parts,
            applies=to_parts,
        ),
    }
)
