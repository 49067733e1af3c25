"""The difference that a model makes, as a peft adapter: factors of the matrices, the rest whole [AD-12 to AD-14]."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from mergealgebra.errors import AdapterError
from mergealgebra.formats.adapters.origin import name_for_others
from mergealgebra.formats.adapters.truncation import Truncated, truncated
from mergealgebra.progress import Progress, counter, quiet
from mergealgebra.tensors.block_vectors import read_stored, subtract
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.dtypes import DTYPES, name_of
from mergealgebra.tensors.file_names import ADAPTER, ADAPTER_CONFIG
from mergealgebra.tensors.form_names import FINETUNED
from mergealgebra.tensors.forms import Formed, Held
from mergealgebra.tensors.safetensors_file import canonical_header
from mergealgebra.text import listed, location, shown

Host = np.ndarray[Any, Any]

_BEFORE: Final = "base_model.model."
#: The last part of the names of embeddings, whose factors peft calls otherwise.
_EMBEDDINGS: Final = ("wte", "wpe", "shared")
#: Kinds of models whose linear layers hold their weights as [in, out].
_TRANSPOSED: Final = ("gpt2", "openai-gpt", "imagegpt", "decision_transformer")
_MAX_CONFIG: Final = 1 << 20


@dataclass
class Extraction:
    """What was written: for each matrix the error of its factors; what is there whole, and what is not there.

    errors: the Frobenius norm of what the factors lack, divided by that of the matrix. error: the same of all that
    changes; what is left out counts as lacking.
    """

    rank: int
    errors: dict[str, float] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    square: float = 0.0
    missed: float = 0.0

    @property
    def error(self) -> float:
        """Of all tensors together."""
        return math.sqrt(self.missed / self.square) if self.square else 0.0


@dataclass(frozen=True)
class Source:
    """What is extracted: a model or a contribution, the base that it is of, and the form of what has no other."""

    base: Checkpoint
    held: Held
    form: str = FINETUNED

    def difference(self, name: str) -> Host:
        """The task vector of a tensor, fp32, in its shape [TV-2]."""
        form = self.held.forms[name] if isinstance(self.held, Formed) else self.form
        found = self.held.read(name)
        with np.errstate(all="ignore"):
            tau = subtract(found, self.base.read(name)) if form == FINETUNED else read_stored(found)
        shape = self.base.records[name].shape
        if not np.isfinite(tau).all():
            raise AdapterError(f"{location(self.held.path, name)}: the difference is not finite; repair the model")
        changed: Host = np.asarray(tau, np.float32).reshape(shape)
        return changed

    def model(self, name: str, tau: Host) -> Host:
        """The tensor itself, in the base's dtype: the model's, or the base plus the difference."""
        if not isinstance(self.held, Formed) and self.form == FINETUNED:
            return self.held.read(name).reshape(tau.shape)
        base = self.base.read(name)
        return (base.astype(np.float32) + tau.reshape(-1)).astype(base.dtype).reshape(tau.shape)


def extract(
    source: Source,
    out: Path,
    rank: int,
    *,
    matrices_only: bool = False,
    prefix: str = "",
    progress: Progress = quiet,
) -> Extraction:
    """Write a peft adapter of this rank into a new folder; returns what it lacks [AD-12 to AD-14].

    matrices_only: what is not a matrix is left out, and named. prefix: what the names of the modules have before the
    base's. Raises AdapterError, naming what cannot be in an adapter.
    """
    if rank < 1:
        raise AdapterError(f"the rank is {rank}, expected 1 or more")
    done, tensors, config = Extraction(rank), dict[str, Host](), _Modules(_is_transposed(source.base))
    names = [name for name in source.held.records if _is_float(source, name)]
    more = counter(progress, "extracting", sum(source.base.records[name].size for name in names))
    others: dict[str, Host] = {}
    for name in names:
        tau = source.difference(name)
        if not tau.any():
            pass
        elif name.endswith(".weight") and tau.ndim in (2, 4):
            found = truncated(tau.reshape(tau.shape[0], -1), rank)
            done.errors[name] = math.sqrt(found.missed / found.square)
            done.square, done.missed = done.square + found.square, done.missed + found.missed
            tensors |= config.factors(prefix + name.removesuffix(".weight"), found, tau.shape)
        else:
            others[name] = tau
        more(tau.size)
    for name, tau in others.items():
        square = float(np.square(tau.astype(np.float64)).sum())
        done.square += square
        if matrices_only:
            done.missed += square
            done.left_out.append(name)
            continue
        done.whole.append(name)
        tensors |= dict(config.whole(source, name, tau, prefix))
    if not tensors:
        raise AdapterError(f"{location(source.held.path)} changes nothing that an adapter can hold: name another model")
    _write(out, tensors, config.settings(rank, name_for_others(source.base)))
    return done


@dataclass
class _Modules:
    """The modules of an adapter as peft names them. transposed: whether linear layers hold [in, out]."""

    transposed: bool
    targets: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    bias: bool = False

    def factors(self, module: str, found: Truncated, shape: tuple[int, ...]) -> dict[str, Host]:
        """The factors of a module under peft's names."""
        self.targets.append(module)
        up, down = found.up, found.down
        if _is_embedding(module):
            return {
                f"{_BEFORE}{module}.lora_embedding_A": np.ascontiguousarray(up.T),
                f"{_BEFORE}{module}.lora_embedding_B": np.ascontiguousarray(down.T),
            }
        if self.transposed and len(shape) == 2:
            up, down = np.ascontiguousarray(down.T), np.ascontiguousarray(up.T)
        elif len(shape) == 4:
            up, down = up.reshape(*up.shape, 1, 1), down.reshape(down.shape[0], *shape[1:])
        return {f"{_BEFORE}{module}.lora_A.weight": down, f"{_BEFORE}{module}.lora_B.weight": up}

    def whole(self, source: Source, name: str, tau: Host, prefix: str) -> Iterator[tuple[str, Host]]:
        """What is no matrix: the bias of a module with factors, or all of another module."""
        module, _, last = name.rpartition(".")
        if prefix + module in self.targets and last == "bias":
            self.bias = True
            yield f"{_BEFORE}{prefix}{module}.base_layer.bias", source.model(name, tau)
            return
        beside = [other for other in source.base.records if other.startswith(f"{module}.")]
        if not module or any("." in other.removeprefix(f"{module}.") for other in beside):
            raise AdapterError(
                f"{location(source.held.path, name)} belongs to no module that peft can save whole: leave out what is "
                "no matrix, with --matrices-only (in Python matrices_only=True)"
            )
        if prefix + module in self.saved:
            return
        self.saved.append(prefix + module)
        for other in beside:
            yield _BEFORE + prefix + other, source.model(other, source.difference(other))

    def settings(self, rank: int, base: str) -> dict[str, Any]:
        """adapter_config.json."""
        return {
            "alpha_pattern": {},
            "base_model_name_or_path": base,
            "bias": "lora_only" if self.bias else "none",
            "fan_in_fan_out": self.transposed,
            "inference_mode": True,
            "init_lora_weights": True,
            "lora_alpha": rank,
            "lora_dropout": 0.0,
            "modules_to_save": self.saved or None,
            "peft_type": "LORA",
            "r": rank,
            "rank_pattern": {},
            "target_modules": self.targets,
            "task_type": None,
            "use_dora": False,
            "use_rslora": False,
        }


