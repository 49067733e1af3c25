"""Models by their names on the Hugging Face hub: `org/name` or `org/name@revision` [HB-1].

What is in the cache is used as it lies there, without a network and without a library. What is not is downloaded by
huggingface_hub, where that is installed and may.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mergealgebra.addresses import HUB, PathLike
from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.text import location, printable, shortened

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_MAX_REF_BYTES: Final = 1024
_TRUE: Final = ("1", "ON", "YES", "TRUE")
_MOST_REASON: Final = 300
#: What shows that the weights of a snapshot were downloaded.
_WEIGHTS: Final = (".safetensors", ".safetensors.index.json", "model_index.json", "modules.json", ".bin", ".gguf")
#: What no merge reads.
_NOT_FETCHED: Final = (
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.gguf", "*.tflite"),
    *("onnx/*", "original/*", "openvino/*", "consolidated*.safetensors"),
)


def folder(address: PathLike) -> Path:
    """Where the model is: what a path leads to, else the snapshot of an address in the cache, downloaded if need be.

    Whatever is here under such a name is meant before the Hub. A path that is no address is given back as it is, also
    where nothing is there. Raises CheckpointError where an address is in no cache and cannot be downloaded.

    >>> folder("models/base.safetensors")
    PosixPath('models/base.safetensors')
    """
    text = os.fspath(address)
    found = HUB.fullmatch(text)
    if found is None or os.path.lexists(text):
        return Path(text)
    name, revision = found[1], found[3]
    snapshot = cached(name, revision or "main")
    if snapshot is not None:
        return snapshot
    if Path(found["owner"]).is_dir():  # a path with a mistake in it, rather than an address
        return Path(text)
    return _downloaded(name, revision)


def cache_folder() -> Path:
    """Where huggingface_hub keeps models, by the same variables of the environment."""
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if cache:
        return _expanded(cache)
    if home := os.environ.get("HF_HOME"):
        return _expanded(home) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def cached(name: str, revision: str) -> Path | None:
    """The snapshot of a model in the cache, if its weights are there. revision: a branch, a tag or a commit."""
    repository = cache_folder() / f"models--{name.replace('/', '--')}"
    commit = revision if _COMMIT.fullmatch(revision) else _referred(repository, revision)
    if not commit or not _COMMIT.fullmatch(commit):
        return None
    snapshot = repository / "snapshots" / commit
    try:
        return snapshot if _has_weights(os.listdir(snapshot)) else None  # noqa: PTH208 - names, not paths
    except OSError:
        return None


def is_offline() -> bool:
    """Whether the environment says that nothing is to be downloaded."""
    said = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return said.upper() in _TRUE


def _has_weights(names: Iterable[str]) -> bool:
    return any(name.endswith(_WEIGHTS) for name in names)


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser()


def _referred(repository: Path, revision: str) -> str:
    """The commit that a branch or a tag refers to; empty where it is not known."""
    if ".." in revision.split("/"):
        return ""
    try:
        return read_file(repository / "refs" / revision, _MAX_REF_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _downloaded(name: str, revision: str | None) -> Path:
    """The snapshot that huggingface_hub downloads. Raises CheckpointError where it cannot."""
    command = f"hf download {name}{f' --revision {revision}' if revision else ''}"
    absent = f"{name}{f'@{revision}' if revision else ''} is not a path here, and not in the Hub's cache"
    absent = f"{absent} ({location(cache_folder())})"
    if is_offline():
        raise CheckpointError(
            f"{absent}, and the environment says to stay offline: with a network, `HF_HUB_OFFLINE=0 {command}` gets it"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise CheckpointError(
            f"{absent}: check the path, or get it by `{command}`, which comes with: pip install huggingface_hub"
        ) from None
    try:
        return Path(snapshot_download(name, revision=revision, ignore_patterns=list(_NOT_FETCHED)))
    except Exception as error:  # of several libraries, and of their own kinds
        why = shortened(printable(" ".join(str(error).split())), _MOST_REASON) or type(error).__name__
        raise CheckpointError(f"{absent}, and `{command}` fails: {why}") from error
