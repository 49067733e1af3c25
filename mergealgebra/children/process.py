"""Child processes: our own Python, and programs that strangers wrote. No other module starts any.

Our own Python is started with -P and imports what we can import, except from the current folder. It runs in an empty
folder, without any modules or settings.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Timer
from typing import IO, Final

from mergealgebra.children.import_path import import_path
from mergealgebra.children.removal import remove_folder

#: In the order in which they are tried: the names of ways to end all that a program started.
MECHANISMS: Final = ("namespace", "adoption", "group")

_SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
_SECONDS_TO_END: Final = 10.0


class ChildFailed(Exception):
    """A process cannot be started, took too long, or ended with an exit status that is not 0.

    No user sees it: whoever started the process says what that means.
    """


def python(*arguments: str) -> tuple[str, ...]:
    """The command that runs our own interpreter without the current folder on its path."""
    return (sys.executable, "-P", *arguments)


def with_our_path(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python finds what is found here, but for the current folder."""
    return {**environment, "PYTHONPATH": os.pathsep.join(import_path())}


def lines_of_module(
    module: str, arguments: Sequence[str], *, env: Mapping[str, str], seconds: float
) -> Generator[bytes, None, None]:
    """Run a module of ours to its end, or until this is closed; gives its lines as it says them. Raises ChildFailed."""
    command = python("-m", module, *arguments)
    with TemporaryDirectory(prefix="mergealgebra-") as folder:
        try:
            process = subprocess.Popen(
                command,
                env=with_our_path(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ChildFailed(f"{module}: {error}") from error
        late = Timer(seconds, process.kill)
        late.start()
        try:
            yield from process.stdout or ()
            if process.wait():
                raise ChildFailed(f"{module}: it ended with {process.returncode}")
        finally:
            late.cancel()
            process.kill()  # if this is closed before it has ended
            with process:
                pass


class Stranger:
    """A running program that a stranger wrote, or that runs what one wrote; pipes lead to it and from it.

    A supervisor runs it, which ends with it as it does, and ends with it all that it started.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], *, apart: bool) -> None:
        """Start it. apart: in an empty folder of its own, not in the current one. Raises ChildFailed."""
        if not hasattr(os, "fork"):
            raise ChildFailed("programs of others are run by a supervisor that forks, and this system cannot; use WSL2")
        lifeline, held = os.pipe()
        self._lifeline = os.fdopen(held, "wb", buffering=0)
        self._folder: str | None = None
        supervisor = (sys.executable, "-I", "-S", str(_SUPERVISOR), str(lifeline), ",".join(MECHANISMS))
        try:
            self._folder = mkdtemp(prefix="mergealgebra-") if apart else None
            self._process = subprocess.Popen(
                [*supervisor, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd=self._folder,
                env=env,
                pass_fds=[lifeline],
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._leave()
            raise ChildFailed(f"it cannot be started: {error}") from error
        finally:
            os.close(lifeline)

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        """Its standard input, output and error, not buffered."""
        process = self._process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a process with pipes has three of them")
        return process.stdin, process.stdout, process.stderr

    def status(self, seconds: float | None = None) -> int | None:
        """How it ended, as `subprocess` tells it, waited for so long, or as long as it takes; None if it runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """End it and all that it started, now."""
        with suppress(OSError):  # it has ended
            self._lifeline.write(b"x")
        self._lifeline.close()
        self._process.send_signal(signal.SIGCONT)  # it may have stopped its supervisor
        if self.status(_SECONDS_TO_END) is None:
            self._process.kill()
            self._process.wait()
        for pipe in self.pipes:
            pipe.close()
        self._leave()

    def _leave(self) -> None:
        self._lifeline.close()
        if self._folder is not None:
            remove_folder(self._folder)


def signal_name(number: int) -> str:
    """The name of a signal, or its number: those for real-time have no names.

    >>> signal_name(9), signal_name(40)
    ('SIGKILL', '40')
    """
    return {known.value: known.name for known in signal.Signals}.get(number, str(number))