def _is_embedding(module: str) -> bool:
    last = module.rpartition(".")[2]
    return "embed" in last or last in _EMBEDDINGS


def _is_float(source: Source, name: str) -> bool:
    """Whether a tensor is of the base's shape and a float there. Raises AdapterError where it is none of the base."""
    ours, theirs = source.held.records[name], source.base.records.get(name)
    if theirs is None or theirs.shape != ours.shape:
        raise AdapterError(
            f"{location(ours.path, name)} is not in the base ({location(source.base.path)}) with this shape: name the "
            "base that it was made from"
        )
    return DTYPES[theirs.dtype].is_float and DTYPES[ours.dtype].is_float


def _is_transposed(base: Checkpoint) -> bool:
    """Whether the configuration beside the base says that its linear layers hold [in, out]."""
    from mergealgebra.disk import read_file

    try:
        said = json.loads(read_file(base.path / "config.json", _MAX_CONFIG)) if base.folder else {}
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, Mapping) and said.get("model_type") in _TRANSPOSED


def _write(out: Path, tensors: Mapping[str, Host], settings: Mapping[str, Any]) -> None:
    """Write both files; the settings come last, without which nobody takes the folder for an adapter."""
    from mergealgebra.disk import folder_made, refused_as_output

    names = sorted(tensors, key=str.encode)
    header = canonical_header((n, name_of(tensors[n]), tensors[n].shape, tensors[n].nbytes) for n in names)
    with folder_made(out), refused_as_output(out):
        path = out / ADAPTER
        try:
            with path.open("xb") as file:
                file.write(header)
                for name in names:
                    file.write(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
            (out / ADAPTER_CONFIG).write_text(
                json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
        except BaseException:
            for written in (path, out / ADAPTER_CONFIG):
                written.unlink(missing_ok=True)
            raise


def in_words(done: Extraction) -> dict[str, str]:
    """What was written, as people read it."""
    worst = max(done.errors, key=lambda name: done.errors[name], default=None)
    return {
        "rank": str(done.rank),
        "matrices": f"{len(done.errors)}",
        "lacking": f"{done.error:.2%} of the whole change (relative Frobenius error)",
        **({"most of": f"{done.errors[worst]:.2%} of {shown(worst)}"} if worst else {}),
        **({"whole": listed(map(shown, done.whole))} if done.whole else {}),
        **({"left out": listed(map(shown, done.left_out))} if done.left_out else {}),
    }
