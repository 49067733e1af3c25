"""What each tensor has, said in few entries of a recipe's settings: patterns, and gradients over layers [MK-5, ST-2].

Entries are tried from the first to the last, so what few tensors have comes first, and a later pattern may be wide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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


def say(values: Mapping[str, Value], base: Collection[str] = ()) -> Said:
    """The same in few words. values: by tensor, at least one. base: all of its tensors [ST-3]."""
    numbers = {value.number for value in values.values()}
    if len(numbers) == 1:
        return Said(decimal_of(numbers.pop()))
    every = {_kind(family): family.names for family in families_of(base or values)}
    clusters: dict[tuple[Number, int], list[Family]] = {}
    for family in families_of(values):
        extent = _extent(family, every[_kind(family)], base or values)
        for number, members in _numbers(family, values, extent):
            key = (number, 0 if isinstance(number, str) else extent)
            clusters.setdefault(key, []).append(Family(family.stack, family.suffix, members, family.whole(members)))
    constant = [(number, extent) for number, extent in clusters if isinstance(number, str)]
    plain = max(constant, key=lambda n: (_size(clusters[n]), n), default=("", 0))
    said: list[tuple[str, Number]] = []
    done: set[str] = set()
    for number, extent in sorted(clusters.keys() - {plain}, key=lambda n: (_size(clusters[n]), n[1], n[0])):
        families = clusters[number, extent]
        mine = {name for family in families for name in family.names}
        layered = base or values if extent else ()
        said += [(pattern, number) for pattern in patterns(families, mine | done, values, layered, extent)]
        done |= mine
    return Said(str(plain[0]) or decimal_of(next(iter(values.values())).number), said)


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


def _kind(family: Family) -> tuple[str, str]:
    return family.stack, family.suffix


def _extent(family: Family, names: Sequence[str], base: Collection[str]) -> int:
    """How many layers a gradient of a family runs over, which are those of the base; 0 where it cannot have one.

    names: of the family in the base.
    """
    pattern = f"{escaped(family.stack)}.*.{escaped(family.suffix)}"
    if not family.stack or not {name for name in base if fnmatchcase(name, pattern)} <= set(names):
        return 0
    return _last(names) + 1


def _last(names: Iterable[str]) -> int:
    return max((place.layer for name in names if (place := place_of(name))), default=0)


def families_of(values: Collection[str]) -> list[Family]:
    """All tensors, by kind and stack."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in values:
        place = place_of(name)
        found.setdefault((place.stack, place.suffix) if place else ("", name), []).append(name)
    return [Family(stack, suffix, names) for (stack, suffix), names in found.items()]


def _numbers(family: Family, values: Mapping[str, Value], extent: int) -> Iterator[tuple[Number, Sequence[str]]]:
    """The numbers of a family, each with those that have it: one number, one gradient, or one for each."""
    own = {name: values[name] for name in family.names}
    if len({value.number for value in own.values()}) == 1:
        yield decimal_of(next(iter(own.values())).number), family.names
    elif (points := _gradient(own, extent)) is not None:
        yield tuple(map(decimal_of, points)), family.names
    else:
        for name, value in own.items():
            yield decimal_of(value.number), [name]


def _gradient(own: Mapping[str, Value], extent: int) -> Sequence[Fraction] | None:
    """The points of a gradient over so many layers; None where there are too few. A layer that is not there has the
    number of the next that is, or of the last.
    """
    layers = {place.layer: value for name, value in own.items() if (place := place_of(name))}
    if len(layers) < 2 or extent < 2:
        return None
    first = next(iter(layers.values()))
    if first.points and all(value.points == first.points for value in layers.values()):
        last = extent - 1
        if all(value.number == _at(first.points, Fraction(layer, last)) for layer, value in layers.items()):
            return first.points
    known = sorted(layers)
    return [layers[next((at for at in known if at >= layer), known[-1])].number for layer in range(extent)]


def _at(points: Sequence[Fraction], t: Fraction) -> Fraction:
    x = t * (len(points) - 1)
    low = int(x)
    high = min(low + 1, len(points) - 1)
    return points[low] + (x - low) * (points[high] - points[low])


def _size(families: Sequence[Family]) -> int:
    return sum(len(family.names) for family in families)


def patterns(
    families: Sequence[Family],
    allowed: Collection[str],
    everything: Collection[str],
    layered: Collection[str] = (),
    extent: int = 0,
) -> Iterator[str]:
    """Patterns that match all tensors of these families, and none that is not allowed.

    layered: of which those that a pattern matches have so many layers.
    """
    left = {name for family in families for name in family.names}
    others = [name for name in everything if name not in allowed]
    for family in sorted(families, key=lambda one: (-len(one.names), one.suffix)):
        if left.isdisjoint(family.names):
            continue
        for pattern in _wider_to_narrower(family):
            if extent and _last(name for name in layered if fnmatchcase(name, pattern)) + 1 != extent:
                continue
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
