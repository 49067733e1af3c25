"""Files that are not safetensors: they are named by their first bytes, with advice, and never by a length in them."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile

import numpy as np
import pytest
import torch

from mergealgebra.errors import HeaderError
from mergealgebra.tensors.file_kinds import foreign_kind
from mergealgebra.tensors.safetensors_file import read_header
from tests.models import base, write_file

pytestmark = pytest.mark.clause("EN-9")


def written(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def zipped(stream):
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x", "y")


WEIGHTS = {"w": torch.zeros(3)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"

#: What a file holds, what it is called, and a word of the advice.
KINDS = {
    "a Git LFS pointer": (POINTER, "is a Git LFS pointer, not", "git lfs pull"),
    "torch.save": (written(lambda s: torch.save(WEIGHTS, s)), "is a zip archive", "safetensors.torch.save_file"),
    "torch.save, as it was": (
        written(lambda s: torch.save(WEIGHTS, s, _use_new_zipfile_serialization=False)),
        "is a pickle",
        "safetensors.torch.save_file",
    ),
    "a zip archive": (written(zipped), "is a zip archive", "unpack it"),
    "an empty pickle": (pickle.dumps(None), "is a pickle", "run code"),
    "a page of HTML": (b"\n<!DOCTYPE html><html>", "is a web page", "get the file itself"),
    "HTML": (b"<HTML lang=en>", "is a web page", "get the file itself"),
    "an answer in XML": (b"<?xml version='1.0'?><Error/>", "is XML", "get the file itself"),
    "config.json": (json.dumps({"model_type": "llama"}, indent=2).encode(), "is JSON", "name the model's folder"),
    "a list in JSON": (b'["a", "b", "c"]', "is JSON", "name the model's folder"),
    "GGUF": (b"GGUF\3\0\0\0" + bytes(16), "is a GGUF file", "llama.cpp"),
    "gzip": (gzip.compress(bytes(100)), "is compressed with gzip", "`gunzip`"),
    "gzip without a time": (gzip.compress(bytes(100), mtime=0), "is compressed with gzip", "`gunzip`"),
    "xz": (lzma.compress(bytes(100)), "is compressed with xz", "`unxz`"),
    "bzip2": (bz2.compress(bytes(100)), "is compressed with bzip2", "`bunzip2`"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00\x01\x00", "is compressed with zstd", "`unzstd`"),
    "NumPy's": (written(lambda s: np.save(s, np.zeros(3))), "is a file of NumPy's", "safetensors.numpy.save_file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "is an HDF5 file", "Keras"),
    "text": (b"# A model\nof mine\n", "is plain text", "name the model's folder"),
    "text cut in a letter": (("x" + "é" * 300).encode(), "is plain text", "name the model's folder"),
    "text in UTF-16": ("A model".encode("utf-16"), "is plain text", "name the model's folder"),
    "a word": (b"damaged", "is plain text", "name the model's folder"),
}


@pytest.mark.parametrize(("content", "name", "advice"), KINDS.values(), ids=KINDS)
def test_what_is_not_safetensors_is_named(tmp_path, content, name, advice):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(HeaderError) as caught:
        read_header(path)
    said = str(caught.value)
    assert said.startswith(f"{path} {name}")
    assert advice in said
    assert "header" not in said


def test_a_file_of_gzip_so_long_that_its_beginning_could_be_a_length_is_named(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(1 << 20))
    with pytest.raises(HeaderError, match="is compressed with gzip"):
        read_header(path)


#: What begins like one of these and may be safetensors, and what begins like nothing.
OTHERS = {
    "a length like gzip's": b"\x1f\x8b\x08\0\0\0\0\0{",
    "a length like that of bzip2": b"BZh\0\0\0\0\0 {",
    "a length like a letter": b"{\0\0\0\0\0\0\0{",
    "a length alone": (2).to_bytes(8, "little"),
    "nothing": b"",
    "zeros": bytes(7),
    "what nobody knows": b"\x03\x91\xff" * 10,
}


@pytest.mark.parametrize("first", OTHERS.values(), ids=OTHERS)
def test_the_rest_is_read_as_safetensors(first):
    assert foreign_kind(first) is None


def test_safetensors_are_none_of_them(tmp_path):
    path = write_file(tmp_path / "m.safetensors", base())
    assert foreign_kind(path.read_bytes()[:512]) is None
