"""Patterns: which names are looked at [CT-8]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from generator.reference.tensors import Tensor, Tensors


def chosen(tensors: Tensors, take: Sequence[str], leave: Sequence[str]) -> dict[str, Tensor]:
    """The tensors that are looked at; an empty `take` is none given."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if (not take or any(matches(p, name) for p in take)) and not any(matches(p, name) for p in leave)
    }


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern matches the whole name, code point by code point."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(matches(pattern[1:], name[i:]) for i in range(len(name) + 1))
    if not name:
        return False
    end = closing(pattern)
    if end is not None:
        return in_set(pattern[1:end], name[0]) and matches(pattern[end + 1 :], name[1:])
    return pattern[0] in ("?", name[0]) and matches(pattern[1:], name[1:])


def closing(pattern: str) -> int | None:
    """Where the set that the pattern begins with is closed; None when it begins with none.

    A `]` directly behind `[` or `[!` belongs to the set.
    """
    if pattern[0] != "[":
        return None
    first = 2 if pattern.startswith("[!") else 1
    end = pattern.find("]", first + 1)
    return None if end < 0 else end


def in_set(members: str, character: str) -> bool:
    """`abc`, `a-z` and their complement behind `!`."""
    if members[0] == "!":
        return not in_ranges(members[1:], character)
    return in_ranges(members, character)


def in_ranges(members: str, character: str) -> bool:
    """A range whose ends are out of order holds nothing."""
    return any(first <= character <= last for first, last in ranges(members))


def ranges(members: str) -> Iterator[tuple[str, str]]:
    """From left to right; a `-` that makes no range stands for itself."""
    while members:
        if len(members) >= 3 and members[1] == "-":
            yield members[0], members[2]
            members = members[3:]
        else:
            yield members[0], members[0]
            members = members[1:]
