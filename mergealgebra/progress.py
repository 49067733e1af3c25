"""How long work tells that it goes on."""

from __future__ import annotations

from collections.abc import Callable

#: Called with what is being done, how much of it is done, and how much there is: bytes of what is read or copied,
#: elements of what is checked or merged.
Progress = Callable[[str, int, int], None]
#: Called with how much more is done, such as bytes.
More = Callable[[int], None]


def quiet(step: str, done: int, total: int) -> None:
    """Progress that is shown to nobody."""


def untold(amount: int) -> None:
    """What is done, told to nobody."""


def counter(progress: Progress, step: str, total: int, done: int = 0) -> More:
    """A function that is told how much more is done, and tells `progress` of all of it.

    >>> more = counter(lambda *told: print(told), "read", 10)
    >>> more(4), more(6)
    ('read', 4, 10)
    ('read', 10, 10)
    (None, None)
    """

    def more(amount: int) -> None:
        nonlocal done
        done += amount
        progress(step, done, total)

    return more
