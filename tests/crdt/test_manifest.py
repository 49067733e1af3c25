"""Manifests: what their id names, and every manifest that is none."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given

from mergealgebra.crdt.manifest import Manifest
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import CoefficientError, OperationError
from tests.crdt.strategies import BASE, manifests

MANIFEST = Manifest(BASE, "3f800000", 7, "finetuned", "1" * 64)
MAP = MANIFEST.to_map()

BAD_FIELDS = {
    "another format": ("format", 3, "format is 3, not 1 or 2; a newer program wrote it"),
    "true as format": ("format", True, "format is True"),
    "base as text": ("base", BASE, "base is .*not 32 bytes"),
    "base of 31 bytes": ("base", bytes(31), "base is .*not 32 bytes"),
    "no base": ("base", None, "base is None, not 32 bytes"),
    "tensors of 33 bytes": ("tensors", bytes(33), "tensors root is .*not 32 bytes"),
    "negative elements": ("elements", -1, r"elements is -1, not an integer in \[0, 2\^63\)"),
    "elements of 2^63": ("elements", 2**63, "elements is 9223372036854775808"),
    "true as elements": ("elements", True, "elements is True"),
    "elements as text": ("elements", "7", "elements is '7'"),
    "another form": ("form", "lora", "form is 'lora', not finetuned, low_rank, task_vector"),
    "form as bytes": ("form", b"finetuned", "form is b'finetuned'"),
}
BAD_COEFFICIENTS = {
    "upper case": ("3F800000", "8 lower-case hexadecimal digits"),
    "seven digits": ("3f80000", "8 lower-case hexadecimal digits"),
    "nine digits": ("3f8000000", "8 lower-case hexadecimal digits"),
    "line feed": ("3f800000\n", "8 lower-case hexadecimal digits"),
    "decimal": ("1", "8 lower-case hexadecimal digits"),
    "integer": (0x3F800000, "8 lower-case hexadecimal digits"),
    "other digits": ("٣f800000", "8 lower-case hexadecimal digits"),
    "zero": ("00000000", "is zero"),
    "negative zero": ("80000000", "is zero"),
    "infinity": ("7f800000", "not a finite number"),
    "negative infinity": ("ff800000", "not a finite number"),
    "NaN": ("7fc00000", "not a finite number"),
}


#: Fields that are wrong, with the whole message.
MESSAGES = {
    "format": (3, "the manifest's format is 3, not 1 or 2; a newer program wrote it: upgrade this one"),
    "base": (b"", "the manifest's base is b'', not 32 bytes"),
    "tensors": (b"", "the manifest's tensors root is b'', not 32 bytes"),
    "elements": (-1, "the manifest's number of elements is -1, not an integer in [0, 2^63)"),
    "form": ("lora", "the manifest's form is 'lora', not finetuned, low_rank, task_vector or several of them"),
}
COEFFICIENT_MESSAGES = {
    "1": "the manifest's coefficient is '1', not the 8 lower-case hexadecimal digits of an fp32 number",
    "7f800000": "the manifest's coefficient 7f800000 is not a finite number",
    "80000000": "the manifest's coefficient 80000000 is zero",
}


@pytest.mark.clause("CT-2", "CT-3")
class TestManifest:
    def test_is_frozen(self):
        with pytest.raises(FrozenInstanceError):
            MANIFEST.elements = 8

    @given(manifests())
    def test_comes_back_from_its_encoding(self, manifest):
        assert Manifest.from_map(decode(encode(manifest.to_map()))) == manifest

    def test_map_is_the_one_of_the_specification(self):
        assert MANIFEST.to_map() == {
            "base": bytes.fromhex(BASE),
            "coefficient": "3f800000",
            "elements": 7,
            "form": "finetuned",
            "format": 1,
            "tensors": b"\x11" * 32,
        }
        assert MANIFEST.id == hash_id("contribution", encode(MAP))

    @pytest.mark.parametrize(
        "other",
        [
            {"base": "0" * 64},
            {"coefficient": "40000000"},
            {"elements": 8},
            {"form": "task_vector"},
            {"tensors": "2" * 64},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_every_field_is_part_of_the_id(self, other):
        assert replace(MANIFEST, **other).id != MANIFEST.id

    @pytest.mark.parametrize("digits", ["00000001", "80000001", "7f7fffff", "ff7fffff"])
    def test_any_finite_coefficient_but_zero_is_one(self, digits):
        assert replace(MANIFEST, coefficient=digits).coefficient == digits


@pytest.mark.clause("CT-4")
class TestRefusals:
    @pytest.mark.parametrize(("key", "value", "message"), BAD_FIELDS.values(), ids=BAD_FIELDS)
    def test_of_a_field(self, key, value, message):
        with pytest.raises(OperationError, match=message):
            Manifest.from_map(MAP | {key: value})

    @pytest.mark.parametrize(("digits", "message"), BAD_COEFFICIENTS.values(), ids=BAD_COEFFICIENTS)
    def test_of_a_coefficient(self, digits, message):
        with pytest.raises(CoefficientError, match=message):
            Manifest.from_map(MAP | {"coefficient": digits})

    @pytest.mark.parametrize("key", sorted(MAP))
    def test_of_a_missing_key(self, key):
        with pytest.raises(OperationError, match=f"lacks the key '{key}'"):
            Manifest.from_map({name: value for name, value in MAP.items() if name != key})

    def test_of_an_unknown_key(self):
        with pytest.raises(OperationError, match="unknown key 'author'"):
            Manifest.from_map(MAP | {"author": "me"})

    @pytest.mark.parametrize("value", [None, [], "manifest", b""], ids=repr)
    def test_of_what_is_no_map(self, value):
        with pytest.raises(OperationError, match="not a map"):
            Manifest.from_map(value)

    @pytest.mark.parametrize(
        ("key", "value", "message"), [(key, *said) for key, said in MESSAGES.items()], ids=MESSAGES
    )
    def test_in_these_words(self, key, value, message):
        with pytest.raises(OperationError) as caught:
            Manifest.from_map(MAP | {key: value})
        assert str(caught.value) == message

    @pytest.mark.parametrize(("digits", "message"), COEFFICIENT_MESSAGES.items())
    def test_of_a_coefficient_in_these_words(self, digits, message):
        with pytest.raises(CoefficientError) as caught:
            Manifest.from_map(MAP | {"coefficient": digits})
        assert str(caught.value) == message

    @pytest.mark.parametrize(
        ("value", "message"),
        [({}, "the manifest lacks the key 'base'"), (None, "the manifest is None, not a map")],
        ids=["empty", "nothing"],
    )
    def test_of_what_is_no_manifest_in_these_words(self, value, message):
        with pytest.raises(OperationError) as caught:
            Manifest.from_map(value)
        assert str(caught.value) == message

    @pytest.mark.parametrize(("field", "name"), [("base", "base"), ("tensors", "tensors root")])
    def test_of_building_one_with_what_is_no_id(self, field, name):
        with pytest.raises(OperationError) as caught:
            replace(MANIFEST, **{field: "root"})
        message = f"the manifest's {name} is 'root', not 32 bytes in 64 lower-case hexadecimal digits"
        assert str(caught.value) == message

    @pytest.mark.parametrize("base", ["B" * 64, "b" * 63, "b" * 65, "b" * 64 + "\n", "", 7], ids=repr)
    def test_of_an_id_that_is_not_64_lower_case_digits(self, base):
        with pytest.raises(OperationError, match=r"base is .*64 lower-case hexadecimal digits"):
            replace(MANIFEST, base=base)
