"""What each tensor has, said in few entries of a recipe's settings: patterns, and gradients over layers [MK-5, ST-2].

Entries are tried from the first to the last, so what few tensors have comes first, and a later pattern may be wide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction

from mergealgebra.formats.mergekit.layers import place_of
from mergealgebra.formats.mergekit.values import Value, decimal_of
from mergealgebra.tensors.choice import escaped

#: A decimal, or a gradient from the first layer to the last [ST-3].
Number = str | tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """A setting of all tensors. plain: what is not said otherwise. entries: patterns of names, and their numbers."""

    plain: str
    entries: Sequence[tuple[str, Number]] = ()


def say(values: Mapping[str, Value]) -> Said:
    """The same in few words. values: by tensor, at least one."""
    numbers = {value.number for value in values.values()}
    if len(numbers) == 1:
        return Said(decimal_of(numbers.pop()))
    clusters: dict[Number, list[Family]] = {}
    for family in families_of(values):
        for number, members in _numbers(family, values):
            clusters.setdefault(number, []).append(Family(family.stack, family.suffix, members, family.whole(members)))
    constant = [number for number in clusters if isinstance(number, str)]
    plain = max(constant, key=lambda n: (_size(clusters[n]), n), default="")
    said: list[tuple[str, Number]] = []
    done: set[str] = set()
    for number in sorted(clusters.keys() - {plain}, key=lambda n: (_size(clusters[n]), n)):
        mine = {name for family in clusters[number] for name in family.names}
        said += [(pattern, number) for pattern in patterns(clusters[number], mine | done, values)]
        done |= mine
    return Said(plain or decimal_of(next(iter(values.values())).number), said)


@dataclass(frozen=True)
class Family:
    """Tensors of one kind in all layers of a stack, or in some; or one that is in none.

    complete: whether patterns over all layers may stand for it.
    """

    stack: str
    suffix: str
    names: Sequence[str]
    complete: bool = True

    def whole(self, members: Sequence[str]) -> bool:
        """Whether these are all of its tensors."""
        return len(members) == len(self.names)


def families_of(values: Collection[str]) -> list[Family]:
    """All tensors, by kind and stack."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in values:
        place = place_of(name)
        found.setdefault((place.stack, place.suffix) if place else ("", name), []).append(name)
    return [Family(stack, suffix, names) for (stack, suffix), names in found.items()]


def _numbers(family: Family, values: Mapping[str, Value]) -> Iterator[tuple[Number, Sequence[str]]]:
    """The numbers of a family, each with those that have it: one number, one gradient, or one for each."""
    own = {name: values[name] for name in family.names}
    if len({value.number for value in own.values()}) == 1:
        yield decimal_of(next(iter(own.values())).number), family.names
    elif (points := _gradient(own)) is not None:
        yield tuple(map(decimal_of, points)), family.names
    else:
        for name, value in own.items():
            yield decimal_of(value.number), [name]


def _gradient(own: Mapping[str, Value]) -> Sequence[Fraction] | None:
    """The points of a gradient that gives each layer its number; None where layers are missing."""
    layers = {place.layer: value for name, value in own.items() if (place := place_of(name))}
    if set(layers) != set(range(len(layers))) or len(layers) < 2:
        return None
    first = layers[0]
    if first.points and all(value.points == first.points for value in layers.values()):
        last = len(layers) - 1
        if all(value.number == _at(first.points, Fraction(layer, last)) for layer, value in layers.items()):
            return first.points
    return [layers[layer].number for layer in range(len(layers))]


def _at(points: Sequence[Fraction], t: Fraction) -> Fraction:
    x = t * (len(points) - 1)
    low = int(x)
    high = min(low + 1, len(points) - 1)
    return points[low] + (x - low) * (points[high] - points[low])


def _size(families: Sequence[Family]) -> int:
    return sum(len(family.names) for family in families)


def patterns(families: Sequence[Family], allowed: Collection[str], everything: Collection[str]) -> Iterator[str]:
    """Patterns that match all tensors of these families, and none that is not allowed."""
    left = {name for family in families for name in family.names}
    others = [name for name in everything if name not in allowed]
    for family in sorted(families, key=lambda one: (-len(one.names), one.suffix)):
        if left.isdisjoint(family.names):
            continue
        for pattern in _wider_to_narrower(family):
            if not any(fnmatchcase(other, pattern) for other in others):
                yield pattern
                left = {name for name in left if not fnmatchcase(name, pattern)}
                break
        else:
            for name in family.names:
                if name in left:
                    yield escaped(name)
            left -= set(family.names)


def _wider_to_narrower(family: Family) -> Iterator[str]:
    if not family.stack or not family.complete:
        return
    stack, parts = escaped(family.stack), family.suffix.split(".")
    yield f"{stack}.*"
    for count in range(1, len(parts)):
        yield f"{stack}.*.{escaped('.'.join(parts[:count]))}.*"
    yield f"{stack}.*.{escaped(family.suffix)}"
