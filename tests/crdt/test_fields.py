"""Fields: what each reader takes, and the whole message of every refusal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt import fields
from mergealgebra.errors import OperationError, WorkspaceError
from tests.crdt.strategies import ids

ID = "0123456789abcdef" * 4
NO_IDS = {
    "63 digits": ID[1:],
    "65 digits": ID + "0",
    "a line feed behind": ID + "\n",
    "upper case": ID.upper(),
    "a g": "g" + ID[1:],
    "other digits": "٣" + ID[1:],
    "empty": "",
    "bytes": bytes(32),
    "bytes of digits": ID.encode(),
    "nothing": None,
}


def says(message: str) -> str:
    """The pattern of a whole message."""
    return f"^{re.escape(message)}$"


@pytest.mark.clause("EN-4")
class TestIds:
    @given(ids())
    def test_are_taken(self, one):
        assert fields.is_id(one) is True
        fields.check_id(one, "the root", OperationError)
        assert fields.id_from_bytes(bytes.fromhex(one), "the root", OperationError) == one

    @pytest.mark.parametrize("value", NO_IDS.values(), ids=NO_IDS)
    def test_and_nothing_else_is(self, value):
        assert fields.is_id(value) is False
        message = f"the root is {value!r}, not 32 bytes in 64 lower-case hexadecimal digits"
        with pytest.raises(WorkspaceError, match=says(message)):
            fields.check_id(value, "the root", WorkspaceError)

    @pytest.mark.parametrize("value", [bytes(31), bytes(33), ID, bytearray(32), None], ids=repr)
    def test_from_bytes_takes_32_of_them(self, value):
        with pytest.raises(WorkspaceError, match=says(f"the root is {value!r}, not 32 bytes")):
            fields.id_from_bytes(value, "the root", WorkspaceError)


class TestIntegers:
    @pytest.mark.parametrize("value", [0, 1, 255])
    def test_below_the_bound_are_taken(self, value):
        fields.check_integer(value, 256, "the time", OperationError)

    @pytest.mark.parametrize("value", [-1, 256, True, False, 1.0, "1", None], ids=repr)
    def test_and_nothing_else_is(self, value):
        with pytest.raises(WorkspaceError, match=says(f"the time is {value!r}, not an integer in [0, 2^8)")):
            fields.check_integer(value, 256, "the time", WorkspaceError)


@pytest.mark.clause("EN-1")
class TestTexts:
    SIZES = range(2, 5)

    @given(st.text(st.characters(exclude_categories=("Cs",)), max_size=6))
    def test_are_measured_in_bytes(self, text):
        size = len(text.encode())
        if size in self.SIZES:
            fields.check_text(text, self.SIZES, "the note", OperationError)
            return
        with pytest.raises(WorkspaceError, match=says(f"the note is {size} bytes long, not 2 to 4")):
            fields.check_text(text, self.SIZES, "the note", WorkspaceError)

    @pytest.mark.parametrize("text", ["ab", "abcd", "éé"])
    def test_at_either_end_are_taken(self, text):
        fields.check_text(text, self.SIZES, "the note", OperationError)

    def test_have_no_lone_surrogate(self):
        with pytest.raises(
            WorkspaceError, match=says(r"the note 'a\udc00' has a lone surrogate and is not UTF-8")
        ) as caught:
            fields.check_text("a\udc00", self.SIZES, "the note", WorkspaceError)
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize("value", [b"abc", None, 3], ids=repr)
    def test_are_strings(self, value):
        with pytest.raises(WorkspaceError, match=says(f"the note is {value!r}, not a string")):
            fields.check_text(value, self.SIZES, "the note", WorkspaceError)


class TestNames:
    @pytest.mark.parametrize("text", ["Ada", "née 基 🌱", "\u00a0\u200b"])
    def test_without_control_characters_are_taken(self, text):
        fields.check_name(text, range(1, 33), "the name", OperationError)

    @pytest.mark.parametrize("text", ["a\nb", "\x7f", "\x9b1m", "\0"])
    def test_with_one_are_not(self, text):
        with pytest.raises(WorkspaceError, match=says(f"the name {text!r} has a control character")):
            fields.check_name(text, range(1, 33), "the name", WorkspaceError)

    def test_are_texts_of_these_sizes(self):
        with pytest.raises(WorkspaceError, match=says("the name is 0 bytes long, not 1 to 32")):
            fields.check_name("", range(1, 33), "the name", WorkspaceError)


class TestMaps:
    def read(self, value: object) -> object:
        return fields.map_with_keys(value, {"a", "b"}, "the body", WorkspaceError, optional={"c"})

    @pytest.mark.parametrize("value", [{"a": 1, "b": 2}, {"c": 3, "b": 2, "a": 1}], ids=["required", "optional too"])
    def test_with_their_keys_are_taken_as_they_are(self, value):
        assert self.read(value) is value

    def test_have_no_optional_key_unless_it_is_said(self):
        with pytest.raises(WorkspaceError, match=says("the body has the unknown key 'c'")):
            fields.map_with_keys({"a": 1, "c": 3}, {"a"}, "the body", WorkspaceError)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"c": 3}, "the body lacks the key 'a'"),
            ({"a": 1}, "the body lacks the key 'b'"),
            ({"a": 1, "d": 1}, "the body lacks the key 'b'"),
            ({"a": 1, "b": 2, "e": 1, "d": 1}, "the body has the unknown key 'd'"),
            ([], "the body is [], not a map"),
            (None, "the body is None, not a map"),
            ("ab", "the body is 'ab', not a map"),
        ],
        ids=repr,
    )
    def test_and_nothing_else_is(self, value, message):
        with pytest.raises(WorkspaceError, match=says(message)):
            self.read(value)
