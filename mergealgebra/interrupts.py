"""Ctrl-C, and the signals by which schedulers and terminals end a program: all end a command in the same way [CL-3].

The first of them raises `Interrupted`, and what is half-made is removed; later ones are ignored meanwhile, as a
terminal that is closed sends more than one. It is not raised while a module is being imported: extension modules make
other errors of it, and print it. Where they do elsewhere, `interrupted` tells; where it was raised in a finalizer, from
which nothing can be raised, it is raised again.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")

#: Seconds until the next look whether the module has been imported.
_SECONDS: Final = 0.01

_raising: Final[list[int]] = []  # the signals
_raised: Final[list[int]] = []  # the one that came first
_standing: Final[list[str]] = []  # what an interrupt now would leave


class Interrupted(BaseException):
    """Somebody wants this process to end. Not a KeyboardInterrupt: click prints an empty line for that.

    No user sees it: the command line ends with a message in its place.
    """


def raise_interrupts() -> None:
    """Let the signals raise Interrupted, unless they are ignored, as `nohup` does."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            _raising.append(number)
            signal.signal(number, _raise)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _raise)
    sys.unraisablehook = _unraisable


@contextmanager
def standing(text: str) -> Iterator[None]:
    """Say, if an interrupt ends the body, what stands and what completes it; otherwise nothing is left of it."""
    _standing[:] = [text]
    try:
        yield
    except Exception:
        _leave_standing()
        raise
    _leave_standing()


def _leave_standing() -> None:
    if not interrupted():  # or an interrupt became another error
        _standing.clear()


def message() -> str:
    """What is said of an interrupt."""
    return f"interrupted; {_standing[0] if _standing else 'nothing was left half-written'}"


def interrupted() -> bool:
    """Whether Interrupted was raised, whatever became of it."""
    return bool(_raised)


def leave_interrupts() -> None:
    """All is done: let a signal end the process at once, unless one has, and the process ends because of it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not _raised:
        for number in _raising:
            signal.signal(number, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    if _raised:
        return
    if hasattr(signal, "setitimer") and _imports(frame):
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        return
    _raised.append(number)
    raise Interrupted


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Raise Interrupted again soon, if Python was about to print it and go on."""
    if issubclass(lost.exc_type, Interrupted) and hasattr(signal, "setitimer"):
        _raised.clear()
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    else:
        sys.__unraisablehook__(lost)


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
