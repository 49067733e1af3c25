"""Quantised models: codes that mean nothing without the scales beside them, so their difference is not a task vector.

Names and dtypes of the tensors show them, and the configuration. Integers that are only buffers have no scales beside
them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mergealgebra.disk import read_file
from mergealgebra.errors import CheckpointError
from mergealgebra.tensors.dtypes import DTYPES, UNMERGED
from mergealgebra.tensors.strict_json import LaxReader
from mergealgebra.text import shown

_MAX_CONFIG_BYTES: Final = 16 << 20
_MAX_CONFIG_DEPTH: Final = 100

_FLOAT8: Final = frozenset(name for name in DTYPES if name.startswith("F8_"))
#: What codes are stored in; BOOL, I64 and the other wide ones are masks, positions and counters.
_CODES: Final = frozenset(("U8", "I8", "I16", "U16", "I32", "U32")) | UNMERGED - {"C64"}
_ANY: Final = frozenset(DTYPES)


@dataclass(frozen=True)
class _Scheme:
    """A way to quantise: how a tensor of codes is called and stored, and what stands beside each."""

    name: str
    codes: str
    dtypes: frozenset[str]
    beside: tuple[str, ...]

    def has(self, name: str, others: Container[str]) -> bool:
        """Whether a tensor, of one of the dtypes, holds codes. others: the names beside it."""
        if not name.endswith(self.codes):
            return False
        stem = name.removesuffix(self.codes)
        return all(stem + other in others for other in self.beside)


#: The first that fits is named.
_SCHEMES: Final = (
    _Scheme("GPTQ", ".qweight", _CODES, (".qzeros", ".scales", ".g_idx")),
    _Scheme("AWQ or GPTQ", ".qweight", _CODES, (".scales",)),
    # Its codes may be stored as if they were BF16.
    _Scheme("bitsandbytes", ".weight", _ANY, (".weight.absmax", ".weight.quant_map")),
    _Scheme("bitsandbytes", ".weight", _CODES, (".SCB",)),
    _Scheme("compressed-tensors", ".weight_packed", _CODES, (".weight_scale",)),
    _Scheme("FP8", ".weight", _FLOAT8, (".weight_scale",)),
    _Scheme("FP8", ".weight", _FLOAT8, (".weight_scale_inv",)),
    _Scheme("FP8", ".weight", _FLOAT8, (".scale_weight",)),
    _Scheme("compressed-tensors", ".weight", _CODES, (".weight_scale",)),
    _Scheme("MXFP4", "_blocks", _CODES, ("_scales",)),
    _Scheme("MLX", ".weight", _CODES, (".scales",)),
    _Scheme("EETQ", ".weight", _CODES, (".weight_scales",)),
    _Scheme("quanto", ".weight._data", _ANY, (".weight._scale",)),
    _Scheme("HQQ", ".W_q", _ANY, (".scale",)),
)
_BY_DTYPE: Final = {dtype: [scheme for scheme in _SCHEMES if dtype in scheme.dtypes] for dtype in DTYPES}
#: How a message writes the names that a configuration has in small letters.
_WRITTEN: Final = {"gptq": "GPTQ", "awq": "AWQ", "fp8": "FP8", "mxfp4": "MXFP4", "hqq": "HQQ", "eetq": "EETQ"}


def refuse_quantised(dtypes: Mapping[str, str], whose: str, folder: Path | None = None) -> None:
    """Raise CheckpointError for the tensors of a quantised model.

    dtypes: by name. whose: how a message names the model. folder: where its configuration is, if it has one.
    """
    scheme, name = _scheme_of(dtypes)
    odd = name or next((name for name, dtype in dtypes.items() if dtype in _CODES), None)
    if odd is None:
        return
    method = None if folder is None else _configured(folder / "config.json")
    if scheme or method:
        advice = "dequantise it first, or name the model that it was made from"
        if not scheme:
            advice += "; if that is done, remove quantization_config from its config.json"
        raise CheckpointError(
            f"{whose} is quantised ({method or scheme}): its tensor {shown(odd)} ({dtypes[odd]}) holds codes, which "
            f"mean nothing without their scales: {advice}"
        )


def _scheme_of(dtypes: Mapping[str, str]) -> tuple[str | None, str | None]:
    """How a model is quantised, and a tensor that shows it."""
    for name, dtype in dtypes.items():
        for scheme in _BY_DTYPE[dtype]:
            if scheme.has(name, dtypes):
                return scheme.name, name
    return None, None


def _configured(config: Path) -> str | None:
    """The method that a configuration names; None where it names none, or cannot be read."""
    try:
        reader = LaxReader(read_file(config, _MAX_CONFIG_BYTES), _MAX_CONFIG_DEPTH)
        for key in reader.names():
            if key == "quantization_config" and reader.mark == b"{":
                return _method(reader)
            reader.skip()
    except (OSError, ValueError):
        pass
    return None


def _method(reader: LaxReader) -> str:
    for key in reader.names():
        if key == "quant_method" and reader.mark == b'"':
            method = reader.text()
            return _WRITTEN.get(method, method[:40])
        reader.skip()
    return "as its config.json says"
