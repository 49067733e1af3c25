"""What a file is that is not safetensors, by its first bytes or its name, and what to do with it [EN-9, EN-15]."""

from __future__ import annotations

from typing import Final

#: How many of a file's first bytes show what it is.
FIRST_BYTES: Final = 512

PICKLED: Final = (
    "pickled weights, which can run code when they are read: save them with safetensors.torch.save_file or"
    " save_pretrained(safe_serialization=True)"
)
_GGUF: Final = "weights for llama.cpp, which are often quantised: name the safetensors model that they were made from"
_UNPACK: Final = "unpack it, and name the safetensors file in it"
_GET_FILE: Final = "get the file itself, not the page about it"
_NAME_MODEL: Final = "name the model's folder, or its safetensors file"
_CONVERT: Final = "save its arrays with safetensors.numpy.save_file"

#: How a file begins, what it is then, and what to do.
_BEGINNINGS: Final = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer", "not the file itself: run `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive", f"if torch.save wrote it, it holds {PICKLED}; otherwise {_UNPACK}"),
    *((bytes([0x80, protocol]), "a pickle", f"if torch.save wrote it, it holds {PICKLED}") for protocol in range(2, 6)),
    (b"GGUF", "a GGUF file", f"it holds {_GGUF}"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", f"as Keras writes them: {_CONVERT}"),
    (b"\x93NUMPY", "a file of NumPy's", _CONVERT),
    (b"\x1f\x8b", "compressed with gzip", "run `gunzip` on it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "run `unzstd` on it"),
    (b"\xfd7zXZ\0", "compressed with xz", "run `unxz` on it"),
    (b"BZh", "compressed with bzip2", "run `bunzip2` on it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
)
#: The same for texts, in small letters and without white space before them.
_TEXTS: Final = (
    ("<!doctype html", "a web page", _GET_FILE),
    ("<html", "a web page", _GET_FILE),
    ("<?xml", "XML, as servers answer when they refuse", _GET_FILE),
    ("<", "a page of some markup", _GET_FILE),
    ("{", "JSON", _NAME_MODEL),
    ("[", "JSON", _NAME_MODEL),
    ("", "plain text", _NAME_MODEL),
)
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

#: What files of these endings hold that are weights, and are not read.
FORMATS: Final = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"), PICKLED),
    ".gguf": _GGUF,
    **dict.fromkeys((".h5", ".hdf5", ".keras"), f"weights of Keras: {_CONVERT}"),
    ".msgpack": "weights of Flax: save them as safetensors, such as by transformers' from_flax and save_pretrained",
    ".onnx": "an ONNX graph: name the safetensors model that it was made from",
}


def foreign_kind(first: bytes) -> str | None:
    """What a file with these first bytes is, and what to do, as the end of a sentence; None if it may be safetensors.

    >>> foreign_kind(b'{"model_type": "llama"}')
    "is JSON, not safetensors: name the model's folder, or its safetensors file"
    >>> foreign_kind((2).to_bytes(8, "little") + b"{}")
    """
    if not first or _may_be_safetensors(first):
        return None
    for beginning, what, advice in (*_BEGINNINGS, *_texts(first)):
        if first.startswith(beginning):
            return f"is {what}, {advice}" if advice.startswith("not ") else f"is {what}, not safetensors: {advice}"
    return None


def is_lfs_pointer(first: bytes) -> bool:
    """Whether a file with these first bytes stands for another, which Git LFS has not fetched."""
    return first.startswith(_BEGINNINGS[0][0])


def _may_be_safetensors(first: bytes) -> bool:
    """Whether they are a length below 2^32 and the beginning of JSON; a gzip file may begin with such a length."""
    return len(first) >= 8 and first[4:8] == bytes(4) and first[8:9] in (b"", b"{", b" ")


def _texts(first: bytes) -> list[tuple[bytes, str, str]]:
    """The one row of the table of texts that fits, with the bytes that are there; none if they are not text."""
    if first.startswith(_MARKS):
        return [(first, "plain text", _NAME_MODEL)]
    try:
        text = first.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(first) - 3:  # else a character is cut
            return []
        text = first[: error.start].decode("utf-8")
    if not all(character.isprintable() or character in "\t\n\r\f" for character in text):
        return []
    start = text.lstrip().lower()
    what, advice = next((what, advice) for beginning, what, advice in _TEXTS if start.startswith(beginning))
    return [(first, what, advice)]
