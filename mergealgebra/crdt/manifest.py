"""The manifest: the facts that a contribution's id names [CT-2 to CT-4].

It stands beside the operations because they carry it. The tensors are never seen here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mergealgebra.crdt.fields import check_id, check_integer, id_from_bytes, map_with_keys
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import CoefficientError, OperationError
from mergealgebra.text import shown

#: What the tensors of a contribution can be: the fine-tune's own, the difference itself, or factors of it [CT-1].
FORMS: Final = ("finetuned", "low_rank", "task_vector")
#: The forms of which format 1 knows one for all tensors.
PLAIN_FORMS: Final = ("finetuned", "task_vector")
#: What can stand beside the tensors, for the methods that need it [CT-15].
KINDS: Final = ("fisher", "gram")
#: Between the names of several forms, where people read them.
AND: Final = "+"

_KEYS: Final = {
    1: frozenset({"base", "coefficient", "elements", "form", "format", "tensors"}),
    2: frozenset({"auxiliary", "base", "coefficient", "elements", "format", "forms", "tensors"}),
}
_AUXILIARY_KEYS: Final = frozenset({"elements", "root"})
_FP32_BITS: Final = re.compile("[0-9a-f]{8}")
_EXPONENT: Final = 0x7F800000
_MAGNITUDE: Final = 0x7FFFFFFF


@dataclass(frozen=True, slots=True, order=True)
class Auxiliary:
    """Auxiliary tensors of one kind: how many elements they have, and their root [CT-2, CT-15]."""

    kind: str
    elements: int
    root: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OperationError(
                f"the manifest has auxiliary tensors of the kind {shown(self.kind)}, not {' or '.join(KINDS)}"
            )
        check_integer(self.elements, 1 << 63, f"the manifest's number of elements of {self.kind}", OperationError)
        check_id(self.root, f"the manifest's root of {self.kind}", OperationError)


@dataclass(frozen=True)
class Manifest:
    """What a contribution is: equal manifests mean the same contribution [CT-2].

    base: root of the base model. coefficient: the eight hexadecimal digits of its fp32 bits (1 is `3f800000`).
    elements: the number of elements of its task vector. form: one of FORMS, or several, ascending, with AND between
    them. tensors: root of its tensors. auxiliary: what stands beside them, by kind, ascending.
    Raises CoefficientError for the coefficient, OperationError for any other field [CT-4].

    >>> manifest = Manifest("ab" * 32, coefficient="3f800000", elements=4, form="finetuned", tensors="cd" * 32)
    >>> manifest.id[:12], Manifest.from_map(manifest.to_map()) == manifest
    ('ec2eebc7a4ab', True)
    """

    base: str
    coefficient: str
    elements: int
    form: str
    tensors: str
    auxiliary: tuple[Auxiliary, ...] = ()

    def __post_init__(self) -> None:
        check_id(self.base, "the manifest's base", OperationError)
        _check_coefficient(self.coefficient)
        check_integer(self.elements, 1 << 63, "the manifest's number of elements", OperationError)
        _check_form(self.form)
        check_id(self.tensors, "the manifest's tensors root", OperationError)
        kinds = [auxiliary.kind for auxiliary in self.auxiliary]
        if kinds != sorted(set(kinds)):
            raise OperationError(f"the manifest's kinds are {shown(kinds)}, not ascending, each once")

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of its tensors, ascending [CT-1]."""
        return tuple(self.form.split(AND))

    @property
    def format(self) -> int:
        """1 where one plain form and no auxiliary tensors are all that there is to say, else 2 [CT-2]."""
        return 1 if self.form in PLAIN_FORMS and not self.auxiliary else 2

    @cached_property
    def id(self) -> str:
        """The contribution id: a hash of the manifest and of nothing else [CT-3, CT-9]."""
        return hash_id("contribution", encode(self.to_map()))

    def auxiliary_of(self, kind: str) -> Auxiliary | None:
        """Its auxiliary tensors of a kind, if it has such."""
        return next((auxiliary for auxiliary in self.auxiliary if auxiliary.kind == kind), None)

    def roots(self, kinds: Container[str] = KINDS) -> tuple[str, ...]:
        """The roots of its blobs: of its tensors, and of its auxiliary ones of these kinds [CT-6]."""
        return (self.tensors, *(auxiliary.root for auxiliary in self.auxiliary if auxiliary.kind in kinds))

    def to_map(self) -> dict[str, object]:
        """The canonical value of the manifest [CT-2]."""
        found: dict[str, object] = {
            "base": bytes.fromhex(self.base),
            "coefficient": self.coefficient,
            "elements": self.elements,
            "format": self.format,
            "tensors": bytes.fromhex(self.tensors),
        }
        if self.format == 1:
            found["form"] = self.form
        else:
            found["forms"] = list(self.forms)
            found["auxiliary"] = {
                a.kind: {"elements": a.elements, "root": bytes.fromhex(a.root)} for a in self.auxiliary
            }
        return dict(sorted(found.items()))

    @classmethod
    def from_map(cls, value: object) -> Manifest:
        """The manifest that this decoded value describes [CT-2, CT-4].

        Raises OperationError, or CoefficientError for the coefficient.
        """
        format_ = _format_of(value)
        fields: dict[str, Any] = map_with_keys(value, _KEYS[format_], "the manifest", OperationError)
        made = cls(
            base=id_from_bytes(fields["base"], "the manifest's base", OperationError),
            coefficient=fields["coefficient"],
            elements=fields["elements"],
            form=fields["form"] if format_ == 1 else _joined(fields["forms"]),
            tensors=id_from_bytes(fields["tensors"], "the manifest's tensors root", OperationError),
            auxiliary=() if format_ == 1 else _auxiliary_from(fields["auxiliary"]),
        )
        if made.format != format_:
            raise OperationError(
                f"the manifest's format is {format_}, and {made.format} is the one of {made.form} with "
                f"{len(made.auxiliary)} kinds of auxiliary tensors"
            )
        return made


