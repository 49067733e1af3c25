"""The programs that the merge is compared with: mergekit and peft, in a virtual environment of their own."""

from __future__ import annotations

import json
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import run
from ours import Models

HERE = Path(__file__).resolve().parent
#: Before everything else: with this version a CPU build of torch is found, a later choice may pull in CUDA.
TORCH = "torch==2.13.0"
#: No program may look for models or news elsewhere while it is measured.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
PACKAGES = ["mergekit", "peft", "torch"]
#: Also the faster way for bf16: computing in float32 took a tenth longer.
MERGEKIT_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def make_environment(folder: Path) -> Path:
    """Make the environment unless it is there; a few minutes and 1.5 GB. Returns the folder."""
    done = folder / "installed"
    if not done.exists():
        print("installing mergekit and peft in an environment of their own (a few minutes)", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        run([*pip, TORCH])
        constraints = folder / "constraints.txt"
        constraints.write_text(TORCH + "\n")
        run([*pip, "--constraint", constraints, "--requirement", HERE / "peers-requirements.txt"])
        done.touch()
    return folder


def versions(environment: Path) -> dict[str, str]:
    """The versions of the peers, and of the torch that they use."""
    code = "import json, sys; from importlib.metadata import version; print(json.dumps([*map(version, sys.argv[1:])]))"
    found = json.loads(run([environment / "bin" / "python", "-c", code, *PACKAGES]))
    return dict(zip(PACKAGES, found, strict=True))


def mergekit(environment: Path, models: Models, out: Path, density: str, threads: int) -> list[str | Path]:
    """The command that merges with `mergekit-yaml` by TIES; writes its configuration beside `out`."""
    each = {"weight": 1.0, "density": float(density)}
    wanted = {
        "merge_method": "ties",
        "base_model": str(models.base),
        "dtype": MERGEKIT_DTYPES[models.dtype],
        "parameters": {"normalize": True, "lambda": 1.0},
        "models": [{"model": str(path), "parameters": each} for path in models.finetunes],
    }
    return mergekit_with(environment, wanted, out, threads)


def mergekit_with(environment: Path, wanted: Mapping[str, Any], out: Path, threads: int) -> list[str | Path]:
    """The command that merges as a configuration says; writes it beside `out`."""
    config = out.with_suffix(".yaml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(wanted))  # JSON is YAML
    # Nothing but the merge: no tokenizer, no model card, no bar; and the threads that the others have.
    options = ["--quiet", "--no-copy-tokenizer", "--no-write-model-card", "--num-threads", str(threads)]
    return [environment / "bin" / "mergekit-yaml", config, out, *options]


def peft(environment: Path, models: Models, out: Path, density: str, threads: int) -> list[str | Path]:
    """The command that merges with peft's function."""
    options = ["--density", density, "--threads", str(threads), "--out", out]
    return [environment / "bin" / "python", HERE / "peft_ties.py", *options, *models.paths]
