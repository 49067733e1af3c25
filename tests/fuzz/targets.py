"""The decoders, by the names of the targets."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Final

from mergealgebra.incremental.seals import HEADER_BYTES
from tests.crdt.strategies import WORKSPACE
from tests.fuzz import caches, decoders, families, maps, messages, outer, reference, stores
from tests.fuzz.mutation import mutate_bytes, mutate_json, mutate_value, mutate_yaml
from tests.fuzz.stores import Files
from tests.fuzz.target import Memory, Target


def _file(random: Random, data: bytes) -> bytes:
    """Another header; its length and its data stay, until they are amended."""
    end = 8 + int.from_bytes(data[:8], "little")
    return data[:8] + mutate_json(random, data[8:end]) + data[end:]


def _store(random: Random, data: bytes) -> bytes:
    """Another of its files, the genesis among them; or a file more, or less."""
    try:
        files = Files.unpack(data)
    except decoders.EncodingError:
        return mutate_bytes(random, data)
    operations, blobs, genesis = list(files.operations), list(files.blobs), files.genesis
    match random.randrange(8):
        case 0:
            genesis = mutate_value(random, genesis)
        case 1 if blobs:
            i = random.randrange(len(blobs))
            blobs[i] = (blobs[i][0], _file(random, blobs[i][1]))
        case 2 if operations:
            operations.append(random.choice(operations))
        case 3 if operations:
            del operations[random.randrange(len(operations))]
        case _ if operations:
            i = random.randrange(len(operations))
            operations[i] = (operations[i][0], mutate_value(random, operations[i][1]))
    return Files(genesis, operations, blobs).pack()


def _aggregate(random: Random, data: bytes) -> bytes:
    """Another header behind the seal of this one."""
    return data[:HEADER_BYTES] + mutate_value(random, data[HEADER_BYTES:])


_JSON = (
    b'"dtype"',
    b'"shape"',
    b'"data_offsets"',
    b'"weight_map"',
    b'"__metadata__"',
    b'"a.safetensors"',
    b"-0",
    b"1e9",
)
_YAML = (
    *(b"method", b"lambda", b"density", b"scope", b"boundary", b"base", b"models", b"path", b"coefficient", b"self"),
    *(
        b"ties",
        b"mean",
        b"task_arithmetic",
        b": ",
        b"\n",
        b"  ",
        b"- ",
        b"? ",
        b"&a ",
        b"*a",
        b"!x ",
        b"!<x> ",
        b"<<: ",
    ),
    *(b"%YAML 1.1\n", b"%TAG ! x\n", b"---\n", b"...\n", b"|\n", b">-\n", b"# ", b"'", b'"', b"\\x41", b"\\U00110000"),
    *(
        b"~root",
        b"~x/",
        b"\\0",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xef\xbb\xbf",
        b"\t",
        b"\r",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
    ),
)

#: A packer of msgpack begins with 256 KiB.
_VALUE_MEMORY: Final = Memory(1 << 19, 300)
#: A file is read by the MiB.
_JSON_MEMORY: Final = Memory(1 << 21, 8)

TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "header": Target(
            decoders.read_file,
            decoders.check_file,
            _file,
            _JSON_MEMORY,
            families.HEADERS,
            outer.length,
            reference.header,
            dictionary=_JSON,
        ),
        "index": Target(
            decoders.read_folder,
            decoders.check_folder,
            mutate_json,
            _JSON_MEMORY,
            families.INDEXES,
            accepts=decoders.accepts_folder,
            dictionary=_JSON,
        ),
        "value": Target(
            decoders.read_value,
            decoders.check_value,
            mutate_value,
            _VALUE_MEMORY,
            families.VALUES,
            outer.canonical,
            reference.value,
            inputs=2000,
        ),
        "manifest": Target(
            decoders.read_manifest,
            decoders.check_manifest,
            mutate_value,
            _VALUE_MEMORY,
            families.MANIFEST_VALUES,
            outer.canonical,
            reference.manifest,
        ),
        "genesis": Target(
            decoders.read_genesis,
            decoders.check_genesis,
            mutate_value,
            _VALUE_MEMORY,
            families.GENESES,
            outer.canonical,
            reference.genesis,
        ),
        "operation": Target(
            decoders.read_operation,
            decoders.check_operation,
            mutate_value,
            _VALUE_MEMORY,
            families.OPERATIONS,
            outer.operation,
            lambda data: reference.operation(data, WORKSPACE),
            inputs=2000,
        ),
        "store": Target(
            stores.read_store,
            stores.check_store,
            _store,
            Memory(1 << 21, 300),
            families.STORES,
            outer.store,
            inputs=600,
        ),
        "lock": Target(
            decoders.read_lock,
            decoders.check_lock,
            mutate_json,
            _JSON_MEMORY,
            families.LOCKS,
            outer.lock,
            reference.merge_lock,
        ),
        "recipe": Target(
            decoders.read_recipe,
            decoders.check_recipe,
            mutate_yaml,
            Memory(1 << 21, 600),
            families.RECIPES,
            accepts=decoders.accepts_recipe,
            hostile=1 << 7,
            dictionary=_YAML,
        ),
        "pattern": Target(
            decoders.read_pattern,
            decoders.check_pattern,
            mutate_bytes,
            Memory(1 << 16, 100),
            families.PATTERNS,
            dictionary=(b"*", b"?", b"[", b"]", b"[!", b"-", b"\0", b"\\", b"^", b"&&", b"||", b"~~", b"\n"),
        ),
        "thresholds": Target(
            caches.read_thresholds,
            caches.check_thresholds,
            mutate_value,
            _VALUE_MEMORY,
            families.THRESHOLDS,
            outer.canonical,
            inputs=600,
        ),
        "aggregate": Target(
            caches.read_aggregate,
            caches.check_aggregate,
            _aggregate,
            _VALUE_MEMORY,
            families.AGGREGATES,
            outer.sealed,
        ),
        "question": Target(
            messages.decode_question,
            messages.check_question,
            mutate_value,
            _VALUE_MEMORY,
            messages.QUESTIONS,
            outer.canonical,
            messages.accepts_question,
        ),
        "answer": Target(
            messages.decode_answer,
            messages.check_answer,
            mutate_value,
            _VALUE_MEMORY,
            messages.ANSWERS,
            outer.canonical,
            messages.accepts_answer,
        ),
        "call": Target(
            messages.decode_call,
            messages.check_call,
            messages.mutate_call,
            _VALUE_MEMORY,
            messages.CALLS,
            messages.amend_call,
        ),
        "frames": Target(
            messages.decode_frames,
            messages.check_frames,
            messages.mutate_frames,
            _VALUE_MEMORY,
            messages.FRAMES,
            messages.amend_frames,
        ),
        "map": Target(maps.decode_map, maps.check_map, maps.mutate_map, _VALUE_MEMORY, maps.MAPS, maps.amend_map),
        "request": Target(
            messages.decode_request,
            messages.check_request,
            mutate_bytes,
            Memory(1 << 16, 100),
            messages.REQUESTS,
            accepts=messages.accepts_request,
            dictionary=(b"Mergealgebra ", b" ", b"a.example:443", b"00", b"F", b"\xb2"),
        ),
    }
)
