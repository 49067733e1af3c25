"""Runs a program, and ends all that it started when it ends: `python -I -S supervisor.py LIFELINE HOW COMMAND...`.

LIFELINE is the number of a descriptor: a pipe's end for reading, of which the other end is held by whoever started
this. When something is written to it, when it is closed, or when who started this is dead, the program is ended: it
does not help the program to hold that end too. The supervisor ends as the program did, with
its exit status or by its signal, and by then nothing is left of what the program started.

HOW is a list of names in `MECHANISMS`, of which the first that works here is used. Between the supervisor and the
program is a keeper, which waits for the program; it is process 1 where the program has a namespace of its own, so that
the program is an ordinary process, which signals end as they do elsewhere.

This file is run by its path and imports little of the standard library, so it costs some hundredths of a second.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 2, 4, 8, 0x4000, 0x80000

#: Bytes that the keeper writes, at most: two numbers.
_WORDS = 40

#: Milliseconds between two looks whether the process that started this is alive; its death closes the lifeline, too.
_LOOK = 1000

#: Seconds for which killing is tried again: of processes of another user, or stuck in the kernel.
_SECONDS = 5.0


class Namespace:
    """A PID namespace, on Linux, for root or where users may have namespaces: the kernel ends what is in it."""

    def begin(self) -> bool:
        if sys.platform != "linux" or not _succeeds(self._try):
            return False
        self._separate()
        return True

    def keep(self) -> None:
        """As process 1: let /proc show the processes of the namespace."""
        _call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)

    def end(self, keeper: int, _program: int) -> None:
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)  # it returns when all are gone

    def _try(self) -> None:
        self._separate()
        if not _succeeds(self.keep):
            raise OSError

    def _separate(self) -> None:
        """Let the children that are forked from now on be in a new namespace."""
        try:
            _call("unshare", _CLONE_NEWPID | _CLONE_NEWNS)
        except OSError:
            user, group = os.geteuid(), os.getegid()
            _call("unshare", _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNS)
            maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
            for name, text in maps.items():
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        _call("mount", None, b"/", None, _MS_REC | _MS_SLAVE, None)  # the mount of /proc is not for others


class Adoption:
    """On Linux, orphans become children of the supervisor, so all descendants are found in /proc."""

    def begin(self) -> bool:
        if not os.path.exists("/proc/self/stat"):
            return False
        _call("prctl", _PR_SET_CHILD_SUBREAPER, 1)
        return True

    def keep(self) -> None:
        """Nothing is to be done in the keeper."""

    def end(self, _keeper: int, _program: int) -> None:
        deadline = monotonic() + _SECONDS
        while (found := descendants(os.getpid())) and monotonic() < deadline:
            for pid in found:
                _kill(pid)
            _reap()
            sleep(0.001)  # they fork no more, so this ends soon


class Group:
    """The process group of the program, elsewhere. What leaves the group survives."""

    def begin(self) -> bool:
        return True

    def keep(self) -> None:
        """Nothing is to be done in the keeper."""

    def end(self, keeper: int, program: int) -> None:
        if program > 1:
            _kill(-program)
        _kill(keeper)
        _reap()


MECHANISMS: dict[str, type[Namespace | Adoption | Group]] = {
    "namespace": Namespace,
    "adoption": Adoption,
    "group": Group,
}


def main(lifeline: int, how: str, command: list[str]) -> NoReturn:
    """Run the command, wait for its end or that of the lifeline, end all, and end as the command did."""
    os.set_inheritable(lifeline, False)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # only SIGKILL ends a supervisor
    mechanism = next(chosen for chosen in (MECHANISMS[name]() for name in how.split(",")) if chosen.begin())
    asker = os.getppid()
    told, tell = os.pipe()
    _hide()
    keeper = os.fork()
    if not keeper:
        os.close(told)
        os.close(lifeline)  # the program can see what its keeper has open
        _end_with_parent(tell)
        mechanism.keep()
        _keep(command, mask, tell)
    os.close(tell)
    _let_go()
    program, status = _told(told, lifeline, asker)
    mechanism.end(keeper, program)
    _end_as(status)


def _keep(command: list[str], mask: set[int | signal.Signals], tell: int) -> NoReturn:
    """In the keeper: start the program, wait for it, and tell the supervisor of both."""
    program = os.fork()
    if not program:
        _end_with_parent()
        _become(command, mask)
    _let_go()
    os.write(tell, b"%d " % program)
    ended, status = os.wait()
    while ended != program:  # an orphan that process 1 has to bury
        ended, status = os.wait()
    os.write(tell, b"%d " % status)
    os._exit(0)


def _become(command: list[str], mask: set[int | signal.Signals]) -> NoReturn:
    """Become the program, with the signals as they were, in a session of its own."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]} cannot be started: {error.strerror}\n".encode(errors="backslashreplace"))
        os._exit(127)


def _end_with_parent(pipe: int | None = None) -> None:
    """On Linux: be killed when the parent dies, and at once if it is dead: then nobody reads from its pipe."""
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    if pipe is not None:
        poll = select.poll()
        poll.register(pipe, 0)
        if poll.poll(0):
            os._exit(0)


def _hide() -> None:
    """On Linux: let nobody but root look into this process, nor into those forked from it until they become another.

    A program runs as the same user. It could take hold of their pipes by /proc, or of themselves by ptrace.
    """
    if sys.platform == "linux":
        _call("prctl", _PR_SET_DUMPABLE, 0)


def _let_go() -> None:
    """Hold none of the program's pipes open."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)


def _told(told: int, lifeline: int, asker: int) -> tuple[int, int]:
    """The program's number, 0 if unknown, and its status as of `wait`: as if killed, if nobody has told it.

    What is told may be anything: a program that is root may write where its keeper does.
    """
    poll, words = select.poll(), b""
    poll.register(told, select.POLLIN)
    poll.register(lifeline, select.POLLIN)
    while len(words) < _WORDS and os.getppid() == asker:
        ready = {descriptor for descriptor, _ in poll.poll(_LOOK)}
        if lifeline in ready:
            break
        if told in ready:
            if not (piece := os.read(told, _WORDS)):
                break
            words += piece
    match words.split():
        case [program, status] if program.isdigit() and status.isdigit():
            return int(program), int(status)
        case [program] if program.isdigit():
            return int(program), signal.SIGKILL
    return 0, signal.SIGKILL


def descendants(pid: int) -> list[int]:
    """All that descend from a process, dead ones too that nobody has buried: they may have had children."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:  # it is gone
            continue
        children.setdefault(parent, []).append(int(name))
    found, new = [], children.get(pid, [])
    while new:
        found += new
        new = [child for parent in new for child in children.get(parent, [])]
    return found


def _end_as(status: int) -> NoReturn:
    """End with the exit status, or by the signal, that `wait` gave of another process."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _hide()  # the core is the program's, not ours
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _reap() -> None:
    """Bury the children that are dead."""
    with suppress(ChildProcessError):  # there are none
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _succeeds(attempt: Callable[[], None]) -> bool:
    """Whether a call succeeds, made in a child process, as it cannot be taken back."""
    pid = os.fork()
    if not pid:
        try:
            attempt()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _call(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of the C library that returns -1 where it fails. Raises OSError."""
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(_LIBRARY, name)(*words) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_LIBRARY = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
