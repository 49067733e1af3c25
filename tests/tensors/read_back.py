"""The tensors of a safetensors file, read by our header alone."""

import ml_dtypes  # noqa: F401 - safetensors reads BF16 with it
import numpy as np

from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.safetensors_file import (
    read_header,
)


def content(record):
    """The bytes of a tensor."""
    with record.path.open("rb") as file:
        file.seek(record.offset)
        return file.read(record.nbytes)


def read_all(path):
    return {
        name: np.frombuffer(content(record), DTYPES[record.dtype].numpy).reshape(record.shape_read)
        for name, record in read_header(path).items()
    }


def assert_same(got, expected):
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in got.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in expected.items()
    }
