"""Hostile inputs of any size, by what they are made to cost: time and memory may grow as their size, and no faster."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from mergealgebra.encoding import encode, hash_id
from tests.crdt.strategies import BASE, GENESIS, MANIFESTS, WORKSPACE
from tests.fuzz.outer import SEAL
from tests.fuzz.stores import Files
from tests.fuzz.target import Family

_ID = bytes.fromhex(WORKSPACE)
_ENTRY = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'

# JSON


def _texts(around: Callable[[bytes], bytes]) -> dict[str, Family]:
    """JSON objects that hold much of one thing. around: makes an input of the text of an object."""
    many = {
        "brackets": lambda n: b"[" * n,
        "braces": lambda n: b'{"":' * (n // 4),
        "closed brackets": lambda n: b'{"a":' + b"[" * (n // 2) + b"]" * (n // 2) + b"}",
        "keys": lambda n: _object(_key(i) + b":0" for i in range(n // 10)),
        "keys, the last one twice": lambda n: _object(_key(min(i, n // 10)) + b":0" for i in range(n // 10 + 2)),
        "one key": lambda n: _object([b'"a":0'] * (n // 6)),
        "digits": lambda n: b'{"a":' + b"9" * n + b"}",
        "digits of an exponent": lambda n: b'{"a":1e' + b"9" * n + b"}",
        "ones": lambda n: b'{"a":[' + b"1," * (n // 2) + b"1]}",
        "empty objects": lambda n: b'{"a":[' + b"{}," * (n // 3) + b"1]}",
        "a long string": lambda n: b'{"a":"' + b"x" * n + b'"}',
        "escapes": lambda n: b'{"a":"' + rb"\u00e9" * (n // 6) + b'"}',
        "backslashes": lambda n: b'{"a":"' + b"\\" * n,
        "quotes": lambda n: b'"' * n,
        "spaces": lambda n: b"{" + b" " * n + b"}",
        "a value and more": lambda n: b"{}" + b"\n" * n + b"{}",
    }
    return {what: (lambda n, text=text: around(text(n))) for what, text in many.items()}


def _key(i: int) -> bytes:
    return b'"%06x"' % i


def _object(entries: object) -> bytes:
    return b"{" + b",".join(entries) + b"}"  # type: ignore[arg-type]


def _file(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


HEADERS: dict[str, Family] = {
    **_texts(_file),
    "tensors": lambda n: _file(_object(_key(i) + b":" + _ENTRY for i in range(n // 60))),
    "a name of lone surrogates": lambda n: _file(b'{"' + rb"\ud800" * (n // 6) + b'":' + _ENTRY + b"}"),
    "metadata": lambda n: _file(b'{"__metadata__":' + _object(_key(i) + b':""' for i in range(n // 12)) + b"}"),
    "sizes": lambda n: _file(b'{"a":{"dtype":"U8","shape":[' + b"1," * (n // 2) + b'1],"data_offsets":[0,1]}}') + b"x",
    "large sizes": lambda n: _file(
        b'{"a":{"dtype":"U8","shape":[' + b"9223372036854775807," * (n // 20) + b'1],"data_offsets":[0,1]}}'
    ),
    "a length and no header": lambda n: (1 << 63).to_bytes(8, "little") + bytes(n),
    "data and no tensors": lambda n: _file(b"{}") + bytes(n),
}

INDEXES: dict[str, Family] = {
    **_texts(bytes),
    "tensors": lambda n: b'{"weight_map":' + _object(_key(i) + b':"a.safetensors"' for i in range(n // 24)) + b"}",
    "shards": lambda n: b'{"weight_map":' + _object(_key(i) + b":" + _key(i) for i in range(n // 17)) + b"}",
    "brackets beside the tensors": lambda n: b'{"weight_map":{},"a":' + b"[" * (n // 2) + b"0" + b"]" * (n // 2) + b"}",
    "a long name of a shard": lambda n: b'{"weight_map":{"a":"' + b"x" * n + b'"}}',
}

# MessagePack


def _declaring(tag: bytes) -> Family:
    return lambda n: (b"".join([tag + n.to_bytes(4, "big")] * min(1000, n // 5))).ljust(n, b"\xc0")


def _array(item: bytes) -> Family:
    return lambda n: b"\xdd" + (n // len(item)).to_bytes(4, "big") + item * (n // len(item))


def _nested(n: int) -> bytes:
    value: object = 0
    for _ in range(int(math.log(n, 8))):
        value = [value] * 8
    return encode(value)


VALUES: dict[str, Family] = {
    "arrays that declare as many items as there are bytes": _declaring(b"\xdd"),
    "maps that do": _declaring(b"\xdf"),
    "strings that do": _declaring(b"\xdb"),
    "arrays of one array": lambda n: b"\x91" * n,
    "numbers": _array(b"\x00"),
    "empty arrays": _array(b"\x90"),
    "empty maps": _array(b"\x80"),
    "arrays of eight in eight": _nested,
    "short strings": _array(b"\xa1a"),
    "keys": lambda n: encode({f"{i:06x}": 0 for i in range(n // 8)}),
    "one key": lambda n: b"\xdf" + (n // 3).to_bytes(4, "big") + b"\xa1a\x00" * (n // 3),
    "a long string": lambda n: encode("x" * n),
    "long bytes": lambda n: encode(bytes(n)),
    "bytes that are no text": lambda n: b"\xdb" + n.to_bytes(4, "big") + b"\xff" * n,
    "zeros behind a value": bytes,
    "extensions": lambda n: b"\xc9" + n.to_bytes(4, "big") + b"\x05" + bytes(n),
}


def _operation(kind: str, fields: object, **more: object) -> bytes:
    return encode({"body": {"version": 1, "workspace": _ID, "kind": kind, "fields": fields} | more})


def _remove(n: int) -> bytes:
    return _operation("remove", {"operations": [i.to_bytes(32, "big") for i in range(max(1, n // 34))]})


OPERATIONS: dict[str, Family] = {
    "operations to remove": _remove,
    "a note": lambda n: _operation("attest", {"merge_id": _ID, "model_root": _ID}, note="x" * n),
    "a name": lambda n: _operation("attest", {"merge_id": _ID, "model_root": _ID}, version=2, name="x" * n),
    "fields": lambda n: _operation("attest", {f"{i:06x}": 0 for i in range(n // 8)}),
    "a kind": lambda n: _operation("x" * n, {}),
}
MANIFEST_VALUES: dict[str, Family] = {
    "fields": lambda n: encode({**MANIFESTS[0].to_map(), **{f"{i:06x}": 0 for i in range(n // 8)}}),
    "a coefficient": lambda n: encode({**MANIFESTS[0].to_map(), "coefficient": "0" * n}),
}
GENESES: dict[str, Family] = {
    "keys of the recipe": lambda n: _genesis(recipe={"method": "mean", **{f"{i:06x}": "" for i in range(n // 8)}}),
    "a name": lambda n: _genesis(name="x" * n),
    "digits of lambda": lambda n: _genesis(recipe={"lambda": "9" * n, "method": "mean"}),
    "a method": lambda n: _genesis(recipe={"method": "x" * n}),
}


def _genesis(**changed: object) -> bytes:
    fields = {"base": bytes.fromhex(BASE), "name": "", "policy": "open", "recipe": {}, "spec": 1}
    return encode(fields | changed)


STORES: dict[str, Family] = {
    "operations of other names": lambda n: Files(GENESIS.encode(), [("x", b"")] * (n // 5), []).pack(),
    "an operation": lambda n: _store(_remove(n)),
    "arrays that declare much": lambda n: _store(_declaring(b"\xdd")(n)),
    "a genesis": lambda n: Files(_declaring(b"\xdd")(n), [], []).pack(),
    "a blob": lambda n: Files(GENESIS.encode(), [], [(WORKSPACE, HEADERS["tensors"](n))]).pack(),
}


def _store(operation: bytes) -> bytes:
    return Files(GENESIS.encode(), [(hash_id("operation", operation), operation)], []).pack()


# merge.lock


def as_lock(**changed: object) -> bytes:
    fields = {
        "format": 1,
        "spec": 1,
        "base": BASE,
        "recipe": {"method": "mean", "lambda": "1"},
        "contributions": [],
        "merge_id": BASE,
        "tensors": {},
        "model_root": BASE,
        "achieved_density": "0.000000",
        "uncertified": 0,
        "backend": "numpy",
    }
    return json.dumps(fields | changed).encode()


_LOCKED = {"id": BASE, "form": "finetuned", "coefficient": "3f800000", "elements": 1, "tensors": BASE, "kept": 1}

LOCKS: dict[str, Family] = {
    **_texts(bytes),
    "contributions": lambda n: as_lock(contributions=[_LOCKED] * (n // 240)),
    "contributions of nothing": lambda n: as_lock(contributions=[{}] * (n // 4)),
    "tensors": lambda n: as_lock(
        tensors={f"{i:06x}": {"dtype": "U8", "shape": [], "root": BASE} for i in range(n // 120)}
    ),
    "tensors of nothing": lambda n: as_lock(tensors={f"{i:06x}": {} for i in range(n // 14)}),
    "a recipe of numbers": lambda n: as_lock(recipe={f"{i:06x}": 0 for i in range(n // 13)}),
    "keys of a contribution": lambda n: as_lock(contributions=[{f"{i:06x}": 0 for i in range(n // 13)}]),
    "keys of the recipe": lambda n: as_lock(recipe={f"{i:06x}": "" for i in range(n // 12)}),
    "a recipe's method": lambda n: as_lock(recipe={"method": "x" * n}),
    "a density": lambda n: as_lock(achieved_density="0" * n),
}

# YAML


def _aliases(n: int) -> bytes:
    """Each line nine times the one before."""
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, max(2, n // 70))]
    return b"\n".join([*lines, b"method: *a%d" % (len(lines) - 1), b""])


RECIPES: dict[str, Family] = {
    "keys": lambda n: b"".join(b"k%06x: v\n" % i for i in range(n // 11)),
    "keys, the last one twice": lambda n: b"".join(b"k%06x: v\n" % (i % (n // 11)) for i in range(n // 11 + 1)),
    "keys in braces": lambda n: b"{" + b"".join(b"k%06x: v, " % i for i in range(n // 12)) + b"}",
    "items": lambda n: b"a: [" + b"x," * (n // 2) + b"]",
    "empty items": lambda n: b"a:\n" + b"-\n" * (n // 2),
    "brackets": lambda n: b"[" * n,
    "brackets on lines": lambda n: b"[\n" * (n // 2),
    "braces": lambda n: b"{a: " * (n // 4),
    "dashes": lambda n: b"- " * (n // 2),
    "question marks": lambda n: b"? " * (n // 2),
    "indentation": lambda n: b"".join(b" " * i + b"a:\n" for i in range(int((2 * n) ** 0.5))),
    "aliases of aliases": _aliases,
    "aliases in aliases": lambda n: (
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, max(2, n // 20)))
    ),
    "anchors": lambda n: b"a: [" + b"".join(b"&a%06x x, " % i for i in range(n // 12)) + b"]",
    "tags": lambda n: b"".join(b"%%TAG !a%d! x\n" % i for i in range(n // 14)) + b"---\na: b\n",
    "digits of a version": lambda n: b"%YAML 1." + b"1" * n + b"\n---\na: b\n",
    "a quoted text": lambda n: b'a: "' + b"x" * n + b'"',
    "lines of a quoted text": lambda n: b'a: "' + b"\n" * n + b'"',
    "escapes": lambda n: b'a: "' + rb"\x41" * (n // 4) + b'"',
    "a plain text": lambda n: b"a: " + b"x " * (n // 2),
    "lines of a plain text": lambda n: b"a: " + b"x\n " * (n // 3),
    "lines of a block": lambda n: b"a: |\n" + b" x\n" * (n // 3),
    "comments": lambda n: b"#" * (n // 2) + b"\n#" * (n // 4),
    "spaces": lambda n: b"a:" + b" " * n + b"b",
    "tabs": lambda n: b"a:" + b"\t" * n + b"b",
    "colons": lambda n: b"a" + b":" * n,
    "documents": lambda n: b"--- {}\n" * (n // 7),
    "models": lambda n: b"method: mean\nbase: b\nmodels:\n" + b"- {path: a}\n" * (n // 12),
    "digits": lambda n: b"method: mean\nlambda: " + b"9" * n + b"\n",
    "a method": lambda n: b"method: " + b"x" * n + b"\n",
}

# Patterns, and caches

#: Patterns are the user's own; the names are whoever's file it is.
PATTERNS: dict[str, Family] = {
    "one letter": lambda n: b"*a*a*a*a*a*b\0" + b"a" * n,
    "letters in turn": lambda n: b"*ab*ab*ab*ba\0" + b"ab" * (n // 2),
    "question marks": lambda n: b"*????*????*b\0" + b"a" * n,
    "sets": lambda n: b"*[!b]*[a-c]*[]x]\0" + b"a" * n,
    "stars": lambda n: b"********b\0" + b"a" * n,
    "lines": lambda n: b"*a*\0" + b"\n" * n,
}
THRESHOLDS: dict[str, Family] = {
    "thresholds": lambda n: encode([[7]] * (n // 2)),
    "a tensor's name": lambda n: encode([[7, "x" * n, 1], [7]]),
}


def _sealed(body: bytes) -> bytes:
    return SEAL.of_header(body) + body


def _aggregate(**changed: object) -> bytes:
    fields: dict[str, object] = {
        "bits": 0,
        "contributions": [],
        "format": 3,
        "least": 150,
        "pages": b"",
        "recipe": WORKSPACE,
        "spec": 1,
        "sums": 1,
        "tensors": [],
        "token": "0" * 16,
        "votes": "int16",
    }
    return _sealed(encode(fields | changed))


AGGREGATES: dict[str, Family] = {
    "arrays that declare much": lambda n: _sealed(_declaring(b"\xdd")(n)),
    "empty arrays": lambda n: _sealed(VALUES["empty arrays"](n)),
    "contributions": lambda n: _aggregate(contributions=[[MANIFESTS[0].to_map(), 1, b""]] * (n // 150)),
    "tensors": lambda n: _aggregate(tensors=[["x", 1, 1, 1]] * (n // 38), pages=bytes(32 * (n // 38))),
    "pages": lambda n: _aggregate(tensors=[["x", (n // 32) << 16, 1, 1 << 16]], pages=bytes(32 * (n // 32))),
}
