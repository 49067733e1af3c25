"""Cutting a history down to a shortest one that fails in the same way: delta debugging over its events."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.history import History


def shrunk(history: History, fails: Callable[[History], bool]) -> History:
    """A history that fails, and no longer does when any one of its events is left out.

    fails: whether a history fails as the first one did. Larger pieces are left out first (Zeller's ddmin), then the
    deaths of commands.
    """
    events, size = list(history.events), max(1, len(history.events) // 2)
    while True:
        shorter = _without_pieces(history, events, size, fails)
        if size > 1:
            size = size // 2
        elif len(shorter) == len(events):
            return _calmer(history.with_events(tuple(events)), fails)
        events = shorter


def _without_pieces(history: History, events: list[str], size: int, fails: Callable[[History], bool]) -> list[str]:
    """The events without each piece of this size that is not needed, the last pieces first."""
    for start in range((len(events) - 1) // size * size, -1, -size):
        rest = events[:start] + events[start + size :]
        if fails(history.with_events(tuple(rest))):
            events = rest
    return events


def _calmer(history: History, fails: Callable[[History], bool]) -> History:
    """The same history with every death, damage and difference taken out that is not needed."""
    for number, event in enumerate(history.events):
        for extra in (" dies ", " damaged ", " lacking "):
            calmer = (*history.events[:number], event.split(extra)[0], *history.events[number + 1 :])
            if extra in event and fails(history.with_events(calmer)):
                history = history.with_events(calmer)
    return history
