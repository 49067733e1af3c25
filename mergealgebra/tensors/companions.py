"""What goes along with a merged model: the small files beside the base's tensors, and none from elsewhere [LK-1].

All files go along that are not weights: a model's own code imports files of any name, and processors read theirs.

A model's folder comes from strangers, and a merged model is published. So a link in the folder is followed only to a
file of the same folder, or of the same cached model. From there, files are opened step by step, without links.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mergealgebra.disk import PIECE_BYTES, open_file, opened_folder
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_kinds import FIRST_BYTES, FORMATS, is_lfs_pointer
from mergealgebra.tensors.files import reading
from mergealgebra.text import listed, location, printable

#: All of them together have no more: a tokenizer has 20 MB, a file that claims more is a mistake or a trap.
MOST_BYTES: Final = 64 << 20

#: Weights and pickles, by the ends of their names in small letters.
_OTHER_WEIGHTS: Final = frozenset(
    (".joblib", ".npy", ".npz", ".onnx_data", ".ot", ".pb", ".tflite", ".mlmodel", ".ggml", ".llamafile", ".nemo")
)
_WEIGHTS: Final = (".safetensors", *FORMATS, *_OTHER_WEIGHTS)
#: Files about the weights, or about the base itself; in small letters.
_OF_THE_BASE: Final = ("*.index.json", "*.index.*.json", "readme*", "modelcard*", "model_card*", "merge.lock")
#: What tells how the base was merged; a merge may have its own files of these names.
_OF_ITS_MERGE: Final = ("step-*.lock", "mergekit_config.yml")
#: What training leaves beside a model, and no model needs.
_OF_TRAINING: Final = ("training_args.bin", "optimizer.*", "scheduler.*", "rng_state*")
#: No program writes one of these empty, and none can read it then.
_NEVER_EMPTY: Final = ("*.json", "*.model", "*.tiktoken", "vocab.txt")


def is_companion(name: str) -> bool:
    """Whether a file of this name can stand beside the weights; in a part, it is PART/NAME."""
    name = _in_its_folder(name)
    return not (name.startswith(".") or _is_weights(name) or _matches(name, _OF_THE_BASE))


def _goes_along(name: str) -> bool:
    """Whether the base's file of this name is copied."""
    return is_companion(name) and not _matches(_in_its_folder(name), _OF_ITS_MERGE)


def companions(base: Checkpoint) -> list[Companion]:
    """The base's files to copy, in the order of their names, part by part; none for a single file.

    Raises CheckpointError for a link that leaves the folder, for what is not a file or not whole, and when they are
    too large.
    """
    if base.folder is None:
        return []
    with reading(base.folder):
        home = Path(os.path.realpath(base.folder, strict=True))
    found = []
    for folder in base.part_folders().values():
        with reading(folder):
            names = sorted(filter(_goes_along, os.listdir(folder)))  # noqa: PTH208 - names, not paths
        paths = (folder / name for name in names)
        found += [companion for path in paths if (companion := _found(path, base.folder, home)) is not None]
    found = [replace(companion, nbytes=_size_of(companion)) for companion in found]
    _refuse_large(found)
    return found


def left_out(base: Checkpoint) -> list[str]:
    """What a merge says of what stays behind in the base's folder and may be missed: one line, or none."""
    if not (missed := [name for name in _others(base) if _is_missed(name)]):
        return []
    return [f"left out of the merged model: {listed(map(printable, missed))} of the base; copy what loading it takes"]


def not_beside(base: Checkpoint) -> list[str]:
    """What a merge to one file says of the base's files that are not beside it: one line, or none [LK-9]."""
    if not (missed := [n for n in _others(base) if _is_missed(n) or (n[-1] != "/" and _goes_along(n))]):
        return []
    return [
        f"one file holds the tensors alone: {listed(map(printable, missed))} of the base and a model card are not "
        "beside it; name a folder to get what can be copied"
    ]


def _others(base: Checkpoint) -> list[str]:
    """What is in the base's folder and in its parts, beside these and the tensors; a folder's name ends in a slash."""
    own = {record.path for record in base.records.values()}
    found = []
    for part, folder in base.part_folders().items():
        with reading(folder), os.scandir(folder) as entries:
            called = sorted(_called(entry) for entry in entries if folder / entry.name not in own)
        found += [f"{part}/{name}" if part else name for name in called if part or name.rstrip("/") not in base.parts]
    return found


