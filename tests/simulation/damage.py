"""Damage: what a disk, a network or a peer may do to bytes, some of it with a hash that fits again.

All of it MUST be refused. What is well-formed and only untrue is no damage: in an open workspace anyone may say it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgpack

OTHER = bytes(range(32))


def operation_name(data: bytes) -> str:
    """The id of an operation's bytes, computed here and not by what is tested [OS-2, EN-4]."""
    return hashlib.sha256(b"mergealgebra/1/operation\x00" + data).hexdigest()


def flip(data: bytes, number: int) -> bytes:
    """One bit is another one."""
    at = number % (8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def truncate(data: bytes, number: int) -> bytes:
    """The end is missing, or everything."""
    return data[: number % len(data)]


def extend(data: bytes, number: int) -> bytes:
    """There is more than there was."""
    return data + bytes([number % 256])


#: Damage under the old name.
OUTER: dict[str, Callable[[bytes, int], bytes]] = {"flip": flip, "truncate": truncate, "extend": extend}


def _in_body(**entries: object) -> Callable[[dict[str, Any]], object]:
    return lambda operation: operation["body"].update(entries)


def _in_add(**entries: object) -> Callable[[dict[str, Any]], object]:
    return lambda operation: operation["body"]["fields"].update(entries)


def _in_manifest(**entries: object) -> Callable[[dict[str, Any]], object]:
    return lambda operation: operation["body"]["fields"]["manifest"].update(entries)


def _signed(operation: dict[str, Any]) -> None:
    operation["signature"] = bytes(64)
    operation["body"]["author"] = OTHER


def _names(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[dict[str, Any]], object]:
    def apply(operation: dict[str, Any]) -> None:
        fields = operation["body"]["fields"]
        fields["operations"] = change(fields["operations"])

    return apply


#: Damage with a new name that fits: the operation says what none may say [OS-2 to OS-6, CT-4].
INNER: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "another-workspace": ("any", _in_body(workspace=OTHER)),
    "another-version": ("any", _in_body(version=3)),
    "name-of-version-1": ("any", _in_body(version=1, name="Ada")),
    "empty-name": ("any", _in_body(version=2, name="")),
    "unknown-kind": ("any", _in_body(kind="grant")),
    "unknown-key": ("any", _in_body(extra=1)),
    "nil-note": ("any", _in_body(note=None)),
    "empty-note": ("any", _in_body(note="")),
    "fractional-time": ("any", _in_body(time=1.5)),
    "endless-time": ("any", _in_body(time=1 << 53)),
    "signed": ("any", _signed),
    "short-nonce": ("add", _in_add(nonce=bytes(15))),
    "zero-coefficient": ("add", _in_manifest(coefficient="80000000")),
    "infinite-coefficient": ("add", _in_manifest(coefficient="7f800000")),
    "another-format": ("add", _in_manifest(format=2)),
    "negative-elements": ("add", _in_manifest(elements=-1)),
    "unknown-form": ("add", _in_manifest(form="delta")),
    "short-root": ("add", _in_manifest(tensors=OTHER[1:])),
    "names-nothing": ("remove", _names(lambda names: [])),
    "names-twice": ("remove", _names(lambda names: [*names, names[-1]])),
    "names-descending": ("remove", _names(lambda names: [OTHER, *names, bytes(32)])),
}


#: Damage with a new name that fits: the same operation, in bytes that are not the canonical ones [EN-2, EN-3].
ENCODED: dict[str, Callable[[dict[str, Any], bytes], bytes]] = {
    "keys-descending": lambda value, _: msgpack.packb({"body": dict(sorted(value["body"].items(), reverse=True))}),
    "long-integer": lambda _, data: data.replace(b"\xa7version\x01", b"\xa7version\xcc\x01"),
    "goes-on": lambda _, data: data + b"\xc0",
}

DAMAGES = (*OUTER, *INNER, *ENCODED, "swap")


def damaged(name: str, data: bytes, other: bytes, how: str, number: int) -> tuple[str, bytes] | None:
    """An operation's file after the damage: its name and bytes; None where this damage does not apply.

    other: another operation, whose bytes stand under this name after a `swap`.
    """
    if how == "swap":
        return (name, other) if other != data else None
    if how in OUTER:
        return name, OUTER[how](data, number)
    value = msgpack.unpackb(data)
    if how in ENCODED:
        spoilt = ENCODED[how](value, data)
    else:
        kind, change = INNER[how]
        if kind not in ("any", value["body"]["kind"]):
            return None
        change(value)
        spoilt = msgpack.packb(_sorted(value))
    return operation_name(spoilt), spoilt


def _sorted(value: object) -> object:
    """The value with the keys of its maps ascending, as canonical bytes have them."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
