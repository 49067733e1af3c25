"""Which tensors of a model are looked at: patterns that take names, and patterns that leave them out [CT-8]."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

from mergealgebra.errors import NamesError
from mergealgebra.text import by_caller

#: One pattern or several.
Patterns = Sequence[str]

#: What to do about names that do not fit, given the others that are looked at.
Advice = Callable[[Sequence[str], Collection[str]], str]

#: What YAML reads as this text without quotes, in a list too.
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./*-]*", re.ASCII)
#: A message lists no more options than these.
_MOST_OPTIONS: Final = 4


@dataclass(frozen=True)
class Choice:
    """Which names are looked at: those that match some `take`, or all if there is none, and no `leave` [CT-8].

    >>> Choice(leave=("lm_head.*",)).of(["lm_head.weight", "norm.weight"])
    ['norm.weight']
    """

    take: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()

    @classmethod
    def among(cls, names: Collection[str], take: Patterns, leave: Patterns) -> Self:
        """A user's choice: one pattern or several each. Raises NamesError for a pattern that matches no name."""
        take, leave = as_patterns(take), as_patterns(leave)
        for pattern in (*take, *leave):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise NamesError(
                    f"pattern {pattern!r} matches no tensor; the names begin with {min(names, default='')!r}"
                )
        return cls(take, leave)

    def of(self, names: Iterable[str]) -> list[str]:
        """The chosen names, in the order given."""
        return [name for name in names if name in self]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or _matches(name, self.leave):
            return False
        return not self.take or _matches(name, self.take)


def as_patterns(patterns: Patterns) -> tuple[str, ...]:
    """One pattern or several, as a tuple."""
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)


def leave_out(names: Sequence[str], others: Collection[str]) -> str:
    """The advice to leave tensors out, as a user would type it."""
    return f"leave {_them(names)} out with {leave_options(names, others)}"


def leave_out_in_python(names: Sequence[str], others: Collection[str]) -> str:
    """The same for a caller of a function.

    >>> leave_out_in_python(["head.weight"], [])
    "leave it out with leave=['head.weight']"
    """
    return f"leave {_them(names)} out with leave={leave_patterns(names, others)!r}"


def leave_out_in_file(file: str, already: Sequence[str]) -> Advice:
    """The same for one model of a merge file. already: what the file leaves out of that model.

    >>> leave_out_in_file("merge.yaml", ["norm.*"])(["head.weight"], [])
    'write `leave: [norm.*, head.weight]` beside its path in merge.yaml'
    """

    def advice(names: Sequence[str], others: Collection[str]) -> str:
        patterns = [_yaml(pattern) for pattern in (*already, *leave_patterns(names, others))]
        written = patterns[0] if len(patterns) == 1 else f"[{', '.join(patterns)}]"
        return f"write `leave: {written}` beside its path in {file}"

    return advice


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _yaml(pattern: str) -> str:
    return pattern if _PLAIN.fullmatch(pattern) else json.dumps(pattern, ensure_ascii=False)


def leave_options(names: Sequence[str], others: Iterable[str]) -> str:
    """What leaves these names out, and none of the others: options of a command, or an argument in Python.

    >>> leave_options(["head.weight"], [])
    "leave=['head.weight']"
    >>> leave_options([f"ema.{i}.weight" for i in range(9)], ["0.weight"])
    "leave=['ema.*']"
    """
    patterns = leave_patterns(names, others)
    return by_caller(" ".join(f"--leave {shlex.quote(pattern)}" for pattern in patterns), f"leave={patterns!r}")


def leave_patterns(names: Sequence[str], others: Iterable[str]) -> list[str]:
    """Few patterns that match these names and none of the others; for the rest of very many names, the first of them.

    >>> leave_patterns(["a", "b[0]"], [])
    ['a', 'b[[]0]']
    """
    if len(names) < _MOST_OPTIONS:
        return [escaped(name) for name in names]
    others, left, found = list(others), list(names), list[str]()
    while left and len(found) < _MOST_OPTIONS:
        found.append(_widest(left[0], left, others))
        left = [name for name in left if not fnmatchcase(name, found[-1])]
    return found


def escaped(name: str) -> str:
    """The pattern that matches this name alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _widest(name: str, names: Sequence[str], others: Sequence[str]) -> str:
    """The pattern that matches this name, the most of the names, and none of the others."""
    parts = name.split(".")
    begins = [f"{escaped('.'.join(parts[:count]))}.*" for count in range(1, len(parts))]
    ends = [f"*.{escaped('.'.join(parts[count:]))}" for count in range(1, len(parts))]
    allowed = [p for p in (*begins, *reversed(ends)) if not any(fnmatchcase(other, p) for other in others)]
    counts = {pattern: sum(fnmatchcase(name, pattern) for name in names) for pattern in allowed}
    return max(counts, key=counts.__getitem__, default=escaped(name))


def count_of(names: Sequence[str], verb: str, verbs: str) -> str:
    """What a message about the first of some names says of the others.

    >>> count_of(["a", "b"], "nor is", "nor are"), count_of(["a", "b", "c"], "and so is", "and so are")
    (', nor is 1 other', ', and so are 2 others')
    """
    more = len(names) - 1
    if not more:
        return ""
    return f", {verb} 1 other" if more == 1 else f", {verbs} {more} others"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns as a whole [CT-8]. Each is compiled once: fnmatch keeps them."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
