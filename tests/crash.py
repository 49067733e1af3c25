"""Kill a process, or fail it, at each moment at which a file of its could be torn [SY-8].

    for moment, folder in kill_points(before, action, scratch):
        assert state_of(folder) in (state_before, state_after)

`before` is a folder (or a path where none is yet) that `action` gets a fresh copy of, every time. The moments are
the calls of `os.write`, `os.pwrite`, `os.fsync`, `os.replace`, `os.link` and `os.mkdir`: right before each, right after
it, and for a write also with half of it written.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

CALLS = ("write", "pwrite", "fsync", "replace", "link", "mkdir")

Action = Callable[[Path], object]
#: What stands in for an os call: (its number from 0, its name, the real call, its arguments).
Stand = Callable[[int, str, Callable[..., Any], tuple[Any, ...]], Any]

_KILLED = 77


def kill_points(before: Path, action: Action, scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield each moment, by name, with the folder that a process which died there left behind.

    The folder goes when the next moment begins. `action` runs in a forked process; it must make the same calls
    every time, and what it raises is an AssertionError here.
    """
    for number, call in enumerate(_calls_of(before, action, scratch)):
        for moment in ("before", "halfway", "after") if call in ("write", "pwrite") else ("before", "after"):
            with _copied(before, scratch) as folder:
                code = _in_a_child(lambda at=folder: action(at), _death(number, moment))
                assert code == _KILLED, f"call {number} was not reached a second time"
                yield f"{moment} call {number}, os.{call}", folder


def fault_points(
    before: Path, action: Action, scratch: Path, fault: int = errno.ENOSPC
) -> Iterator[tuple[str, Path, Exception | None]]:
    """Yield each call, by name, with the folder after that call alone failed, and what `action` then raised.

    `action` runs in this process, whose modules and kernels are loaded once: what they write then is no call of it, so
    it must have run here before.
    """
    for number, call in enumerate(_calls_of(before, action, scratch)):
        with _copied(before, scratch) as folder:
            raised: Exception | None = None
            failed: list[str] = []
            with _standing_in(_failure(number, fault, failed)):
                try:
                    action(folder)
                except Exception as error:
                    raised = error
            assert failed == [call], f"call {number} was os.{call}, and then {failed}: it had not run here before"
            yield f"call {number}, os.{call}", folder, raised


def _calls_of(before: Path, action: Action, scratch: Path) -> list[str]:
    """The names of the calls that `action` makes, in order."""
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

        assert _in_a_child(run, note) == 0
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


def _in_a_child(run: Callable[[], object], stand: Stand) -> int:
    """The exit status of a forked process that runs with the calls replaced; 1 is an error, and raises."""
    child = os.fork()
    if child == 0:
        _run_and_exit(run, stand)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), f"the action failed with status {code}; its traceback is on standard error"
    return code


def _run_and_exit(run: Callable[[], object], stand: Stand) -> NoReturn:
    status = 1
    try:
        with _standing_in(stand):
            run()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


@contextmanager
def _standing_in(stand: Stand) -> Iterator[None]:
    """Replace the calls of `os`, and number them across all of them."""
    made = 0

    def replacement(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def numbered(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            made += 1
            return stand(made - 1, name, partial(call, **named), arguments)

        return numbered

    with mock.patch.multiple(os, **{name: replacement(name, getattr(os, name)) for name in CALLS}):
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
