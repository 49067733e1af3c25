"""Sound inputs of each decoder, and a few at the edge of being so, from which the search begins.

python -m tests.fuzz.seeds    writes them into the corpus
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mergealgebra.crdt.genesis import Genesis
from mergealgebra.crdt.operations import Add, Attest, Operation, Remove
from mergealgebra.encoding import decode, encode
from mergealgebra.incremental.header import Entry, Header
from mergealgebra.incremental.pages import PAGE, RECORD, Bytes, Element, Layout, Paged
from mergealgebra.incremental.seals import HEADER_BYTES
from mergealgebra.tensors.safetensors_file import canonical_header
from tests.crdt.strategies import BASE, GENESIS, MANIFESTS, OTHER_BASE, WORKSPACE, nonce
from tests.fuzz import families, maps, messages, outer, reference
from tests.fuzz.caches import kept_thresholds
from tests.fuzz.stores import Files

CORPUS = Path(__file__).parent / "corpus"


def _file(header: str, data: bytes = b"") -> bytes:
    return outer.length(bytes(8) + header.encode()) + data


def _tensors() -> bytes:
    entries = [("w", "F32", (2, 2), 16), ("b", "BF16", (), 2), ("empty", "I64", (0, 3), 0)]
    return canonical_header(entries) + bytes(range(18))


HEADERS = {
    "canonical": _tensors(),
    "no-tensors": _file("{}"),
    "out-of-order": _file(
        '{"z":{"data_offsets":[0,1],"dtype":"U8","shape":[1]},"a":{"shape":[1],"dtype":"BOOL","data_offsets":[1,2]}}'
    ),
    "metadata": _file('{"__metadata__":{"format":"pt","é":"\\u00e9"}}'),
    "spaces": _file('  {"a" : {"dtype":"U8", "shape":[ ], "data_offsets":[0,1]}}'),
    "escaped-name": _file('{"\\u0061\\n":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}}'),
    "name-twice": _file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'),
    "overlap": _file(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}'
    ),
    "negative-zero": _file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[-0,1]}}'),
    "pointer": b"version https://git-lfs.github.com/spec/v1\n",
}
INDEXES = {
    "two-shards": b'{"metadata":{"total_size":8},"weight_map":{"a.0":"a.safetensors","a.1":"a.safetensors",'
    b'"b.0":"b.safetensors","b.1":"b.safetensors"}}\n',
    "one-shard": b' {"weight_map":{"a.0":"a.safetensors","a.1":"a.safetensors"}}',
    "folder": b'{"weight_map":{"a.0":"../a.safetensors"}}',
    "itself": b'{"weight_map":{"a.0":"model.safetensors.index.json"}}',
}
VALUES = {
    "everything": encode(
        [
            None,
            True,
            False,
            "text",
            b"bytes",
            {"a": [], "b": {}},
            *(n for e in (7, 8, 16, 32, 63) for n in (1 << e, -(1 << e))),
        ]
    ),
    "lengths": encode(["x" * 31, "x" * 32, "x" * 256, bytes(256), [0] * 16, {f"{i:02}": i for i in range(16)}]),
    "depth-8": encode([[[[[[[[0]]]]]]]]),
    "depth-9": b"\x91" * 9 + b"\0",
    "long-form": b"\xcc\x07",
    "unsorted": b"\x82\xa1b\x00\xa1a\x00",
    "float": b"\xcb" + bytes(8),
    "extension": b"\xd6\xff" + bytes(4),
}
OPERATIONS = {
    "add": Operation(WORKSPACE, Add(MANIFESTS[0], nonce(1)), time=1_700_000_000, note="a note").encode(),
    "add-of-another-base": Operation(
        WORKSPACE, Add(MANIFESTS[0].__class__(OTHER_BASE, "bf800000", 0, "task_vector", BASE), nonce(2))
    ).encode(),
    "remove": Operation(WORKSPACE, Remove((BASE, OTHER_BASE))).encode(),
    "name": Operation(WORKSPACE, Remove((BASE, OTHER_BASE)), 0, "a note", "Ada").encode(),
    "attest": Operation(WORKSPACE, Attest(BASE, OTHER_BASE), time=0).encode(),
    "other-workspace": Operation(BASE, Attest(BASE, OTHER_BASE)).encode(),
    "note-nil": encode(
        {"body": decode(Operation(WORKSPACE, Attest(BASE, OTHER_BASE)).encode())["body"] | {"note": None}}
    ),
    "name-with-control": encode(
        {"body": decode(Operation(WORKSPACE, Attest(BASE, OTHER_BASE), name="Ada").encode())["body"] | {"name": "a\n"}}
    ),
    "name-of-version-1": encode(
        {"body": decode(Operation(WORKSPACE, Attest(BASE, OTHER_BASE)).encode())["body"] | {"name": "Ada"}}
    ),
    "signed": encode({"body": {"author": bytes(32)}, "signature": bytes(64)}),
}
TIES = {"boundary": "keep_all", "density": "0.2", "lambda": "1", "method": "ties", "scope": "model"}
SETTINGS = [{"tensors": "*.mlp.*", "density": "0.5"}, {"tensors": "h.*", "lambda": ["0.1", "1"]}]
GENESES = {
    "mean": GENESIS.encode(),
    "ties": Genesis(BASE, "a garden", TIES).encode(),
    "settings": Genesis(BASE, "", {**TIES, "settings": SETTINGS}).encode(),
    "control-character": encode({**decode(GENESIS.encode()), "name": "a\n"}),
    "incomplete": Genesis(BASE, "", {"method": "ties"}).encode(),
}
MANIFEST_VALUES = {f"manifest-{i}": encode(manifest.to_map()) for i, manifest in enumerate(MANIFESTS)}


def _store(right: bool = True) -> bytes:
    add, again = (Operation(WORKSPACE, Add(MANIFESTS[0], nonce(i))) for i in range(2))
    operations = [add, again, Operation(WORKSPACE, Remove((add.id,))), Operation(WORKSPACE, Attest(BASE, BASE))]
    blob = canonical_header([("w", "F32", (2,), 8)]) + bytes(8)
    entries = [(o.id if right else WORKSPACE, o.encode()) for o in operations]
    return Files(GENESIS.encode(), entries, [((right and reference.root_of(blob)) or WORKSPACE, blob)]).pack()


STORES = {"store": _store(), "under-another-name": _store(right=False), "empty": Files(GENESIS.encode(), [], []).pack()}


def _locks() -> dict[str, bytes]:
    entry = {"form": "finetuned", "coefficient": "3f800000", "elements": 4, "tensors": BASE, "kept": 4}
    other = entry | {"form": "task_vector", "coefficient": "3f000000", "tensors": OTHER_BASE}
    tensors = {"b": {"dtype": "BF16", "shape": [], "root": BASE}, "w": {"dtype": "F32", "shape": [2, 2], "root": BASE}}
    ties = families.as_lock(recipe=TIES, contributions=[entry | {"kept": 1}, other], tensors=tensors)
    settings = families.as_lock(recipe={**TIES, "settings": SETTINGS}, contributions=[entry | {"kept": 1}])
    mean = families.as_lock(contributions=[entry], tensors=tensors)
    none = families.as_lock(contributions=[entry | {"elements": 0, "kept": 0}])
    return {
        "ties": outer.lock(ties),
        "settings": outer.lock(settings),
        "mean": outer.lock(mean),
        "no-elements": outer.lock(none),
        "not-its-own": ties,
    }


RECIPES = {
    "ties": b'method: ties\ndensity: "0.20"\nlambda: 0.5\nscope: tensor\nboundary: lowest_index\n',
    "mean": b"# a comment\nmethod: mean\n",
    "task-arithmetic": b"{method: 'task_arithmetic', lambda: -1}",
    "merge": b'method: ties\nbase: ../base\nmodels:\n  - {path: ft0}\n  - path: "ft 1"\n    coefficient: 0.5\n',
    "aliases": b"method: mean\nlambda: &one 1\nbase: &b base\nmodels:\n- path: *b\n  coefficient: *one\n- {path: x}\n",
    "blocks": b"method: >-\n  mean\nlambda: |-\n  1\n",
    "tags": b"%YAML 1.1\n%TAG !e! tag:x,2000:\n---\n!!map\n!e!a method: !<b> mean\n...\n",
    "settings": b"method: ties\nsettings:\n- tensors: '[!a]?.mlp'\n  density: 0.50\n- {tensors: h, lambda: [0, 1]}\n",
    "key-twice": b"method: mean\nmethod: ties\n",
    "documents": b"method: mean\n---\nmethod: mean\n",
    "windows": b"\xef\xbb\xbfmethod: mean\r\nlambda: '1'\r\n",
}
PATTERNS = {
    "star": b"model.*.weight\0model.0.weight",
    "set": b"[!a-c]?[]x][z-a]\0dx]a",
    "open": b"[a\0[a",
    "backslash": b"\\[^a]\0\\^",
    "line": b"*\0a\nb",
    "stars": b"*a*b*\0xaxb",
    "case": b"A*\0ab",
}
THRESHOLDS = {
    "right": kept_thresholds(),
    "no-cut": encode([[0x3F800000], [0x40400000]]),
    "another-cut": encode([[0x3F800000, "b", 1], [1, "a", 0]]),
    "large": encode([[0x7FFFFFFF, "zzz", (1 << 64) - 1], [1]]),
}


def _aggregates() -> dict[str, bytes]:
    entries = tuple(Entry(manifest, 1, kept_thresholds()) for manifest in MANIFESTS[:2])
    tensors = Paged("a", 65537, 1, PAGE), Paged("b", 0, 1, PAGE), Paged("c", 1, 1, PAGE)
    layout = Layout(tensors, Element(votes="int16"))
    table = bytes(range(32)) * layout.pages
    header = Header(GENESIS.recipe_id, entries, 127, layout, "0123456789abcdef", _records(table))
    none = Header(GENESIS.recipe_id, (), 255, Layout((), Element()), "0" * 16, _records(b""))
    return {
        "three-pages": header.encode(outer.SEAL),
        "empty": none.encode(outer.SEAL),
        "seal": bytes(HEADER_BYTES) + header.encode(outer.SEAL)[HEADER_BYTES:],
    }


def _records(table: bytes) -> Bytes:
    return np.frombuffer(table, np.uint8).reshape(-1, RECORD)


SEEDS = {
    "header": HEADERS,
    "index": INDEXES,
    "value": VALUES,
    "manifest": MANIFEST_VALUES,
    "genesis": GENESES,
    "operation": OPERATIONS,
    "store": STORES,
    "lock": _locks(),
    "recipe": RECIPES,
    "pattern": PATTERNS,
    "thresholds": THRESHOLDS,
    "aggregate": _aggregates(),
    **messages.SEEDS,
    **maps.SEEDS,
}


def write(corpus: Path = CORPUS) -> None:
    """Write every seed as a file `seed-NAME` in the folder of its target."""
    for target, inputs in SEEDS.items():
        (corpus / target).mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (corpus / target / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    write()
