"""A child process that is sent lines and sends lines back, under a time limit and a cap on what it may write.

Its pipes are moved without blocking while a line is awaited, so neither side waits for the other with a full pipe.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import IO, Final

from mergealgebra.children.process import ChildFailed, Stranger, signal_name
from mergealgebra.text import shown

#: A line that names an error; Node has its version behind it.
_ERROR: Final = re.compile(r"[\w.]*Error\b")

_PIECE: Final = 2**16
_LAST_WORDS: Final = 2**11
_SECONDS_TO_END: Final = 2.0


class NoLine(Exception):
    """What a process did instead of sending a line. kind: "crashed", "hung" or "flooded"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class LineProcess:
    """A program that a stranger wrote, and what it wrote to us."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        apart: bool,
        heard: Callable[[bytes], None] | None = None,
    ) -> None:
        """Start it, as `Stranger` does. Raises NoLine.

        heard: is given what it writes on its standard error; without it, errors tell the last words of that.
        """
        try:
            self._process = Stranger(command, env, apart=apart)
        except ChildFailed as error:
            raise NoLine("crashed", str(error)) from error
        self._stdin, self._stdout, self._stderr = self._process.pipes
        self._unsent = memoryview(b"")
        self._unread = bytearray()
        self._allowed = 0
        self._heard = heard
        self._last_words = b""
        self._pipes = selectors.DefaultSelector()
        self._watch(self._stdout, selectors.EVENT_READ, self._read)
        self._watch(self._stderr, selectors.EVENT_READ, self._hear)
        os.set_blocking(self._stdin.fileno(), False)

    def send(self, line: bytes, allowed: int) -> None:
        """Take a line to be sent; it goes out while the next one is awaited.

        allowed: how many bytes it may write from now on.
        """
        self._allowed = allowed
        if self._stdin.closed:  # it reads no more; how it ended is told by its output
            return
        if not self._unsent:
            self._watch(self._stdin, selectors.EVENT_WRITE, self._write)
        self._unsent = memoryview(bytes(self._unsent) + line)

    def line(self, deadline: float) -> bytes:
        """The next line that it sends, without its end. deadline: by `monotonic`. Raises NoLine."""
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > self._allowed:
                raise NoLine("flooded", f"it wrote more than {self._allowed} bytes and no end of a line")
            if self._stdout.closed:
                raise NoLine("crashed", self._how_it_ended())
            if not self._moved(deadline):
                raise self._silence()
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        self._allowed -= len(line) + 1
        if self._allowed < 0:
            raise NoLine("flooded", "it wrote more lines than any answer is long")
        return line

    def kill(self) -> None:
        """End it and all that it started, now."""
        self._pipes.close()
        self._process.end()

    def close(self) -> None:
        """End its input and give it a moment to end; then end it."""
        self._forget(self._stdin)
        deadline = monotonic() + _SECONDS_TO_END
        while not (self._stdout.closed and self._stderr.closed) and self._moved(deadline):
            self._unread.clear()
        self._process.status(max(0.0, deadline - monotonic()))
        self.kill()

    def _moved(self, deadline: float) -> bool:
        """Let the pipes move once; False when the time is over."""
        seconds = deadline - monotonic()
        if seconds <= 0:
            return False
        for key, _ in self._pipes.select(seconds):
            key.data()
        return True

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self._stdin.fileno(), self._unsent[:_PIECE]) :]
        except BrokenPipeError:
            self._unsent = memoryview(b"")
            self._forget(self._stdin)
            return
        if not self._unsent:
            self._pipes.unregister(self._stdin)

    def _read(self) -> None:
        self._unread += self._piece(self._stdout)

    def _hear(self) -> None:
        piece = self._piece(self._stderr)
        if self._heard is None:
            self._last_words = (self._last_words + piece)[-_LAST_WORDS:]
        else:
            self._heard(piece)

    def _piece(self, pipe: IO[bytes]) -> bytes:
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            self._forget(pipe)
        return piece

    def _watch(self, pipe: IO[bytes], event: int, moves: Callable[[], None]) -> None:
        self._pipes.register(pipe, event, moves)

    def _forget(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(KeyError, ValueError):  # it was not watched, or is closed
            self._pipes.unregister(pipe)
        pipe.close()

    def _silence(self) -> NoLine:
        if self._process.status(0) is not None:  # what it started holds its output open
            return NoLine("crashed", self._how_it_ended())
        return NoLine("hung", f"it gave no answer in time{self._said()}")

    def _how_it_ended(self) -> str:
        deadline = monotonic() + _SECONDS_TO_END
        while not self._stderr.closed and self._moved(deadline):  # before it is waited for: it may wait for us
            pass
        status = self._process.status(max(0.0, deadline - monotonic()))
        how = "it closed its output" if status is None else ended(status)
        middle = f" in the middle of a line, {shown(self._unread.decode(errors='replace'))}" if self._unread else ""
        return f"{how}{middle}{self._said()}"

    def _said(self) -> str:
        """The last line on its standard error that names an error, or else the last one, as the end of a message."""
        lines = [line.strip() for line in self._last_words.decode(errors="replace").splitlines()]
        told = [line for line in lines if line]
        words = next((line for line in reversed(told) if _ERROR.match(line)), told[-1] if told else "")
        return f"; its last words: {shown(words)}" if words else ""


def ended(status: int) -> str:
    """How a process ended, by its exit status as `subprocess` gives it.

    >>> ended(1), ended(-9), ended(-40)
    ('it ended with exit status 1', 'it was ended by SIGKILL', 'it was ended by signal 40')
    """
    if status >= 0:
        return f"it ended with exit status {status}"
    name = signal_name(-status)
    return f"it was ended by {'signal ' if name.isdigit() else ''}{name}"
