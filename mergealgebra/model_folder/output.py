"""The output, a folder or a file: written once, and there whole or not at all [LK-1, LK-9, EN-18]."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mergealgebra.disk import folder_made, fsync_folder, refused_as_output
from mergealgebra.engine.merged_spans import MergedSpan
from mergealgebra.errors import OutputError
from mergealgebra.model_folder.tensor_files import TensorFile, layout, new_file, write_tensors
from mergealgebra.model_folder.unfinished import Noted, UnfinishedFolder, token_of, unfinished_folder
from mergealgebra.tensors.companions import MOST_BYTES, Companion
from mergealgebra.tensors.file_names import MODEL, STEM
from mergealgebra.tensors.safetensors_file import Entry
from mergealgebra.tensors.single_file import is_single_file, lock_beside, refuse_other_file
from mergealgebra.text import location

#: Kept free beside the tensors, for the small files.
_SPARE_BYTES: Final = 1 << 22
#: How systems refuse to put a folder in the place of something that is not an empty one.
_OCCUPIED: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def refuse_occupied(out: Path) -> None:
    """Raise OutputError if something stands at `out` that is not an empty folder: nothing is overwritten."""
    with refused_as_output(out):
        refuse_other_file(out)
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(out)  # a name that nothing can have is refused now, and not when the model is to get it
        if is_single_file(out):
            _refuse_taken(out)
        elif out.is_symlink() or (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
            raise OutputError(f"{out} exists and is not an empty folder; remove it or choose another name")
        if token_of(out.resolve().name):
            raise OutputError(f"{location(out)} has a name that only unfinished models have; choose another name")
        if out.resolve().is_mount():
            raise OutputError(f"{out} is where a disk is mounted, so it cannot be renamed to; name a new folder in it")


def _refuse_taken(out: Path) -> None:
    """Raise OutputError if OUT, which is to be a file, or its lock is there: an empty folder too."""
    if out.is_dir():
        raise OutputError(
            f"{location(out)} is a folder, and a name that ends in .safetensors asks for one file; remove it, or "
            "choose another name"
        )
    lock = lock_beside(out)
    for path in (out, lock):
        if os.path.lexists(path):
            beside = "" if path == out else f", where the lock of {location(out)} would be"
            killed = _killed_in(path.parent) if beside else ""
            raise OutputError(f"{location(path)} exists{beside}; remove it or choose another name{killed}")
    with suppress(FileNotFoundError, NotADirectoryError):
        os.lstat(lock)


@dataclass(frozen=True)
class Contents:
    """What a merged model is to hold. entries: of its tensors, in name order. copies: the files to copy beside them.

    parts: the folders of its parts [EN-20]. stems: how the names of each part's files of tensors begin, by part. files:
    more to write beside them, by name [LK-10].
    """

    entries: Sequence[Entry]
    copies: Sequence[Companion] = ()
    parts: Sequence[str] = ()
    stems: Mapping[str, str] = field(default_factory=lambda: {"": STEM})
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """The bytes of the tensors, the copies and the other files."""
        beside = sum(companion.nbytes for companion in self.copies) + sum(map(len, self.files.values()))
        return sum(nbytes for *_, nbytes in self.entries) + beside


def write_model(
    out: Path, contents: Contents, pieces: Iterable[MergedSpan], finish: Callable[[], Mapping[str, bytes]], noted: Noted
) -> None:
    """Write a model folder: the tensors, copies of files, and what `finish` makes of the roots.

    pieces: the tensors' elements, in name order. finish: gives more files, name -> bytes, when all tensors are written.
    noted: told where it is written until it is whole. Raises OutputError, and CheckpointError for a file that cannot be
    copied; then nothing stands at `out`.
    """
    lies = layout(contents.entries, contents.stems)
    with _writing(out, contents.nbytes, noted) as folder:
        folder.announce(
            [*(f"{part}/" for part in contents.parts), *(copy.name for copy in contents.copies), *contents.files]
        )
        for part in contents.parts:
            folder.make_part(part)
        _copy(contents.copies, folder)
        write_tensors(folder, lies.files, pieces)
        for name, data in {**contents.files, **lies.indexes, **finish()}.items():
            _write(folder, name, [data])
        with _told_when_taken(folder.out):
            folder.commit()


def write_single_file(
    out: Path, contents: Contents, pieces: Iterable[MergedSpan], finish: Callable[[], tuple[str, bytes]], noted: Noted
) -> None:
    """Write a model as one file, and its lock beside it [LK-9]. finish: gives the lock, and its name in a folder.

    The rest is as for `write_model`.
    """
    with _writing(out, contents.nbytes, noted) as folder:
        folder.announce([folder.out.name])
        write_tensors(folder, [TensorFile(MODEL, contents.entries)], pieces)
        lock, data = finish()
        _write(folder, lock, [data])
        with _told_when_taken(folder.out):
            folder.commit_files(MODEL, lock)


@contextmanager
def _writing(out: Path, nbytes: int, noted: Noted) -> Iterator[UnfinishedFolder]:
    """The folder to write in, until the body has committed what OUT gets."""
    refuse_occupied(out)
    with refused_as_output(out):
        out = out.resolve()  # "." has no name to rename to
        with folder_made(out.parent):
            _check_space(out, nbytes)
            with unfinished_folder(out, noted) as folder:
                yield folder
    try:
        fsync_folder(out.parent)
    except OSError as error:
        raise OutputError(f"{out} is written and whole, but not yet safe on the disk: {error.strerror}") from error


def _copy(companions: Sequence[Companion], folder: UnfinishedFolder) -> None:
    left = MOST_BYTES
    for companion in companions:
        with companion.opened() as descriptor:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o666 | stat.S_IRUSR | stat.S_IWUSR
            left -= _write(folder, companion.name, companion.pieces(descriptor, left), mode)


def _write(folder: UnfinishedFolder, name: str, parts: Iterable[bytes], mode: int = 0o666) -> int:
    """Write a file and bring it to the disk; returns its bytes. mode: who may read and write it, less the umask."""
    with new_file(folder, name, mode) as file:
        for part in parts:
            file.write(part)
        file.finish()
        return file.nbytes


def _check_space(out: Path, nbytes: int) -> None:
    needed = nbytes + _SPARE_BYTES
    free = shutil.disk_usage(out.parent).free
    if free < needed:
        raise OutputError(
            f"{location(out)} needs {needed:,} bytes and its disk has {free:,} free; make room, or write elsewhere"
            + _killed_in(out.parent)
        )


def _killed_in(folder: Path) -> str:
    """The advice to look for what killed merges left, where they left something."""
    with suppress(OSError):
        if any(map(token_of, os.listdir(folder))):  # noqa: PTH208 - names, not paths
            return "; `mergealgebra gc` with that folder shows what killed merges left in it"
    return ""


@contextmanager
def _told_when_taken(out: Path) -> Iterator[None]:
    """Raise OutputError when somebody else took the name of OUT while it was written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        raise OutputError(
            f"{location(out)} exists now: another merge, or somebody else, wrote it while this one was at work, "
            "and it is left as it is; use it, or choose another name and run this again"
        ) from error
