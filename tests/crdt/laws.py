"""The laws of a join, one name each; they hold for any type with `join`, `<=` and `==`."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Joinable(Protocol):
    """A value of a join-semilattice."""

    def join(self, other: State) -> State: ...

    def __le__(self, other: State) -> bool: ...


State = TypeVar("State", bound=Joinable)


def check_join_is_commutative(a: State, b: State) -> None:
    assert a.join(b) == b.join(a)


def check_join_is_associative(a: State, b: State, c: State) -> None:
    assert a.join(b).join(c) == a.join(b.join(c))


def check_join_is_idempotent(a: State) -> None:
    assert a.join(a) == a


def check_join_is_inflationary(a: State, b: State) -> None:
    """Joining never loses anything of either side."""
    assert a <= a.join(b)
    assert b <= a.join(b)


def check_join_is_monotone(a: State, b: State, c: State) -> None:
    """What is contained stays contained when both sides join the same."""
    below, above = a, a.join(b)
    assert below.join(c) <= above.join(c)


def check_join_is_least_upper_bound(a: State, b: State, c: State) -> None:
    """Whatever contains both contains their join; containment is what join says it is."""
    bound = a.join(b).join(c)
    assert a.join(b) <= bound
    assert (a <= b) == (a.join(b) == b)
    assert not (a <= c and b <= c) or a.join(b) <= c


def check_containment_is_an_order(a: State, b: State) -> None:
    assert a <= a  # noqa: PLR0124 - reflexive is the law
    assert not (a <= b <= a) or a == b
