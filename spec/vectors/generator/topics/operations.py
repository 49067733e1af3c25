"""Genesis and operations: encodings, ids, and what may not enter a set."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.canonical import encode, read_value
from generator.reference.hashes import H
from generator.reference.operations import make_genesis, workspace_id
from generator.topics.contributions import FIELDS
from generator.topics.contributions import fields as manifest

Json = Any
BASE = FIELDS["base"]["bin"]
TIES = {"method": "ties", "density": "0.2"}
WORKSPACE = workspace_id(make_genesis(bytes.fromhex(BASE), "team", TIES)).hex()
OTHER = workspace_id(make_genesis(bytes.fromhex(BASE), "other", TIES)).hex()
A, B = H("operation", b"a").hex(), H("operation", b"b").hex()
LOW, HIGH = sorted((A, B))

GENESES: list[tuple[str, Json, Json, str]] = [
    ("plain", {"name": "team", "recipe": TIES}, {"workspace": WORKSPACE}, "a workspace for TIES"),
    ("written-out", {"name": "team", "recipe": {**TIES, "density": "0.20", "lambda": "1", "scope": "model",
                                                "boundary": "keep_all"}},
     {"workspace": WORKSPACE}, "defaults written out: the same workspace"),
    ("no-name", {"name": "", "recipe": {"method": "mean"}}, None, "the empty name"),
    ("long-name", {"name": "n" * 256, "recipe": {"method": "mean"}}, None, "256 bytes of name"),
    ("utf8-name", {"name": "\u00e9quipe \U0001f600", "recipe": {"method": "task_arithmetic"}}, None,
     "a name beyond ASCII"),
    ("other-base", {"base": "00" * 32, "name": "team", "recipe": TIES}, None, "another base, another workspace"),
    ("name-too-long", {"name": "n" * 257, "recipe": TIES}, "GenesisError", "257 bytes"),
    ("name-too-long-utf8", {"name": "\u00e9" * 129, "recipe": TIES}, "GenesisError", "258 bytes of 129 characters"),
    ("name-line-feed", {"name": "a\nb", "recipe": TIES}, "GenesisError", "a control character"),
    ("name-nul", {"name": "\0", "recipe": TIES}, "GenesisError", "a control character"),
    ("name-escape", {"name": "\x1b[31m", "recipe": TIES}, "GenesisError", "a control character"),
    ("name-delete", {"name": "\x7f", "recipe": TIES}, "GenesisError", "U+007F is a control character"),
    ("name-c1", {"name": "\x85", "recipe": TIES}, "GenesisError", "U+0085 is a control character"),
    ("name-format", {"name": "\u00a0\u200b\u2028", "recipe": TIES}, None, "spaces and format characters are none"),
]  # fmt: skip

RECIPE = {"map": [["method", {"str": "mean"}], ["lambda", {"str": "1"}]]}
GENESIS: dict[str, Json] = {
    "base": {"bin": BASE}, "name": {"str": "team"}, "policy": {"str": "open"}, "recipe": RECIPE, "spec": {"int": "1"},
}  # fmt: skip


def encoded(pairs: dict[str, Json], **changes: Json) -> str:
    """The encoding of a map with some values changed; None takes a key away."""
    changed = {key: value for key, value in {**pairs, **changes}.items() if value is not None}
    return encode(read_value({"map": list(changed.items())})).hex()


def recipe_map(**keys: str) -> Json:
    return {"map": [[key.rstrip("_"), {"str": text}] for key, text in keys.items()]}


BAD_GENESES = {
    "no-policy": (encoded(GENESIS, policy=None), "GenesisError", "a key is missing"),
    "extra-key": (encoded(GENESIS, nonce={"bin": "00"}), "GenesisError", "a key too many"),
    "policy": (encoded(GENESIS, policy={"str": "signed"}), "GenesisError", "another policy"),
    "spec-2": (encoded(GENESIS, spec={"int": "2"}), "GenesisError", "another version"),
    "base-short": (encoded(GENESIS, base={"bin": "00" * 31}), "GenesisError", "31 bytes"),
    "recipe-default-left-out": (encoded(GENESIS, recipe=recipe_map(method="mean")), "GenesisError",
                                "a recipe without every key"),
    "recipe-not-canonical": (encoded(GENESIS, recipe=recipe_map(method="mean", lambda_="1.0")), "GenesisError",
                             "a decimal that is not in canonical form"),
    "recipe-not-well-formed": (encoded(GENESIS, recipe=recipe_map(method="da-re", lambda_="1")), "GenesisError",
                               "an unknown method, whose name is none"),
    "recipe-number": (encoded(GENESIS, recipe={"map": [["method", {"str": "mean"}], ["lambda", {"int": "1"}]]}),
                      "GenesisError", "a number for a decimal"),
    "not-canonical": (encoded(GENESIS)[:-2] + "cc01", "EncodingError", "1 in two bytes"),
    "trailing": (encoded(GENESIS) + "00", "EncodingError", "a byte too many"),
}  # fmt: skip

NONCE = {"bin": "000102030405060708090a0b0c0d0e0f"}
ADD = {"map": [["manifest", manifest()], ["nonce", NONCE]]}
REMOVE = {"map": [["operations", {"array": [{"bin": LOW}, {"bin": HIGH}]}]]}
ATTEST = {"map": [["merge_id", {"bin": A}], ["model_root", {"bin": B}]]}
BODY: dict[str, Json] = {
    "version": {"int": "1"}, "workspace": {"bin": WORKSPACE}, "kind": {"str": "add"}, "fields": ADD,
}  # fmt: skip


def body(**changes: Json) -> Json:
    changed = {key: value for key, value in {**BODY, **changes}.items() if value is not None}
    return {"map": [[key, value] for key, value in changed.items()]}


def named(name: Json, **changes: Json) -> Json:
    return body(**{"version": {"int": "2"}, "name": {"str": name}, **changes})


def kind(name: str, **fields: Json) -> Json:
    content = {"map": [[key, value] for key, value in fields.items() if value is not None]}
    return body(kind={"str": name}, fields=content)


def ids(*operations: str) -> Json:
    return {"array": [{"bin": i} for i in operations]}


MADE = {
    "add": (body(), "OS-2 OS-3 OS-4", "an add"),
    "remove": (body(kind={"str": "remove"}, fields=REMOVE), "OS-4", "a remove of two operations"),
    "attest": (body(kind={"str": "attest"}, fields=ATTEST), "OS-4", "an attest"),
    "time": (body(time={"int": "1700000000"}), "OS-3", "a time"),
    "time-zero": (body(time={"int": "0"}), "OS-3", "the earliest time"),
    "time-last": (body(time={"int": str(2**53 - 1)}), "OS-3", "the last time"),
    "note": (body(note={"str": "na\u00efve \U0001f600"}), "OS-3", "a note beyond ASCII"),
    "note-long": (body(note={"str": {"repeat": "n", "times": 4096}}), "OS-3", "4,096 bytes of note"),
    "note-control": (body(note={"str": "a\nb"}), "OS-3", "a note may hold a line feed"),
    "name": (named("na\u00efve \U0001f600"), "OS-3", "a name beyond ASCII: version 2"),
    "name-long": (named({"repeat": "n", "times": 256}), "OS-3", "256 bytes of name"),
    "name-time-note": (named("Ada", time={"int": "5"}, note={"str": "why"}), "OS-3", "a name, a time and a note"),
    "name-remove": (named("Ada", kind={"str": "remove"}, fields=REMOVE), "OS-3 OS-4", "a remove with a name"),
    "name-attest": (named("Ada", kind={"str": "attest"}, fields=ATTEST), "OS-3 OS-4", "an attest with a name"),
    "other-base": (kind("add", manifest=manifest(base={"bin": "00" * 32}), nonce=NONCE), "OS-6 OS-8",
                   "a manifest of another base: it enters the set, without effect"),
    "negative": (kind("add", manifest=manifest(coefficient={"str": "bf800000"}), nonce=NONCE), "OS-4 CT-4",
                 "a negative coefficient: it enters the set, whatever the recipe"),
}  # fmt: skip

BAD_BODIES = {
    "no-version": (body(version=None), "OS-3", "a key is missing"),
    "version-2": (body(version={"int": "2"}), "OS-3", "version 2 without a name"),
    "version-3": (named("Ada", version={"int": "3"}), "OS-3", "another version"),
    "version-true": (body(version=True), "OS-3", "true is not 1"),
    "extra-key": (body(nonce=NONCE), "OS-3", "a key too many"),
    "workspace-short": (body(workspace={"bin": WORKSPACE[2:]}), "OS-3", "31 bytes"),
    "workspace-string": (body(workspace={"str": WORKSPACE}), "OS-3", "hexadecimal digits"),
    "time-negative": (body(time={"int": "-1"}), "OS-3", "before 1970"),
    "time-2-53": (body(time={"int": str(2**53)}), "OS-3", "2^53 seconds"),
    "time-string": (body(time={"str": "0"}), "OS-3", "a time that is no integer"),
    "time-false": (body(time=False), "OS-3", "a boolean is no time"),
    "time-nil": ({"map": [*body()["map"], ["time", None]]}, "OS-3", "what is optional is left out, never nil"),
    "note-nil": ({"map": [*body()["map"], ["note", None]]}, "OS-3", "what is optional is left out, never nil"),
    "author-nil": ({"map": [*body()["map"], ["author", None]]}, "OS-3", "what is optional is left out, never nil"),
    "name-nil": ({"map": [*body(version={"int": "2"})["map"], ["name", None]]}, "OS-3",
                 "what is optional is left out, never nil"),
    "name-version-1": (body(name={"str": "Ada"}), "OS-3", "version 1 has no name"),
    "name-empty": (named(""), "OS-3", "an empty name"),
    "name-too-long": (named({"repeat": "n", "times": 257}), "OS-3", "257 bytes"),
    "name-too-long-utf8": (named({"repeat": "\u00e9", "times": 129}), "OS-3", "258 bytes of 129 characters"),
    "name-line-feed": (named("a\nb"), "OS-3", "a control character"),
    "name-c1": (named("\x85"), "OS-3", "U+0085 is a control character"),
    "name-bytes": (body(version={"int": "2"}, name={"bin": "41"}), "OS-3", "a name that is no string"),
    "note-empty": (body(note={"str": ""}), "OS-3", "an empty note"),
    "note-too-long": (body(note={"str": {"repeat": "n", "times": 4097}}), "OS-3", "4,097 bytes"),
    "note-too-long-utf8": (body(note={"str": {"repeat": "\u00e9", "times": 2049}}), "OS-3",
                           "4,098 bytes of 2,049 characters"),
    "author-unsigned": (body(author={"bin": "00" * 32}), "OS-2 OS-5", "an author without a signature"),
    "kind-unknown": (body(kind={"str": "grant"}), "OS-4", "a kind of another policy"),
    "kind-case": (body(kind={"str": "Add"}), "OS-4", "kinds are exact"),
    "kind-integer": (body(kind={"int": "1"}), "OS-4", "a kind that is no string"),
    "fields-array": (body(fields={"array": []}), "OS-3", "fields that are no map"),
    "fields-of-another-kind": (body(fields=REMOVE), "OS-4", "an add with the fields of a remove"),
    "add-no-nonce": (kind("add", manifest=manifest()), "OS-4", "no nonce"),
    "add-nonce-short": (kind("add", manifest=manifest(), nonce={"bin": "00" * 15}), "OS-4", "15 bytes of nonce"),
    "add-nonce-long": (kind("add", manifest=manifest(), nonce={"bin": "00" * 17}), "OS-4", "17 bytes of nonce"),
    "add-nonce-string": (kind("add", manifest=manifest(), nonce={"str": "0" * 16}), "OS-4",
                         "a nonce that is a string"),
    "add-extra": (kind("add", manifest=manifest(), nonce=NONCE, url={"str": "x"}), "OS-4", "a field too many"),
    "add-manifest": (kind("add", manifest=manifest(form=None), nonce=NONCE), "OS-4 CT-4",
                     "a manifest that breaks CT-4"),
    "add-coefficient": (kind("add", manifest=manifest(coefficient={"str": "00000000"}), nonce=NONCE), "OS-4 CT-4",
                        "a coefficient of zero"),
    "remove-none": (kind("remove", operations=ids()), "OS-4", "nothing to remove"),
    "remove-descending": (kind("remove", operations=ids(HIGH, LOW)), "OS-4", "ids in descending order"),
    "remove-twice": (kind("remove", operations=ids(LOW, LOW)), "OS-4", "an id twice"),
    "remove-short": (kind("remove", operations=ids(LOW[2:])), "OS-4", "an id of 31 bytes"),
    "remove-string": (kind("remove", operations={"array": [{"str": LOW}]}), "OS-4", "an id in hexadecimal digits"),
    "remove-not-array": (kind("remove", operations={"bin": LOW}), "OS-4", "one id without an array"),
    "attest-short": (kind("attest", merge_id={"bin": A}, model_root={"bin": B[2:]}), "OS-4", "a root of 31 bytes"),
    "attest-missing": (kind("attest", merge_id={"bin": A}), "OS-4", "no model root"),
}  # fmt: skip

GOOD = encode({"body": read_value(body())})
AUTHORED = encode(read_value({"map": [["body", body(author={"bin": "00" * 32})], ["signature", {"bin": "00" * 64}]]}))
SIGNED = encode(read_value({"map": [["body", body()], ["signature", {"bin": "00" * 64}]]}))
BAD_BYTES = {
    "empty": ("", "EncodingError", "OS-6", "no bytes"),
    "trailing": (GOOD.hex() + "c0", "EncodingError", "OS-6", "bytes behind the operation"),
    "not-canonical": (GOOD.hex().replace("a776657273696f6e01", "a776657273696f6ecc01"), "EncodingError", "OS-6",
                      "the version in two bytes"),
    "array": ("90", "OperationError", "OS-2", "no map"),
    "empty-map": ("80", "OperationError", "OS-2", "no body"),
    "body-nil": ("81a4626f6479c0", "OperationError", "OS-2", "a body that is no map"),
    "signed-without-author": (SIGNED.hex(), "OperationError", "OS-2", "a signature without an author"),
    "author": (AUTHORED.hex(), "OperationError", "OS-5", "an author with a signature"),
    "other-workspace": (encode({"body": read_value(body(workspace={"bin": OTHER}))}).hex(), "WrongWorkspace", "OS-6",
                        "an operation of another workspace"),
}  # fmt: skip

COUNTED = "11" * 28  # and a counter of four bytes: the ids of a long remove, ascending


def remove_of_length(length: int) -> Json:
    """The bytes of a remove that is as long as asked: many ids, and a note of 32 to 255 bytes for the rest."""
    n, note = length // 34 - 6, 32
    operations = [bytes.fromhex(COUNTED) + i.to_bytes(4, "big") for i in range(n)]
    fields: Json = {"kind": "remove", "version": 1, "workspace": bytes.fromhex(WORKSPACE)}

    def whole(note: int) -> bytes:
        return encode({"body": {"fields": {"operations": operations}, "note": "n" * note, **fields}})

    note += length - len(whole(note))
    found = whole(note)
    if len(found) != length:
        raise AssertionError(f"{len(found)} bytes, not {length}")
    begin = found.index(b"\xc4\x20" + operations[0])
    return [found[:begin].hex(), {"counted": "c420" + COUNTED, "times": n}, found[begin + 34 * n :].hex()]


CASES = [
    *(
        Case("genesis", f"genesis-{'refused-' if says == 'GenesisError' else ''}{i}", "OS-1", why,
             {"base": BASE, **x}, says)
        for i, x, says, why in GENESES
    ),
    *(
        Case("read-genesis", f"read-genesis-refused-{i}", "OS-1 EN-3", why, {"genesis": hex_}, rule)
        for i, (hex_, rule, why) in BAD_GENESES.items()
    ),
    Case("read-genesis", "read-genesis-recipe-unknown", "OS-1 RC-12", "the set takes a recipe of an unknown method",
         {"genesis": encoded(GENESIS, recipe=recipe_map(method="dare", lambda_="1"))}),
    *(
        Case("operation", f"operation-{i}", clauses, why, {"workspace": WORKSPACE, "body": x})
        for i, (x, clauses, why) in MADE.items()
    ),
    Case("read-operation", "read-operation-add", "OS-2 OS-6", "the bytes of the add above",
         {"workspace": WORKSPACE, "operation": GOOD.hex()}, {"id": H("operation", GOOD).hex()}),
    Case("read-operation", "read-operation-longest", "OS-2", "2^20 bytes: at the limit",
         {"workspace": WORKSPACE, "operation": remove_of_length(2**20)}),
    Case("read-operation", "operation-refused-too-long", "OS-2 EN-3", "2^20 + 1 bytes: above the limit",
         {"workspace": WORKSPACE, "operation": remove_of_length(2**20 + 1)}, "EncodingError"),
    *(
        Case("read-operation", f"operation-refused-{i}", f"{clauses} OS-6", why,
             {"workspace": WORKSPACE, "operation": encode({"body": read_value(x)}).hex()}, "OperationError")
        for i, (x, clauses, why) in BAD_BODIES.items()
    ),
    *(
        Case("read-operation", f"operation-refused-{i}", clauses, why, {"workspace": WORKSPACE, "operation": hex_},
             rule)
        for i, (hex_, rule, clauses, why) in BAD_BYTES.items()
    ),
]  # fmt: skip
