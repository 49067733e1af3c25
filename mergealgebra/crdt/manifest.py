"""The manifest: the six facts that a contribution's id names [CT-2 to CT-4].

It stands beside the operations because they carry it. The tensors are never seen here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from mergealgebra.crdt.fields import check_id, check_integer, id_from_bytes, map_with_keys
from mergealgebra.encoding import encode, hash_id
from mergealgebra.errors import CoefficientError, OperationError
from mergealgebra.text import shown

FORMAT: Final = 1
#: What the tensors of a contribution are: the fine-tune's own, or the difference itself [CT-1].
FORMS: Final = ("finetuned", "task_vector")

_KEYS: Final = frozenset({"base", "coefficient", "elements", "form", "format", "tensors"})
_FP32_BITS: Final = re.compile("[0-9a-f]{8}")
_EXPONENT: Final = 0x7F800000
_MAGNITUDE: Final = 0x7FFFFFFF


@dataclass(frozen=True)
class Manifest:
    """What a contribution is: equal manifests mean the same contribution [CT-2].

    base: root of the base model. coefficient: the eight hexadecimal digits of its fp32 bits (1 is `3f800000`).
    elements: the number of elements of its tensors. form: one of FORMS. tensors: root of its tensors.
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

    def __post_init__(self) -> None:
        check_id(self.base, "the manifest's base", OperationError)
        _check_coefficient(self.coefficient)
        check_integer(self.elements, 1 << 63, "the manifest's number of elements", OperationError)
        if self.form not in FORMS:
            raise OperationError(f"the manifest's form is {shown(self.form)}, not {' or '.join(FORMS)}")
        check_id(self.tensors, "the manifest's tensors root", OperationError)

    @cached_property
    def id(self) -> str:
        """The contribution id: a hash of the manifest and of nothing else [CT-3, CT-9]."""
        return hash_id("contribution", encode(self.to_map()))

    def to_map(self) -> dict[str, object]:
        """The canonical value of the manifest [CT-2]."""
        return {
            "base": bytes.fromhex(self.base),
            "coefficient": self.coefficient,
            "elements": self.elements,
            "form": self.form,
            "format": FORMAT,
            "tensors": bytes.fromhex(self.tensors),
        }

    @classmethod
    def from_map(cls, value: object) -> Manifest:
        """The manifest that this decoded value describes [CT-2, CT-4].

        Raises OperationError, or CoefficientError for the coefficient.
        """
        fields: dict[str, Any] = map_with_keys(value, _KEYS, "the manifest", OperationError)
        if type(fields["format"]) is not int or fields["format"] != FORMAT:
            raise OperationError(f"the manifest's format is {shown(fields['format'])}, not {FORMAT}")
        return cls(
            base=id_from_bytes(fields["base"], "the manifest's base", OperationError),
            coefficient=fields["coefficient"],
            elements=fields["elements"],
            form=fields["form"],
            tensors=id_from_bytes(fields["tensors"], "the manifest's tensors root", OperationError),
        )


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