def joined_form(forms: Iterable[str]) -> str:
    """The form of tensors of these forms, as a manifest names it.

    >>> joined_form(["low_rank", "finetuned", "low_rank"])
    'finetuned+low_rank'
    """
    return AND.join(sorted(set(forms)))


def _format_of(value: object) -> int:
    """The format of a manifest. Raises OperationError for what has none, and for a format that is not known."""
    if not isinstance(value, dict):
        raise OperationError(f"the manifest is {shown(value)}, not a map")
    if "format" not in value:
        return 1  # where what is missing is told
    format_ = value["format"]
    if type(format_) is not int or format_ not in _KEYS:
        raise OperationError(
            f"the manifest's format is {shown(format_)}, not 1 or 2; a newer program wrote it: upgrade this one"
        )
    return format_


def _joined(forms: object) -> str:
    """The form of a list of them, as the list has them."""
    if not isinstance(forms, list) or not all(isinstance(form, str) and AND not in form for form in forms):
        raise OperationError(f"the manifest's forms are {shown(forms)}, not an array of {', '.join(FORMS)}")
    return AND.join(forms)


def _auxiliary_from(value: object) -> tuple[Auxiliary, ...]:
    if not isinstance(value, dict):
        raise OperationError(f"the manifest's auxiliary tensors are {shown(value)}, not a map")
    found = []
    for kind, entry in sorted(value.items()):
        what = f"the manifest's {shown(kind)}"
        fields = map_with_keys(entry, _AUXILIARY_KEYS, what, OperationError)
        root = id_from_bytes(fields["root"], f"{what}, its root,", OperationError)
        found.append(Auxiliary(kind, fields["elements"], root))
    return tuple(found)


def _check_form(form: object) -> None:
    """Refuse what is not one or more of the forms, ascending, each once [CT-1, CT-2]."""
    forms = form.split(AND) if isinstance(form, str) else []
    if not forms or not set(forms) <= set(FORMS):
        raise OperationError(f"the manifest's form is {shown(form)}, not {', '.join(FORMS)} or several of them")
    if forms != sorted(set(forms)):
        raise OperationError(f"the manifest's forms are {shown(forms)}, not ascending, each once")


def _check_coefficient(digits: object) -> None:
    """Refuse what is not the bits of a finite fp32 number other than zero [CT-4]; judged on the bits alone."""
    if not isinstance(digits, str) or not _FP32_BITS.fullmatch(digits):
        raise CoefficientError(
            f"the manifest's coefficient is {shown(digits)}, not the 8 lower-case hexadecimal digits of an fp32 number"
        )
    bits = int(digits, 16)
    if bits & _EXPONENT == _EXPONENT:
        raise CoefficientError(f"the manifest's coefficient {digits} is not a finite number")
    if bits & _MAGNITUDE == 0:
        raise CoefficientError(f"the manifest's coefficient {digits} is zero")
