"""What Windows lacks, taken away here: modules, names of `os` and `signal`, descriptors of folders.

`pretend` is called in a process of its own, before `mergealgebra` is imported. Other packages know Windows and are
imported first. It cannot show what Windows has and does otherwise: nobody has run the tests there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

MODULES = [
    "_posixsubprocess",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
]

#: Names of `os` that its documentation says are not on Windows; O_BINARY is only there, and what it does is not shown.
NAMES = [
    "O_CLOEXEC",
    "O_DIRECTORY",
    "O_NOCTTY",
    "O_NOFOLLOW",
    "O_NONBLOCK",
    "O_SYNC",
    "WIFSIGNALED",
    "WNOHANG",
    "chown",
    "chroot",
    "fchmod",
    "fchown",
    "fork",
    "forkpty",
    "fstatvfs",
    "getegid",
    "geteuid",
    "getgid",
    "getpgid",
    "getuid",
    "killpg",
    "lockf",
    "mkfifo",
    "mknod",
    "posix_fadvise",
    "posix_fallocate",
    "pread",
    "preadv",
    "pwrite",
    "pwritev",
    "readv",
    "sched_getaffinity",
    "setpgid",
    "setsid",
    "statvfs",
    "sync",
    "sysconf",
    "uname",
    "wait",
    "writev",
]
SIGNALS = ["SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGXFSZ", "pthread_sigmask", "setitimer"]

#: Functions of `os` that have an argument `dir_fd`, which must be None there.
RELATIVE = ("chmod", "link", "mkdir", "open", "rename", "replace", "rmdir", "stat", "unlink", "utime")


def pretend() -> None:
    """Take all of it away from this process, but from modules that are imported already."""
    for module in MODULES:
        sys.modules[module] = None  # type: ignore[assignment]  # importing it fails
    for name in NAMES:
        if hasattr(os, name):
            delattr(os, name)
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)
    for name in RELATIVE:
        setattr(os, name, _without_dir_fd(getattr(os, name)))
    os.supports_dir_fd, os.supports_fd = set(), set()
    for name in ("listdir", "scandir"):
        setattr(os, name, _of_a_path(getattr(os, name)))
    subprocess.Popen.__init__ = _without_descriptors(subprocess.Popen.__init__)  # type: ignore[method-assign]


def _without_dir_fd(real: Any) -> Any:
    def call(path: Any, *rest: Any, **options: Any) -> Any:
        for name in ("dir_fd", "src_dir_fd", "dst_dir_fd"):
            if options.pop(name, None) is not None:
                raise NotImplementedError(f"{name} unavailable on this platform")
        if real.__name__ == "open" and Path(path).is_dir():
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **options)

    return call


def _of_a_path(real: Any) -> Any:
    def call(path: Any = ".") -> Any:
        if isinstance(path, int):
            raise TypeError("path should be string, bytes, os.PathLike or None, not int")
        return real(path)

    return call


def _without_descriptors(real: Any) -> Any:
    def init(self: Any, *arguments: Any, pass_fds: Any = (), **options: Any) -> None:
        if pass_fds:
            raise ValueError("pass_fds not supported on Windows.")
        real(self, *arguments, **options)

    return init
