"""Kill a process, or fail it, at each moment at which a file of its could be torn [SY-8].

    for moment, folder in kill_points(before, action, scratch):
        assert state_of(folder) in (state_before, state_after)

`before` is a folder (or a path where none is yet) that `action` gets a fresh copy of, every time. A process dies right
before each call that changes a file or folder, in the middle of each write, and after the last call. What stands right
after any other call is what stands right before the next one. An fsync changes nothing that another process can see,
so nothing dies at it; it can fail.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

#: Where a process dies.
DEADLY = ("open", "ftruncate", "write", "pwrite", "replace", "link", "mkdir", "unlink", "rmdir")
#: What fails.
FAILING = ("write", "pwrite", "fsync", "replace", "link", "mkdir")

Action = Callable[[Path], object]
#: What stands in for an os call: (its number from 0, its name, the real call, its arguments).
Stand = Callable[[int, str, Callable[..., Any], tuple[Any, ...]], Any]

_KILLED = 77


def kill_points(before: Path, action: Action, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield each moment, by name, with the folder that a process which died there left behind.

    The folder goes when the next moment begins. `action` runs in a forked process; it must make the same calls
    every time, and what it raises is an AssertionError here.
    """
    calls = _calls_of(before, action, scratch, DEADLY)
    for number, call in enumerate(calls):
        halfway, after = call in ("write", "pwrite"), number == len(calls) - 1
        for moment in ("before", *["halfway"] * halfway, *["after"] * after):
            with _copied(before, scratch) as folder:
                code = _in_a_child(lambda at=folder: action(at), _death(number, moment), DEADLY)
                assert code == _KILLED, f"call {number} was not reached a second time"
                yield f"{moment} call {number}, os.{call}", folder


def fault_points(
    before: Path, action: Action, scratch: Path, fault: int = errno.ENOSPC
) -> Iterator[tuple[str, Path, Exception | None]]:
    """Yield each call, by name, with the folder after that call alone failed, and what `action` then raised.

    `action` runs in this process, whose modules and kernels are loaded once: what they write then is no call of it, so
    it must have run here before.
    """
    for number, call in enumerate(_calls_of(before, action, scratch, FAILING)):
        with _copied(before, scratch) as folder:
            raised: Exception | None = None
            failed: list[str] = []
            with _standing_in(_failure(number, fault, failed), FAILING):
                try:
                    action(folder)
                except Exception as error:
                    raised = error
            assert failed == [call], f"call {number} was os.{call}, and then {failed}: it had not run here before"
            yield f"call {number}, os.{call}", folder, raised


def _calls_of(before: Path, action: Action, scratch: Path, names: Sequence[str]) -> list[str]:
    """The names of those calls that `action` makes, in order."""
    scratch.mkdir(parents=True, exist_ok=True)
    report = scratch / "calls.json"
    made: list[str] = []

    def note(number: int, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        made.append(name)
        return call(*arguments)

    with _copied(before, scratch) as folder:

        def run() -> None:
            action(folder)
            report.write_text(json.dumps(made))

        assert _in_a_child(run, note, names) == 0
    return list(json.loads(report.read_text()))


def _death(number: int, moment: str) -> Stand:
    def stand(at: int, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if at != number:
            return call(*arguments)
        if moment == "halfway":
            descriptor, data, *offset = arguments
            call(descriptor, bytes(data)[: len(data) // 2], *offset)
        elif moment == "after":
            with suppress(OSError):  # what the system refuses, a process survives for a moment too
                call(*arguments)
        return os._exit(_KILLED)

    return stand


def _failure(number: int, fault: int, failed: list[str]) -> Stand:
    def stand(at: int, name: str, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if at == number:
            failed.append(name)
            raise OSError(fault, os.strerror(fault))
        return call(*arguments)

    return stand


def _in_a_child(run: Callable[[], object], stand: Stand, names: Sequence[str]) -> int:
    """The exit status of a forked process that runs with the calls replaced; 1 is an error, and raises."""
    child = os.fork()
    if child == 0:
        _run_and_exit(run, stand, names)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), f"the action failed with status {code}; its traceback is on standard error"
    return code


def _run_and_exit(run: Callable[[], object], stand: Stand, names: Sequence[str]) -> NoReturn:
    status = 1
    try:
        with _standing_in(stand, names):
            run()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


@contextmanager
def _standing_in(stand: Stand, names: Sequence[str]) -> Iterator[None]:
    """Replace these calls of `os`, and number them across all of them; of `open` those that may make a file."""
    made = 0

    def replacement(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def numbered(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            if name == "open" and not arguments[1] & os.O_CREAT:
                return call(*arguments, **named)
            made += 1
            return stand(made - 1, name, partial(call, **named), arguments)

        return numbered

    with mock.patch.multiple(os, **{name: replacement(name, getattr(os, name)) for name in names}):
        yield


@contextmanager
def _copied(before: Path, scratch: Path) -> Iterator[Path]:
    folder = scratch / "copy" / before.name
    folder.parent.mkdir(parents=True)
    try:
        if before.exists():
            shutil.copytree(before, folder, symlinks=True)
        yield folder
    finally:
        shutil.rmtree(folder.parent)
