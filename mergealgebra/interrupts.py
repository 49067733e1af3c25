"""Ctrl-C, and the signals by which schedulers and terminals end a program: each ends a command in one way [CL-3]."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

#: As clean as Ctrl-C: a scheduler's end, and that of a terminal or a connection.
_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def raise_interrupts() -> None:
    """Let each of the signals raise KeyboardInterrupt, unless it is ignored, as `nohup` does."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)
