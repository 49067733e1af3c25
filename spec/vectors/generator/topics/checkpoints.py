"""Checkpoints: folders with one file or with shards, and where a written model is cut."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.checkpoints import INDEX, SHARD_BYTES, SINGLE, index_text
from generator.reference.safetensors import write_file
from generator.reference.tensors import read_tensors
from generator.writing import f32

Json = Any
DIFFUSERS = "diffusion_pytorch_model.safetensors"
TENSORS = {"a": f32(1), "b": f32(2), "c": f32(3)}


def file(*names: str) -> str:
    return write_file(read_tensors({name: TENSORS[name] for name in names})).hex()


def index(weight_map: str) -> str:
    return f'{{"metadata":{{"total_size":12}},"weight_map":{weight_map}}}'.encode().hex()


MAP = '{"a":"x.safetensors","b":"y.safetensors","c":"x.safetensors"}'


def nested(depth: int) -> str:
    """An index whose metadata nests arrays."""
    return f'{{"metadata":{"[" * depth}{"]" * depth},"weight_map":{MAP}}}'.encode().hex()


def around(before: str, behind: str) -> str:
    """An index with something before and behind it."""
    return f"{before}{MAP_ALONE}{behind}".encode().hex()


def with_key(text: str) -> str:
    """An index with other entries before its weight_map."""
    return f'{{{text},"weight_map":{MAP}}}'.encode().hex()


MAP_ALONE = f'{{"weight_map":{MAP}}}'
WRITTEN = index_text(12, {"x.safetensors": ["a", "c"], "y.safetensors": ["b"]}).encode().hex()
SHARDED = {INDEX: index(MAP), "x.safetensors": file("a", "c"), "y.safetensors": file("b")}
ALL = {"tensors": TENSORS}

READ: list[tuple[str, Json, Json, str, str]] = [
    ("single", {SINGLE: file("a", "b", "c")}, ALL, "EN-15", "one file"),
    ("sharded", SHARDED, ALL, "EN-8 EN-15 EN-16", "two shards: the root is that of the one file"),
    ("both", {SINGLE: file("a"), **SHARDED}, "CheckpointError", "EN-15",
     "model.safetensors and an index with its shards: nobody can tell which is stale"),
    ("index-stale", {SINGLE: file("a", "b", "c"), INDEX: SHARDED[INDEX]}, ALL, "EN-15",
     "model.safetensors and an index without its shards"),
    ("index-half-stale", {SINGLE: file("a", "b", "c"), INDEX: SHARDED[INDEX], "y.safetensors": file("b")},
     "CheckpointError", "EN-15", "model.safetensors and an index with one of its shards"),
    ("index-of-one-file", {SINGLE: file("a"), INDEX: index('{"a":"model.safetensors"}')},
     {"tensors": {"a": TENSORS["a"]}}, "EN-15 EN-16", "an index that names model.safetensors alone"),
    ("index-of-one-file-missing", {SINGLE: file("a"), INDEX: index('{"a":"model.safetensors","b":"y.safetensors"}')},
     "CheckpointError", "EN-15 EN-16", "an index that names model.safetensors and a file that is missing"),
    ("shard-beside-file", {SINGLE: file("a"), "model-00001-of-00002.safetensors": file("a")}, "CheckpointError",
     "EN-15", "model.safetensors and a shard of another model"),
    ("shard-of-one-beside-file", {SINGLE: file("a", "b", "c"), "model-00001-of-00001.safetensors": file("a")}, ALL,
     "EN-15", "a file 1 of 1 is not a shard"),
    ("shards-alone", {"model-00001-of-00002.safetensors": file("a"), "model-00002-of-00002.safetensors": file("b")},
     "CheckpointError", "EN-15", "shards without an index"),
    ("index-other-name", {"unet.safetensors.index.json": SHARDED[INDEX], "x.safetensors": file("a", "c"),
                          "y.safetensors": file("b")}, ALL, "EN-15 EN-16", "an index of another name"),
    ("index-variant", {"m.safetensors.index.fp16.json": SHARDED[INDEX], "x.safetensors": file("a", "c"),
                       "y.safetensors": file("b")}, ALL, "EN-15 EN-16", "an index of a variant"),
    ("index-two", {**SHARDED, "m.safetensors.index.json": SHARDED[INDEX]}, "CheckpointError", "EN-15", "two indexes"),
    ("diffusers", {DIFFUSERS: file("a", "b", "c"), "config.json": "7b7d"}, ALL, "EN-15", "diffusers' name of the file"),
    ("diffusers-both", {SINGLE: file("a"), DIFFUSERS: file("a")}, "CheckpointError", "EN-15", "both names of the file"),
    ("adapter", {SINGLE: file("a"), "adapter_model.safetensors": file("b")}, "CheckpointError", "EN-15",
     "a model and an adapter"),
    ("adapter-config", {**SHARDED, "adapter_config.json": "7b7d"}, "CheckpointError", "EN-15",
     "a model and the configuration of an adapter"),
    ("modules", {SINGLE: file("a"), "modules.json": "5b5d", "2_Dense/model.safetensors": file("b")},
     "CheckpointError", "EN-15", "a model with a part in a folder"),
    ("modules-pickled", {SINGLE: file("a"), "modules.json": "5b5d", "2_Dense/pytorch_model.bin": "80024b012e"},
     "CheckpointError", "EN-15", "a model with a pickled part in a folder"),
    ("modules-without-weights", {SINGLE: file("a", "b", "c"), "modules.json": "5b5d", "1_Pooling/config.json": "7b7d"},
     ALL, "EN-15", "a model with a part that has no weights"),
    ("pipeline", {"model_index.json": "7b7d", f"unet/{DIFFUSERS}": file("a")}, "CheckpointError", "EN-15",
     "a model that is in folders alone"),
    ("folders", {SINGLE: file("a", "b", "c"), "checkpoint-5/model.safetensors": file("a")}, ALL, "EN-15",
     "a folder that nothing calls a part"),
    ("other-files", {SINGLE: file("a", "b", "c"), "config.json": "7b7d", "other.safetensors": file("a")}, ALL,
     "EN-8 EN-15", "other files of the folder do not matter"),
    ("file-not-named", {**SHARDED, "z.safetensors": file("c")}, ALL, "EN-16", "a file that the index does not name"),
    ("index-no-metadata", {**SHARDED, INDEX: f'{{"weight_map":{MAP}}}'.encode().hex()}, ALL, "EN-16",
     "an index without metadata"),
    ("neither", {"x.safetensors": file("a")}, "CheckpointError", "EN-15", "neither model.safetensors nor an index"),
    ("pickle", {"pytorch_model.bin": "80024b012e"}, "CheckpointError", "EN-15", "pickled weights"),
    ("shard-missing", {INDEX: SHARDED[INDEX], "x.safetensors": file("a", "c")}, "CheckpointError", "EN-16",
     "a named file is missing"),
    ("tensor-missing", {**SHARDED, "x.safetensors": file("a")}, "CheckpointError", "EN-16",
     "a tensor of the index is in no file"),
    ("tensor-extra", {**SHARDED, "y.safetensors": file("b", "c")}, "CheckpointError", "EN-16",
     "a tensor stands in a second file too"),
    ("tensor-not-in-index", {**SHARDED, INDEX: index('{"a":"x.safetensors","b":"y.safetensors"}')}, "CheckpointError",
     "EN-16", "a tensor of a named file that the index lacks"),
    ("tensor-elsewhere", {**SHARDED, INDEX: index(MAP.replace('"b":"y', '"b":"x'))}, "CheckpointError", "EN-16",
     "a tensor in another file than the one named"),
    ("index-as-written", {**SHARDED, INDEX: WRITTEN}, ALL, "EN-16 EN-18",
     "an index as EN-18 writes it, with its final line feed"),
    ("index-white-space", {**SHARDED, INDEX: around(" \t\r\n", " \n\r\t")}, ALL, "EN-16",
     "JSON's white space around an index"),
    ("index-other-keys", {**SHARDED, INDEX: with_key('"format":[1,{"a":null}],"":"x","weight_maps":{"a":1}')}, ALL,
     "EN-16", "other keys of an index do not matter"),
    ("index-other-duplicate", {**SHARDED, INDEX: with_key('"metadata":{"a":1,"a":2}')}, ALL, "EN-16",
     "a key twice in the metadata: not in the index itself, nor in its weight_map"),
    ("index-byte-order-mark", {**SHARDED, INDEX: around("\ufeff", "")}, "CheckpointError", "EN-16",
     "a byte order mark before an index"),
    ("index-no-break-space", {**SHARDED, INDEX: around("\u00a0", "")}, "CheckpointError", "EN-16",
     "U+00A0 is no white space of JSON"),
    ("index-utf16", {**SHARDED, INDEX: MAP_ALONE.encode("utf-16-le").hex()}, "CheckpointError", "EN-16",
     "an index in UTF-16"),
    ("index-not-utf8", {**SHARDED, INDEX: with_key('"k":"@"').replace("224022", "22ff22")}, "CheckpointError", "EN-16",
     "a byte that is not UTF-8 in another key"),
    ("index-nan", {**SHARDED, INDEX: with_key('"k":NaN')}, "CheckpointError", "EN-16", "NaN is not JSON"),
    ("index-trailing", {**SHARDED, INDEX: around("", "{}")}, "CheckpointError", "EN-16", "something behind the object"),
    ("beside-pickle", {SINGLE: file("a", "b", "c"), "pytorch_model.bin": "80024b012e"}, ALL, "EN-15",
     "pickled weights beside model.safetensors are never read"),
    ("sharded-beside-pickle", {**SHARDED, "pytorch_model.bin": "80024b012e"}, ALL, "EN-15",
     "pickled weights beside an index"),
    ("other-safetensors-and-pickle", {"x.safetensors": file("a"), "pytorch_model.bin": "80024b012e"},
     "CheckpointError", "EN-15", "neither of the two, whatever else the folder holds"),
    ("backslash", {INDEX: index('{"a":"d\\\\x.safetensors"}'), "d\\x.safetensors": file("a")}, "CheckpointError",
     "EN-16", "a file name with a backslash"),
    ("separator", {INDEX: index('{"a":"d/x.safetensors"}'), "d/x.safetensors": file("a")}, "CheckpointError",
     "EN-16", "a file name with a path separator"),
    ("parent", {INDEX: index('{"a":"../x.safetensors"}')}, "CheckpointError", "EN-16", "a path out of the folder"),
    ("index-array", {**SHARDED, INDEX: "5b5d"}, "CheckpointError", "EN-16", "an index that is no object"),
    ("index-no-map", {**SHARDED, INDEX: "7b7d"}, "CheckpointError", "EN-16", "an index without weight_map"),
    ("index-number", {**SHARDED, INDEX: index('{"a":1}')}, "CheckpointError", "EN-16",
     "a file name that is no string"),
    ("index-nested", {**SHARDED, INDEX: nested(10)}, ALL, "EN-16", "metadata that nests 10 deep"),
    ("index-depth-64", {**SHARDED, INDEX: nested(63)}, ALL, "EN-16", "64 deep, the outer object counting as 1"),
    ("index-depth-65", {**SHARDED, INDEX: nested(64)}, "CheckpointError", "EN-16", "65 deep"),
    ("index-depth-64-objects", {**SHARDED, INDEX: with_key('"k":' + '{"k":' * 62 + "{}" + "}" * 62)}, ALL, "EN-16",
     "64 deep, of objects"),
    ("index-depth-65-objects", {**SHARDED, INDEX: with_key('"k":' + '{"k":' * 63 + "{}" + "}" * 63)},
     "CheckpointError", "EN-16", "65 deep, of objects"),
    ("index-too-deep", {**SHARDED, INDEX: nested(200)}, "CheckpointError", "EN-16", "metadata that nests 200 deep"),
    ("index-duplicate", {**SHARDED, INDEX: index(MAP[:-1] + ',"a":"x.safetensors"}')}, "CheckpointError", "EN-16",
     "a name twice, in one file"),
    ("index-duplicate-escaped", {**SHARDED, INDEX: index('{"\\u0061":"x.safetensors",' + MAP[1:])},
     "CheckpointError", "EN-16", "a name twice, once escaped"),
    ("index-duplicate-other-file", {**SHARDED, INDEX: index('{"a":"y.safetensors",' + MAP[1:])}, "CheckpointError",
     "EN-16", "a name twice, in two files: not even if the last is right"),
    ("index-duplicate-other-key", {**SHARDED, INDEX: with_key('"k":1,"k":1')}, "CheckpointError", "EN-16",
     "another key of the index twice"),
    ("index-duplicate-map", {**SHARDED, INDEX: f'{{"weight_map":{MAP},"weight_map":{MAP}}}'.encode().hex()},
     "CheckpointError", "EN-16", "weight_map twice"),
    ("index-not-json", {**SHARDED, INDEX: "7b"}, "CheckpointError", "EN-16", "an index that is not JSON"),
]  # fmt: skip

HALF = SHARD_BYTES // 2
CUT: list[tuple[str, Json, str]] = [
    ("one", [["b", "F32", [2]], ["a", "F16", [4]]], "a small model is one file"),
    ("exact", [["a", "U8", [HALF]], ["b", "U8", [HALF]]], "exactly 5,000,000,000 bytes fit in one shard"),
    ("one-byte-more", [["a", "U8", [HALF]], ["b", "U8", [HALF + 1]]], "one byte more does not"),
    ("large-tensor", [["a", "U8", [1]], ["b", "F32", [SHARD_BYTES]], ["c", "U8", [1]]],
     "a tensor above the limit has a shard of its own"),
    ("large-first", [["a", "F32", [SHARD_BYTES]]],
     "a tensor above the limit that comes first: no empty shard before it"),
    ("name-order", [["b", "U8", [HALF + 1]], ["a", "U8", [1]], ["c", "U8", [HALF]], ["a.b", "BF16", [HALF // 4]]],
     "cut in name order"),
    ("empty-tensors", [["a", "U8", [SHARD_BYTES]], ["b", "U8", [0]], ["c", "U8", [1]], ["d", "U8", [0]]],
     "at the limit, an empty tensor still fits"),
    ("empty-behind-large", [["a", "U8", [SHARD_BYTES + 1]], ["b", "U8", [0]], ["c", "U8", [1]]],
     "beyond the limit, a shard is closed before an empty tensor too"),
    ("empty-first", [["a", "U8", [0]], ["b", "U8", [SHARD_BYTES + 1]]],
     "a shard that holds an empty tensor alone is closed like others"),
    ("eleven", [[f"t{i:02}", "U8", [SHARD_BYTES]] for i in range(11)], "five digits in names, from 1"),
]  # fmt: skip

CASES = [
    *(
        Case("read-checkpoint", f"checkpoint-{i}", clauses, why, {"files": files}, says)
        for i, files, says, clauses, why in READ
    ),
    *(Case("shards", f"shards-{i}", "EN-18", why, {"tensors": tensors}) for i, tensors, why in CUT),
]
