"""Checkpoints that cannot be contributed or merged."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.cli.bad.case import Case, Step
from tests.cli.scene import truncate
from tests.models import (
    Array,
    base,
    fine_tune,
    task_vector,
    with_value,
    write_file,
    write_folder,
    write_raw,
    write_sharded,
)

CONTRIBUTE = "-C alice contribute bad.safetensors"
MERGE = "merge bad.yaml out"


def _file(tensors: Mapping[str, Array], path: str = "bad.safetensors") -> Step:
    return lambda scene: write_file(scene / path, tensors)


def _without(tensors: Mapping[str, Array], name: str) -> Mapping[str, Array]:
    return {key: array for key, array in tensors.items() if key != name}


def _config(method: str = "task_arithmetic", base: str = "base", models: str = "[{path: bad.safetensors}]") -> str:
    return f"method: {method}\nbase: {base}\nmodels: {models}\n"


def _merging(step: Step, **config: str) -> Step:
    """Besides the step, write `bad.yaml` for a one-shot merge."""

    def arrange(scene: Path) -> None:
        step(scene)
        (scene / "bad.yaml").write_text(_config(**config))

    return arrange


def _raw(header: Mapping[str, object] | str, data: bytes = b"") -> Step:
    text = header if isinstance(header, str) else json.dumps(header)
    return lambda scene: write_raw(scene / "bad.safetensors", text, data)


def _entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def _truncated(scene: Path) -> None:
    truncate(write_file(scene / "bad.safetensors", fine_tune(0)), 3)


def _pickle(scene: Path) -> None:
    write_folder(scene / "bad", base())
    (scene / "bad" / "model.safetensors").unlink()
    (scene / "bad" / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")


def _adapter(scene: Path) -> None:
    folder = scene / "bad"
    write_file(folder / "adapter_model.safetensors", {"lora_A": np.zeros((2, 4), np.float32)})
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2}')


def _cache(scene: Path) -> None:
    cache = scene / "models--org--tiny"
    write_folder(cache / "snapshots" / "abc123", fine_tune(0))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc123")


def _shard_missing(scene: Path) -> None:
    folder = scene / "bad"
    write_file(folder / "model-00001-of-00002.safetensors", {"norm.scale": np.ones((), np.float32)})
    weight_map = {"norm.scale": "model-00001-of-00002.safetensors", "layer.0.bias": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _grown_vocabulary() -> Mapping[str, Array]:
    return {**fine_tune(0), "embed.weight": np.zeros((18, 4), np.float32)}


_FLOATS = (4, 0, 16)

NUMBERS = {
    "a NaN in a fine-tune": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'layer.0.weight'", "index [1, 2]", "nan", "repair the checkpoint"),
        _file(with_value(fine_tune(0), "layer.0.weight", (1, 2), math.nan)),
        ("TV-4", "TV-9"),
    ),
    "a NaN in a fine-tune, one-shot": Case(
        MERGE,
        ("bad.safetensors", "'layer.0.weight'", "index [1, 2]", "nan", "repair the checkpoint"),
        _merging(_file(with_value(fine_tune(0), "layer.0.weight", (1, 2), math.nan))),
        ("TV-4", "MG-6"),
    ),
    "an infinity in a fine-tune": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'embed.weight'", "index [15, 3]", "inf", "repair the checkpoint"),
        _file(with_value(fine_tune(0), "embed.weight", (15, 3), math.inf)),
        ("TV-4",),
    ),
    "an infinity in a scalar of a task vector": Case(
        CONTRIBUTE + " --task-vector",
        ("bad.safetensors", "'norm.scale'", "index []", "-inf", "finite"),
        _file(with_value(task_vector(0), "norm.scale", (), -math.inf)),
        ("TV-5",),
    ),
    "a NaN in the base where the fine-tune is sound": Case(
        MERGE,
        ("bad.safetensors", "'layer.0.bias'", "index [3]", "nan"),
        _merging(
            lambda scene: (
                write_file(scene / "bad.safetensors", fine_tune(0)),
                write_file(scene / "nan.safetensors", with_value(base(), "layer.0.bias", (3,), math.nan)),
            ),
            base="nan.safetensors",
        ),
        ("TV-4",),
    ),
    "the first of two NaNs, the later in a file before": Case(
        MERGE,
        ("bad.safetensors", "'embed.weight'", "index [0, 1]"),
        _merging(
            lambda scene: (
                write_file(scene / "bad.safetensors", with_value(fine_tune(0), "embed.weight", (0, 1), math.nan)),
                write_file(scene / "a.safetensors", with_value(fine_tune(1), "embed.weight", (0, 2), math.nan)),
            ),
            models="[{path: a.safetensors}, {path: bad.safetensors}]",
        ),
        ("MG-6",),
    ),
    "a result beyond fp16": Case(
        MERGE,
        ("'layer.0.bias'", "index [2]", "the result", "range", "smaller coefficients"),
        _merging(
            lambda scene: (
                write_file(scene / "bad.safetensors", with_value(base("F16"), "layer.0.bias", (2,), 40000)),
                write_file(scene / "two.safetensors", with_value(base("F16"), "layer.0.bias", (2,), 39968)),
            ),
            base="half",
            models="[{path: bad.safetensors}, {path: two.safetensors}]",
        ),
        ("MG-5",),
    ),
    "a coefficient times a task vector beyond fp32": Case(
        MERGE,
        ("bad.safetensors", "'layer.0.bias'", "index [2]", "coefficient", "smaller"),
        _merging(
            _file(with_value(base(), "layer.0.bias", (2,), 1e30)),
            models='[{path: bad.safetensors, coefficient: "1000000000"}]',
        ),
        ("TI-6", "TA-2"),
    ),
}

COEFFICIENTS = {
    f"a coefficient of {text or 'nothing'}": Case(
        f"-C alice contribute ft2.safetensors --coefficient '{text}'", ("coefficient", *words), clauses=("RC-6",)
    )
    for text, words in {
        "0": ("zero",),
        "-0.0": ("zero",),
        "nan": ("'nan'", "not a decimal", "digits"),
        "inf": ("'inf'", "not a decimal"),
        "1e5": ("'1e5'", "not a decimal"),
        "": ("''", "not a decimal"),
        "1/2": ("'1/2'", "not a decimal"),
        "-0.5": ("ft2.safetensors", "negative", "task_arithmetic"),
        "1" + "0" * 39: ("largest fp32 number",),
        "0." + "0" * 50 + "1": ("zero",),
    }.items()
}

FIT = {
    "a resized vocabulary": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'embed.weight'", "[18, 4]", "[16, 4]", "resized vocabulary", "leave it out"),
        _file(_grown_vocabulary()),
        ("TV-1",),
    ),
    "a resized vocabulary, one-shot": Case(
        MERGE,
        ("bad.safetensors", "'embed.weight'", "[18, 4]", "[16, 4]"),
        _merging(_file(_grown_vocabulary())),
        ("TV-1",),
    ),
    "a missing tensor": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'layer.0.bias'", "missing", "--leave"),
        _file(_without(fine_tune(0), "layer.0.bias")),
        ("TV-8",),
    ),
    "an extra tensor": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'head.weight'", "not in the base", "--leave"),
        _file({**fine_tune(0), "head.weight": np.zeros(2, np.float32)}),
        ("TV-8",),
    ),
    "a task vector with an extra tensor": Case(
        CONTRIBUTE + " --task-vector",
        ("bad.safetensors", "'head.weight'", "not in the base"),
        _file({**task_vector(0), "head.weight": np.zeros(2, np.float32)}),
        ("TV-8",),
    ),
    "a task vector with an integer tensor": Case(
        CONTRIBUTE + " --task-vector",
        ("bad.safetensors", "'positions'", "I64", "float"),
        _file({**task_vector(0), "positions": np.zeros(16, np.int64)}),
        ("TV-7", "CT-5"),
    ),
    "integers where the base has floats": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'layer.0.bias'", "I64", "F32"),
        _file({**fine_tune(0), "layer.0.bias": np.zeros(4, np.int64)}),
        ("TV-7",),
    ),
    "floats where the base has integers": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'positions'", "F32", "I64"),
        _file({**fine_tune(0), "positions": np.zeros(16, np.float32)}),
        ("TV-7",),
    ),
    "a changed integer buffer": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'positions'", "I64", "differs", "--leave"),
        _file(with_value(fine_tune(0), "positions", (5,), 99)),
        ("TV-7",),
    ),
    "a changed mask, one-shot": Case(
        MERGE,
        ("bad.safetensors", "'mask'", "BOOL", "differs"),
        _merging(_file(with_value(fine_tune(0), "mask", (1,), True))),
        ("TV-7",),
    ),
    "patterns that leave nothing": Case(
        "-C alice contribute ft2.safetensors --take lm_head.*",
        ("'lm_head.*'", "matches no tensor", "'embed.weight'"),
        clauses=("CT-8",),
    ),
    "patterns that leave a buffer only": Case(
        "-C alice contribute ft2.safetensors --take mask",
        ("ft2.safetensors", "no float tensor"),
        clauses=("CT-5",),
    ),
    "the same model twice": Case(
        MERGE,
        ("ft0.safetensors", "copy.safetensors", "same contribution", "remove one"),
        _merging(_file(fine_tune(0), "copy.safetensors"), models="[{path: ft0.safetensors}, {path: copy.safetensors}]"),
        ("RC-8",),
    ),
}

FILES = {
    "no such checkpoint": Case(
        "-C alice contribute nowhere.safetensors", ("nowhere.safetensors", "No such file"), clauses=("EN-15",)
    ),
    "a folder without a model": Case(
        "-C alice contribute bad",
        ("bad", "model.safetensors", "name a model folder"),
        lambda scene: (scene / "bad").mkdir(),
        ("EN-15",),
    ),
    "pickled weights": Case("-C alice contribute bad", ("bad", "pickled weights", "safetensors"), _pickle, ("EN-15",)),
    "a pickled file": Case(
        "-C alice contribute bad/pytorch_model.bin", ("pytorch_model.bin", "pickled weights"), _pickle, ("EN-15",)
    ),
    "a LoRA adapter": Case(
        "-C alice contribute bad", ("bad/adapter_config.json", "has no 'lora_alpha'"), _adapter, ("AD-6",)
    ),
    "a LoRA adapter's file": Case(
        "-C alice contribute bad/adapter_model.safetensors", ("adapter_config.json", "lora_alpha"), _adapter, ("AD-6",)
    ),
    "a LoRA adapter as the base": Case(
        "-C new init --base bad", ("bad", "LoRA adapter", "merge_and_unload", "as it is"), _adapter, ("EN-15",)
    ),
    "the outer folder of a cache": Case(
        "-C alice contribute models--org--tiny",
        ("Hugging Face cache", "name models--org--tiny/snapshots/abc123 instead"),
        _cache,
        ("EN-15",),
    ),
    "a shard in place of its model": Case(
        "-C alice contribute sharded/model-00001-of-00002.safetensors",
        ("one of several shards", "name sharded, or sharded/model.safetensors.index.json"),
        lambda scene: write_sharded(scene / "sharded", fine_tune(0)),
        ("EN-15",),
    ),
    "a model of before beside shards, one-shot": Case(
        MERGE,
        ("sharded holds more than one model", "'model.safetensors' and 'model.safetensors.index.json'"),
        _merging(
            lambda scene: write_file(write_sharded(scene / "sharded", fine_tune(0)) / "model.safetensors", base()),
            models="[{path: sharded}]",
        ),
        ("EN-15",),
    ),
    "a list that names no part": Case(
        "-C new init --base parts",
        ("parts/modules.json names no part", "'2_Dense' has weights", "get the folder again"),
        lambda scene: (
            write_folder(scene / "parts", base()),
            write_file(scene / "parts" / "2_Dense" / "model.safetensors", base()),
            (scene / "parts" / "modules.json").write_text("[]"),
        ),
        ("EN-20",),
    ),
    "a missing shard": Case(
        "-C alice contribute bad", ("model-00002-of-00002.safetensors", "missing"), _shard_missing, ("EN-16",)
    ),
    "a key twice": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'a'", "twice"),
        _raw('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{}}', bytes(4)),
        ("EN-10",),
    ),
    "a hole between tensors": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'b'", "hole"),
        _raw({"a": _entry([1], 0, 4), "b": _entry([1], 8, 12)}, bytes(12)),
        ("EN-13",),
    ),
    "tensors that overlap": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'b'", "overlaps"),
        _raw({"a": _entry([2], 0, 8), "b": _entry([1], 4, 8)}, bytes(8)),
        ("EN-13",),
    ),
    "a truncated file": Case(CONTRIBUTE, ("bad.safetensors", "end", "file"), _truncated, ("EN-13",)),
    "bytes after the last tensor": Case(
        CONTRIBUTE, ("bad.safetensors", "'a'", "end"), _raw({"a": _entry([1], 0, 4)}, bytes(5)), ("EN-13",)
    ),
    "a file of seven bytes": Case(
        CONTRIBUTE,
        ("bad.safetensors", "7 bytes", "at least 8"),
        lambda scene: (scene / "bad.safetensors").write_bytes(bytes(7)),
        ("EN-9",),
    ),
    "a header longer than any file": Case(
        CONTRIBUTE,
        ("bad.safetensors", "header", str(1 << 60)),
        lambda scene: (scene / "bad.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}"),
        ("EN-9", "EN-14"),
    ),
    "a header that is no JSON": Case(CONTRIBUTE, ("bad.safetensors", "header", "JSON"), _raw("{'a': 1}"), ("EN-9",)),
    "a shape that its bytes do not have": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'a'", "8 bytes", "takes 12"),
        _raw({"a": _entry([3], 0, 8)}, bytes(8)),
        ("EN-11",),
    ),
    "a dtype of nobody's": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'a'", "'F8'", "not a dtype", "a weight as one of F64, F32, BF16, F16"),
        _raw({"a": _entry([4], 0, 4, "F8")}, bytes(4)),
        ("EN-12",),
    ),
    "a quantised model, its codes left out": Case(
        CONTRIBUTE + " --leave '*.qweight'",
        ("bad.safetensors is quantised (AWQ or GPTQ)", "'a.qweight' (I32)", "dequantise it first"),
        _file({**fine_tune(0), "a.qweight": np.zeros(2, np.int32), "a.scales": np.zeros(2, np.float16)}),
        ("TV-12",),
    ),
    "a tensor's name with a line break": Case(
        CONTRIBUTE,
        ("bad.safetensors", "'a\\nb'", "not in the base"),
        _file({**fine_tune(0), "a\nb": np.zeros(2, np.float32)}),
        ("TV-8",),
    ),
    "a configuration in place of tensors": Case(
        "-C alice contribute base/config.json",
        ("config.json is JSON, not safetensors", "name the model's folder"),
        clauses=("EN-9",),
    ),
    "a web page in place of tensors, one-shot": Case(
        MERGE,
        ("bad.safetensors is a web page, not safetensors", "get the file itself"),
        _merging(lambda scene: (scene / "bad.safetensors").write_text("<!doctype html><title>401</title>")),
        ("EN-9",),
    ),
    "a Git LFS pointer": Case(
        CONTRIBUTE,
        ("bad.safetensors", "git lfs pull"),
        lambda scene: (scene / "bad.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        ("EN-9",),
    ),
}

CHECKPOINTS = {**NUMBERS, **COEFFICIENTS, **FIT, **FILES}
