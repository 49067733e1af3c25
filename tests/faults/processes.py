"""Commands in processes of their own that can be killed at any moment.

They are forked from a process that has all modules loaded, so that one starts in milliseconds, and dozens can die in a
test. A forked child is a process like any other to the system: SIGKILL ends it between any two of its instructions.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest import mock

from mergealgebra.cli import main
from mergealgebra.sync import http_peer

#: How long a client waits for a peer that is silent, in place of a minute.
IDLE_SECONDS = 1.0
#: A command that takes longer hangs.
_MOST_SECONDS = 120


@dataclass
class Command:
    """A command that runs. words: as they are typed."""

    words: Sequence[str]
    pid: int
    output: int

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def line(self) -> str:
        """The first line that it prints, as of a server."""
        found = b""
        while not found.endswith(b"\n") and (byte := os.read(self.output, 1)):
            found += byte
        return found.decode()

    def end(self, after: float | None = None) -> tuple[int, str]:
        """Wait for it, or kill it after so many seconds: its status, -9 for a kill, and what it printed."""
        deadline = time.monotonic() + (_MOST_SECONDS if after is None else after)
        status = self._ended()
        while status is None and time.monotonic() < deadline:
            time.sleep(0.001)
            status = self._ended()
        if status is None:
            assert after is not None, f"{' '.join(self.words)} takes more than {_MOST_SECONDS} seconds"
            self.kill()
            status = os.waitpid(self.pid, 0)[1]
        with os.fdopen(self.output, "rb") as pipe:
            printed = pipe.read().decode()
        return os.waitstatus_to_exitcode(status), printed

    def _ended(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None


def start(folder: Path, *words: str, clock: float = 0.0) -> Command:
    """Start `mergealgebra WORDS` in a folder. clock: seconds by which its clock is wrong."""
    output, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(output)
        _run_and_exit(folder, words, end, clock)
    os.close(end)
    return Command(words, pid, output)


def _run_and_exit(folder: Path, words: Sequence[str], output: int, clock: float) -> NoReturn:
    code = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.chdir(folder)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        sys.argv = ["mergealgebra", *words]
        http_peer.IDLE_SECONDS = IDLE_SECONDS  # type: ignore[misc]
        real = time.time
        with mock.patch.object(time, "time", lambda: real() + clock):
            main()
    except SystemExit as done:
        code = int(done.code or 0)
    except BaseException as error:  # what no command should end with
        print(f"TRACEBACK {error!r}", file=sys.stderr)
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
