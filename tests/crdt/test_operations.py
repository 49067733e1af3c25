"""Operations: round trips, ids, and a table of every malformed operation with the message that refuses it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergealgebra.crdt.operations import KINDS, MAX_OPERATION_BYTES, Add, Attest, Operation, Remove
from mergealgebra.encoding import decode, encode, hash_id
from mergealgebra.errors import (
    CoefficientError,
    EncodingError,
    MergeAlgebraError,
    OperationError,
    WrongWorkspace,
)
from tests.crdt.strategies import MANIFESTS, WORKSPACE, nonce, operations

ID_A, ID_B = "a" * 64, "b" * 64
A, B = bytes.fromhex(ID_A), bytes.fromhex(ID_B)
MANIFEST = MANIFESTS[0].to_map()
ADD = Operation(WORKSPACE, Add(MANIFESTS[0], nonce(1)), time=5, note="why")
REMOVE = Operation(WORKSPACE, Remove((ID_A, ID_B)))
ATTEST = Operation(WORKSPACE, Attest(ID_A, ID_B))
NAMED = Operation(WORKSPACE, Attest(ID_A, ID_B), time=5, name="Ada")
BODY = decode(ADD.encode())["body"]


def with_body(**changes: object) -> object:
    return {"body": BODY | changes}


def without(key: str) -> object:
    return {"body": {name: value for name, value in BODY.items() if name != key}}


def of_kind(kind: object, fields: object) -> object:
    return with_body(kind=kind, fields=fields)


BAD_OPERATIONS = {
    # OS-2
    "no map": ([], "the operation is \\[\\], not a map"),
    "no body": ({}, "the operation lacks the key 'body'"),
    "a third key": ({"body": BODY, "more": 1}, "the operation has the unknown key 'more'"),
    "body is bytes": ({"body": b""}, "the operation's body is b'', not a map"),
    # OS-3
    "no version": (without("version"), "body lacks the key 'version'"),
    "no workspace": (without("workspace"), "body lacks the key 'workspace'"),
    "no kind": (without("kind"), "body lacks the key 'kind'"),
    "no fields": (without("fields"), "body lacks the key 'fields'"),
    "unknown key": (with_body(colour="red"), "body has the unknown key 'colour'"),
    "version 0": (with_body(version=0), "version is 0, not 1"),
    "version 3": (with_body(version=3, name="Ada"), "version is 3, not 1 or 2"),
    "version 2 without a name": (with_body(version=2), "no name and version 2"),
    "version 1 with a name": (with_body(name="Ada"), "a name and version 1"),
    "version true": (with_body(version=True), "version is True, not 1 or 2"),
    "workspace as text": (with_body(workspace=WORKSPACE), "workspace is .*not 32 bytes"),
    "workspace of 31 bytes": (with_body(workspace=bytes(31)), "workspace is .*not 32 bytes"),
    "time before 1970": (with_body(time=-1), "time is -1, not an integer in"),
    "time of 2^53": (with_body(time=2**53), "time is 9007199254740992"),
    "time as text": (with_body(time="5"), "time is '5'"),
    "time true": (with_body(time=True), "time is True"),
    "time nil": (with_body(time=None), "time is nil; leave the key out"),
    "empty note": (with_body(note=""), "note is 0 bytes long, not 1 to 4096"),
    "note of 4097 bytes": (with_body(note="n" * 4097), "note is 4097 bytes long"),
    "note of 2049 two-byte characters": (with_body(note="é" * 2049), "note is 4098 bytes long"),
    "note as bytes": (with_body(note=b"why"), "note is b'why', not a string"),
    "note nil": (with_body(note=None), "note is nil; leave the key out"),
    "empty name": (with_body(version=2, name=""), "name is 0 bytes long, not 1 to 256"),
    "name of 257 bytes": (with_body(version=2, name="n" * 257), "name is 257 bytes long"),
    "name of 129 two-byte characters": (with_body(version=2, name="é" * 129), "name is 258 bytes long"),
    "name with a line feed": (with_body(version=2, name="a\nb"), "name 'a.*b' has a control character"),
    "name with an escape": (with_body(version=2, name="\x1b[31m"), "has a control character"),
    "name as bytes": (with_body(version=2, name=b"Ada"), "name is b'Ada', not a string"),
    "name nil": (with_body(version=2, name=None), "name is nil; leave the key out"),
    # OS-4
    "unknown kind": (with_body(kind="merge"), "kind is 'merge', not one of add, remove, attest"),
    "kind of a signed workspace": (of_kind("grant", {}), "kind is 'grant'"),
    "kind as bytes": (with_body(kind=b"add"), "kind is b'add'"),
    "kind as a map": (with_body(kind={}), "kind is {}"),
    "fields as an array": (with_body(fields=[]), "an add is \\[\\], not a map"),
    "add without a nonce": (of_kind("add", {"manifest": MANIFEST}), "an add lacks the key 'nonce'"),
    "add without a manifest": (of_kind("add", {"nonce": nonce(1)}), "an add lacks the key 'manifest'"),
    "add with a third field": (
        of_kind("add", {"manifest": MANIFEST, "nonce": nonce(1), "more": 1}),
        "an add has the unknown key 'more'",
    ),
    "nonce of 15 bytes": (of_kind("add", {"manifest": MANIFEST, "nonce": bytes(15)}), "nonce.*not 16 bytes"),
    "nonce as text": (of_kind("add", {"manifest": MANIFEST, "nonce": "0" * 16}), "nonce.*not 16 bytes"),
    "malformed manifest": (of_kind("add", {"manifest": {}, "nonce": nonce(1)}), "the manifest lacks the key 'base'"),
    "remove of nothing": (of_kind("remove", {"operations": []}), "are none; at least one"),
    "remove in descending order": (of_kind("remove", {"operations": [B, A]}), "not in ascending order"),
    "remove of one twice": (of_kind("remove", {"operations": [A, A]}), "each once"),
    "remove of a short id": (
        of_kind("remove", {"operations": [bytes(31)]}),
        "operations of a remove is .*not 32 bytes",
    ),
    "remove of a text": (of_kind("remove", {"operations": [ID_A]}), "operations of a remove is .*not 32 bytes"),
    "remove of bytes, no array": (of_kind("remove", {"operations": A}), "not an array"),
    "remove with the fields of an add": (of_kind("remove", BODY["fields"]), "a remove lacks the key 'operations'"),
    "attest without a root": (of_kind("attest", {"merge_id": A}), "an attest lacks the key 'model_root'"),
    "attest of a short merge id": (
        of_kind("attest", {"merge_id": bytes(31), "model_root": B}),
        "merge id of an attest is .*not 32 bytes",
    ),
    "attest of a text": (of_kind("attest", {"merge_id": A, "model_root": ID_B}), "model root of an attest is"),
    # OS-5
    "author": ({"body": BODY | {"author": A}, "signature": bytes(64)}, "author or a signature"),
    "author without a signature": (with_body(author=A), "author or a signature"),
    "signature without an author": ({"body": BODY, "signature": bytes(64)}, "author or a signature"),
}


#: Operations that cannot be built, with the whole message.
UNBUILT = {
    "workspace": (
        lambda: Operation("it", ATTEST.payload),
        "the operation's workspace is 'it', not 32 bytes in 64 lower-case hexadecimal digits",
    ),
    "time": (
        lambda: Operation(WORKSPACE, ATTEST.payload, time=-1),
        "the operation's time is -1, not an integer in [0, 2^53)",
    ),
    "note": (
        lambda: Operation(WORKSPACE, ATTEST.payload, note=""),
        "the operation's note is 0 bytes long, not 1 to 4096",
    ),
    "name": (
        lambda: Operation(WORKSPACE, ATTEST.payload, name="a\tb"),
        "the operation's name 'a\\tb' has a control character",
    ),
    "size": (
        lambda: Operation(WORKSPACE, Remove(tuple(f"{number:064x}" for number in range(30841)))),
        "the operation is 1048688 bytes long, at most 1048576 are allowed",
    ),
    "nonce": (lambda: Add(MANIFESTS[0], b"short"), "the nonce of an add is b'short', not 16 bytes"),
    "nothing removed": (lambda: Remove(()), "the operations of a remove are none; at least one must be named"),
    "order": (
        lambda: Remove((ID_B, ID_A)),
        "the operations of a remove are not in ascending order, each once",
    ),
    "removed": (
        lambda: Remove((ID_A, "root")),
        "one of the operations of a remove is 'root', not 32 bytes in 64 lower-case hexadecimal digits",
    ),
    "merge id": (
        lambda: Attest("id", ID_B),
        "the merge id of an attest is 'id', not 32 bytes in 64 lower-case hexadecimal digits",
    ),
    "model root": (
        lambda: Attest(ID_A, "root"),
        "the model root of an attest is 'root', not 32 bytes in 64 lower-case hexadecimal digits",
    ),
}

#: Encodings that are no operation, with the whole message.
UNREAD = {
    "no map": ([], "the operation is [], not a map"),
    "body": ({"body": []}, "the operation's body is [], not a map"),
    "version": (with_body(version=3), "the operation's version is 3, not 1 or 2"),
    "name of version 1": (
        with_body(name="Ada"),
        "the operation has a name and version 1: 2 is for those with one",
    ),
    "version 2 without a name": (
        with_body(version=2),
        "the operation has no name and version 2: 2 is for those with one",
    ),
    "workspace": (with_body(workspace=b""), "the operation's workspace is b'', not 32 bytes"),
    "kind": (with_body(kind="merge"), "the operation's kind is 'merge', not one of add, remove, attest"),
    "author": (
        with_body(author=A),
        "the operation has an author or a signature, and its workspace is open",
    ),
    "time nil": (with_body(time=None), "the operation's time is nil; leave the key out instead"),
    "note nil": (with_body(note=None), "the operation's note is nil; leave the key out instead"),
    "add": (of_kind("add", []), "an add is [], not a map"),
    "remove": (of_kind("remove", []), "a remove is [], not a map"),
    "attest": (of_kind("attest", []), "an attest is [], not a map"),
    "removed, no array": (
        of_kind("remove", {"operations": b""}),
        "the operations of a remove are b'', not an array",
    ),
    "removed, no id": (
        of_kind("remove", {"operations": [b""]}),
        "one of the operations of a remove is b'', not 32 bytes",
    ),
    "merge id": (
        of_kind("attest", {"merge_id": b"", "model_root": B}),
        "the merge id of an attest is b'', not 32 bytes",
    ),
    "model root": (
        of_kind("attest", {"merge_id": A, "model_root": b""}),
        "the model root of an attest is b'', not 32 bytes",
    ),
}


@pytest.mark.clause("OS-2", "OS-3", "OS-4")
class TestOperation:
    @pytest.mark.parametrize(
        ("value", "field"),
        [(ADD, "time"), (ADD.payload, "nonce"), (REMOVE.payload, "operations"), (ATTEST.payload, "merge_id")],
        ids=["operation", "add", "remove", "attest"],
    )
    def test_is_frozen(self, value, field):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, None)

    def test_registry_is_read_only_and_goes_by_kind(self):
        assert list(KINDS.items()) == [("add", Add), ("remove", Remove), ("attest", Attest)]
        with pytest.raises(TypeError):
            KINDS["grant"] = Add

    def test_of_the_greatest_size_is_one(self):
        """30,800 names take 34 bytes each; the note fills what is left."""
        names = tuple(f"{number:064x}" for number in range(30_800))
        operation = Operation(WORKSPACE, Remove(names), note="n" * 1274)
        assert len(operation.encode()) == MAX_OPERATION_BYTES == 1 << 20
        assert Operation.decode(operation.encode(), WORKSPACE) == operation
        with pytest.raises(OperationError, match="is 1048577 bytes long"):
            Operation(WORKSPACE, Remove(names), note="n" * 1275)

    @given(operations())
    def test_comes_back_from_its_encoding(self, operation):
        again = Operation.decode(operation.encode(), WORKSPACE)
        assert again == operation
        assert hash(again) == hash(operation)
        assert again.id == operation.id == hash_id("operation", operation.encode())

    @given(operations(), operations())
    def test_equal_operations_and_no_others_have_one_id(self, a, b):
        assert (a == b) == (a.id == b.id)

    def test_map_is_the_one_of_the_specification(self):
        fields = {"manifest": MANIFEST, "nonce": nonce(1)}
        body = {
            "version": 1,
            "workspace": bytes.fromhex(WORKSPACE),
            "kind": "add",
            "fields": fields,
            "time": 5,
            "note": "why",
        }
        assert decode(ADD.encode()) == {"body": body}
        assert decode(REMOVE.encode())["body"]["fields"] == {"operations": [A, B]}
        assert decode(ATTEST.encode())["body"]["fields"] == {"merge_id": A, "model_root": B}
        assert "time" not in decode(REMOVE.encode())["body"]
        assert {key: decode(NAMED.encode())["body"][key] for key in ("version", "time", "name")} == {
            "version": 2,
            "time": 5,
            "name": "Ada",
        }

    def test_registry_names_every_kind(self):
        assert {operation.kind for operation in (ADD, REMOVE, ATTEST)} == set(KINDS)

    @pytest.mark.parametrize("note", ["n", "n" * 4096], ids=["1 byte", "4096 bytes"])
    @pytest.mark.parametrize("time", [0, 2**53 - 1])
    @pytest.mark.parametrize("name", ["n", "é" * 128], ids=["name of 1 byte", "256 bytes"])
    def test_bounds_are_allowed(self, time, note, name):
        operation = Operation(WORKSPACE, ATTEST.payload, time, note, name)
        assert Operation.decode(operation.encode(), WORKSPACE) == operation


@pytest.mark.clause("OS-2", "OS-3", "OS-4", "OS-5", "OS-6")
class TestRefusals:
    @pytest.mark.parametrize(("value", "message"), BAD_OPERATIONS.values(), ids=BAD_OPERATIONS)
    def test_of_what_is_malformed(self, value, message):
        with pytest.raises(OperationError, match=message) as caught:
            Operation.decode(encode(value), WORKSPACE)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("build", "message"), UNBUILT.values(), ids=UNBUILT)
    def test_of_what_cannot_be_built_in_these_words(self, build, message):
        with pytest.raises(OperationError) as caught:
            build()
        assert str(caught.value) == message

    @pytest.mark.parametrize(("value", "message"), UNREAD.values(), ids=UNREAD)
    def test_of_what_cannot_be_read_in_these_words(self, value, message):
        with pytest.raises(OperationError) as caught:
            Operation.decode(encode(value), WORKSPACE)
        assert str(caught.value) == message

    def test_of_a_bad_coefficient(self):
        manifest = MANIFEST | {"coefficient": "00000000"}
        with pytest.raises(CoefficientError, match="zero"):
            Operation.decode(encode(of_kind("add", {"manifest": manifest, "nonce": nonce(1)})), WORKSPACE)

    def test_of_another_workspace(self):
        with pytest.raises(WrongWorkspace, match=f"belongs to workspace {WORKSPACE}, not to {ID_A}"):
            Operation.decode(ADD.encode(), ID_A)

    def test_of_more_bytes_than_allowed(self):
        names = [number.to_bytes(32, "big") for number in range(MAX_OPERATION_BYTES // 34 + 1)]
        with pytest.raises(EncodingError, match="at most 1048576"):
            Operation.decode(encode(of_kind("remove", {"operations": names})), WORKSPACE)
        with pytest.raises(OperationError, match="at most 1048576"):
            Operation(WORKSPACE, Remove(tuple(name.hex() for name in names)))

    def test_of_a_map_whose_keys_are_in_another_order(self):
        data = ATTEST.encode()
        swapped = data.replace(b"\xa8merge_id\xc4\x20" + A + b"\xaamodel_root\xc4\x20" + B, b"%s")
        assert b"%s" in swapped
        swapped = swapped.replace(b"%s", b"\xaamodel_root\xc4\x20" + B + b"\xa8merge_id\xc4\x20" + A)
        with pytest.raises(EncodingError, match="not canonical"):
            Operation.decode(swapped, WORKSPACE)

    @pytest.mark.parametrize(
        "build",
        [
            lambda: Operation(WORKSPACE, ATTEST.payload, time=-1),
            lambda: Operation(WORKSPACE, ATTEST.payload, note=""),
            lambda: Operation(WORKSPACE, ATTEST.payload, note="\udcff"),
            lambda: Operation(WORKSPACE, ATTEST.payload, name="\udcff"),
            lambda: Operation("workspace", ATTEST.payload),
            lambda: Add(MANIFESTS[0], b"short"),
            lambda: Remove(()),
            lambda: Remove((ID_B, ID_A)),
            lambda: Attest(ID_A, "root"),
        ],
        ids=["time", "note", "surrogate", "name", "workspace", "nonce", "remove", "order", "root"],
    )
    def test_of_building_what_could_not_be_read_back(self, build):
        with pytest.raises(OperationError):
            build()


@pytest.mark.clause("OS-6")
class TestDamage:
    """Damaged bytes either are refused by a rule or are another operation; they are never the same one."""

    @pytest.mark.parametrize("operation", [ADD, REMOVE, ATTEST, NAMED], ids=["add", "remove", "attest", "named"])
    def test_every_flipped_bit(self, operation):
        data = operation.encode()
        for bit in range(8 * len(data)):
            self.check_is_another(operation, _flipped(data, bit))

    @pytest.mark.parametrize("operation", [ADD, REMOVE, ATTEST, NAMED], ids=["add", "remove", "attest", "named"])
    def test_every_truncation(self, operation):
        data = operation.encode()
        for size in range(len(data)):
            with pytest.raises(EncodingError):
                Operation.decode(data[:size], WORKSPACE)

    @given(operations(), st.data())
    def test_any_splice(self, operation, data):
        encoded = operation.encode()
        start = data.draw(st.integers(0, len(encoded)))
        stop = data.draw(st.integers(start, len(encoded)))
        spliced = encoded[:start] + data.draw(st.binary(max_size=8)) + encoded[stop:]
        if spliced != encoded:
            self.check_is_another(operation, spliced)

    @given(st.binary(max_size=200))
    def test_noise(self, data):
        self.check_is_another(ADD, data)

    def check_is_another(self, operation: Operation, data: bytes) -> None:
        try:
            found = Operation.decode(data, WORKSPACE)
        except MergeAlgebraError as error:
            assert "\n" not in str(error)
            return
        assert found.id == hash_id("operation", data)
        assert found.id != operation.id


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