def _in_its_folder(name: str) -> str:
    """A name without the part in front of it."""
    return name[name.find("/", 0, -1) + 1 :]


def _called(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir() else entry.name


def _is_missed(name: str) -> bool:
    """Whether somebody may want what is left out; a folder's name ends in a slash."""
    name = _in_its_folder(name)
    if name.startswith(".") or _matches(name, (*_OF_TRAINING, "__pycache__/")):
        return False
    return name.endswith("/") or _is_weights(name)


def _is_weights(name: str) -> bool:
    return name.lower().endswith(_WEIGHTS)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)


@dataclass(frozen=True)
class Companion:
    """A file to copy. name: in the model, of a part as PART/NAME. path: as messages name it.

    anchor, steps: the folder it is reached from, and how.
    """

    name: str
    path: Path
    anchor: Path
    steps: tuple[str, ...]
    nbytes: int = 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Its descriptor; whatever took its place meanwhile, it is a file below the anchor. Raises CheckpointError."""
        with ExitStack() as stack:
            with _readable(self.path):
                folder = stack.enter_context(opened_folder(self.anchor))
                for step in self.steps[:-1]:
                    folder = stack.enter_context(opened_folder(step, within=folder))
                descriptor = open_file(self.steps[-1], within=folder)
            stack.callback(os.close, descriptor)
            yield descriptor

    def pieces(self, descriptor: int, most: int) -> Iterator[bytes]:
        """Its bytes, though the file may grow while it is read. Raises CheckpointError when they are more than most."""
        with _readable(self.path):
            while piece := os.read(descriptor, PIECE_BYTES):
                most -= len(piece)
                if most < 0:
                    raise _too_large(f"{location(self.path)} has more bytes than its size says")
                yield piece


def _found(path: Path, folder: Path, home: Path) -> Companion | None:
    """The companion at a path; None for a folder. folder: the model's own. home: where that is."""
    name = path.relative_to(folder).as_posix()
    try:
        real = Path(os.path.realpath(path, strict=True))
        if stat.S_ISDIR(os.lstat(real).st_mode):
            return None
    except OSError as error:
        raise CheckpointError(
            f"{location(path)} is a link that leads to no file: {error.strerror}; get the model again, or "
            "remove the link"
        ) from error
    if real.is_relative_to(home):
        return Companion(name, path, home, real.relative_to(home).parts)
    cache = _cache_of(home)
    if cache is not None and real.parent == cache / "blobs":
        return Companion(name, path, cache, ("blobs", real.name))
    raise CheckpointError(
        f"{location(path)} is a link to {location(real)}, outside the model's folder, and would be copied into the "
        "merged model: put a copy of that file in its place, or remove the link"
    )


def _cache_of(home: Path) -> Path | None:
    """The outer folder of a cached model, whose snapshots link to its blobs; None if `home` is not a snapshot."""
    snapshots = next((folder for folder in home.parents if folder.name == "snapshots"), None)
    return None if snapshots is None else snapshots.parent


def _size_of(companion: Companion) -> int:
    """Its bytes. Raises CheckpointError when it stands for another file, or lost what was in it."""
    with companion.opened() as descriptor:
        size = os.fstat(descriptor).st_size
        with _readable(companion.path):
            first = os.pread(descriptor, FIRST_BYTES, 0)
    if is_lfs_pointer(first):
        raise CheckpointError(
            f"{location(companion.path)} is a Git LFS pointer, not the file itself: run `git lfs pull` in its folder"
        )
    if not first and _matches(companion.path.name, _NEVER_EMPTY):
        raise CheckpointError(
            f"{location(companion.path)} is empty, so the merged model could not be loaded with it: get it again, or "
            "remove it from the model's folder"
        )
    return size


def _refuse_large(found: Sequence[Companion]) -> None:
    total = sum(companion.nbytes for companion in found)
    if total > MOST_BYTES:
        largest = max(found, key=lambda companion: companion.nbytes)
        raise _too_large(
            f"{location(largest.path)} has {largest.nbytes:,} bytes, with the other files beside the tensors {total:,}"
        )


def _too_large(found: str) -> CheckpointError:
    return CheckpointError(f"{found}, and {MOST_BYTES:,} are copied at most: move it out of the model's folder")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{location(path)} cannot be read: {error.strerror}; check it, or remove it from the model's folder"
        ) from error
