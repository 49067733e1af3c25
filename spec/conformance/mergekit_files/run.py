"""Run mergekit 0.1.5 and the dialect on the files in `files`, and write docs/mergekit-table.md.

    python spec/conformance/mergekit_files/run.py [--work FOLDER] [--python PYTHON] [--by-command] [NAME ...]

`make mergekit-files` makes the environment and calls this. mergekit runs as another program, once for each file; what
it wrote is kept in FOLDER and not made again. Exits with 1 if a file that is not in SHORT has less than SHARE of its
elements within one unit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
sys.path.insert(0, str(FOLDER))

import models  # noqa: E402
import reading  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

#: Of the elements of each file, apart from ties, how many are to be within one unit in the last place.
SHARE = 0.9999

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Row:
    """How one file came out. Elements, those that tie apart; equal; within one unit; the most units."""

    file: str
    method: str
    dtype: str
    elements: int
    tied: int
    equal: int
    near: int
    most: int

    @property
    def judged(self) -> int:
        """The elements that do not tie."""
        return self.elements - self.tied

    @property
    def short(self) -> bool:
        """Whether too few elements are within one unit."""
        return self.near < SHARE * self.judged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "mergekit-files"))
    parser.add_argument("--python", type=Path, default=ROOT / ".venvs" / "mergekit-0.1.5" / "bin" / "python")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "mergekit-table.md")
    parser.add_argument("--by-command", action="store_true", help="ask `mergealgebra merge`, not the equations alone")
    parser.add_argument("names", nargs="*", help="of files; all if left out, and only then the table is written")
    options = parser.parse_args()
    work = options.work.absolute()
    if not (work / "mixtral").exists():
        models.write(work)
    files = [file for file in sorted(FOLDER.glob("files/*.yml")) if not options.names or file.stem in options.names]
    rows = [compared(file, work, options.python.absolute(), command=options.by_command) for file in files]
    if not options.names:
        options.out.write_text("\n".join(page(rows)), encoding="utf-8")
    short = {row.file for row in rows if row.short}
    print(f"{len(rows)} files, {len(rows) - len(short)} within one unit; not: {', '.join(sorted(short)) or 'none'}")
    raise SystemExit(bool(short - SHORT.keys()))


def compared(file: Path, work: Path, python: Path, *, command: bool) -> Row:
    """One file through both. command: whether ours is what the command makes of it, or else the equations alone."""
    theirs, masks = asked(file, work, python)
    merged = reading.merge(file, work, masks, theirs.keys())
    ours, tied = by_command(file, work, masks, theirs) if command else merged.tensors, merged.tied
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    if missing := theirs.keys() - ours.keys():
        raise SystemExit(f"{file.name}: missing tensors: {missing}")
    counts = np.zeros(4, np.int64)
    most = 0
    for name, wanted in theirs.items():
        found, apart = ours[name], tied[name]
        if found.dtype != wanted.dtype or found.shape != wanted.shape:
            raise SystemExit(f"{file.name}: {name}: {found.dtype} {found.shape}, not {wanted.dtype} {wanted.shape}")
        units = np.abs(places(found) - places(wanted))[~apart]
        counts += [wanted.size, int(apart.sum()), int((units == 0).sum()), int((units <= 1).sum())]
        most = max(most, int(units.max(initial=0)))
    row = Row(file.stem, config["merge_method"], config["dtype"], *counts.tolist(), most)
    print(row, flush=True)
    return row


def by_command(file: Path, work: Path, masks: Path, theirs: Mapping[str, Array]) -> Mapping[str, Array]:
    """What `mergealgebra merge --as mergekit` writes. What mergekit lacks has no masks, and stays the base's."""
    out, copy = work / "ours" / file.stem, work / file.name
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(exist_ok=True)
    shutil.copy(file, copy)  # paths in a file are relative to its folder
    command = [sys.executable, "-m", "mergealgebra", "merge", copy, out, "--as", "mergekit"]
    if masks.exists():
        family = next(name for name in models.CONFIGS if f"{name}/" in file.read_text(encoding="utf-8"))
        left = sorted({name for name, _ in models.SHAPES[family]()} - theirs.keys())
        command += ["--masks", masks, *(f"--leave={name}" for name in left)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{file.name}: {done.stderr[-1500:]}")
    return load_file(out / "model.safetensors")


def asked(file: Path, work: Path, python: Path) -> tuple[Mapping[str, Array], Path]:
    """What mergekit writes, and the file of its masks, which is not there if it drew none."""
    out, masks = work / "out" / file.stem, work / "out" / f"{file.stem}.masks.safetensors"
    written = out / "model.safetensors"
    if not written.exists() or written.stat().st_mtime < file.stat().st_mtime:
        out.parent.mkdir(exist_ok=True)
        masks.unlink(missing_ok=True)
        command = [python, "-W", "ignore", FOLDER / "capture.py", file, out, masks]
        quiet = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=work, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{file.name}: mergekit: {done.stderr[-1500:]}")
    return load_file(written), masks


def places(array: Array) -> Array:
    """Numbers so that neighbours differ by 1, and both zeros are 0."""
    bits = array.view({2: np.int16, 4: np.int32, 8: np.int64}[array.itemsize]).astype(np.int64)
    return np.where(bits < 0, -(bits + (1 << (8 * array.itemsize - 1))), bits)


# The table


HEAD = """# What `--as mergekit` computes, against mergekit 0.1.5

{count} files of our own, on tiny models in the shapes of Llama, GPT-2, BERT and Mixtral, were merged by mergekit 0.1.5
and by the dialect of that name. `make mergekit-files` does it again and writes this page.

- *Equal*: the same bits, both zeros alike. *Within one*: at most one unit in the last place of the dtype written.
- *Ties*: elements whose change is the very threshold of a trim, of which a sort takes some; of SCE the same of
  variances; of Arcee Fusion those within a sixty-fourth of the threshold. They are left out.
- DARE and DELLA have the masks that mergekit drew, captured while it ran. Without them they are refused.

{near} of the {count} have at least {share} of their elements within one unit, and {equal} are equal in all of them.
The others:
"""

#: Files that have less, and why.
SHORT = {
    "arcee-fusion-bert": "in float16 the divergence of a row hangs on the last bit of its exponentials, which torch "
    "rounds otherwise",
    "karcher-gpt2-float32": "mergekit's dot products are those of a BLAS, its arc cosines not correctly rounded",
    "nuslerp-mixtral-float32": "torch's sines and arc cosines are not correctly rounded, so that some tensors have "
    "other coefficients in the last place, and what nearly cancels is off by more",
    "sce-llama": "where tied variances are taken otherwise, the weights of that tensor differ in the last place",
    "slerp-gpt2-far": "as nuslerp-mixtral-float32",
}

#: What is not mergekit's, by method.
OURS = {
    "arcee_fusion": "exponentials and logarithms; all elements of a tensor above 1,000,000, of which mergekit samples",
    "breadcrumbs": "which of equal magnitudes is cut",
    "breadcrumbs_ties": "which of equal magnitudes is cut",
    "dare_linear": "nothing, with captured masks",
    "dare_ties": "nothing, with captured masks",
    "della": "nothing, with captured masks",
    "della_linear": "nothing, with captured masks",
    "karcher": "the order in which a dot product adds, arc cosines",
    "multislerp": "sines and cosines of float32",
    "nuslerp": "sines and arc cosines of float32",
    "sce": "which of equal variances is chosen",
    "slerp": "sines and arc cosines of float32",
    "ties": "which of equal magnitudes is kept",
}

FOOT = """
Left open: mergekit adds five or more models in an order of torch's own, and the elements of tensors above 32,768 in as
many parts as it has threads. There float32 may differ by a unit or so. Tensors that mergekit's list of a family lacks,
such as `cls.predictions.transform` of BERT, are not in its output, and not compared.
"""


def page(rows: Sequence[Row]) -> Iterator[str]:
    equal = sum(row.equal == row.elements - row.tied for row in rows)
    short = [row.file for row in rows if row.short]
    yield HEAD.format(count=len(rows), share=f"{100 * SHARE:g}%", near=len(rows) - len(short), equal=equal)
    yield from (f"- `{file}`: {SHORT.get(file, 'not explained')}." for file in short)
    yield "\n| method | files | elements | equal | within one | most units | ties | what is ours |"
    yield "|---|---|---|---|---|---|---|---|"
    for method in sorted({row.method for row in rows}):
        of = [row for row in rows if row.method == method]
        elements = sum(row.judged for row in of)
        yield f"| `{method}` | {len(of)} | {elements:,} | {cells(of)} | {OURS.get(method, 'nothing')} |"
    yield FOOT
    yield "| file | method | dtype | equal | within one | most units | ties |\n|---|---|---|---|---|---|---|"
    for row in rows:
        link = f"../spec/conformance/mergekit_files/files/{row.file}.yml"
        yield f"| [{row.file}]({link}) | `{row.method}` | {row.dtype} | {cells([row])} |"
    yield ""


def cells(rows: Sequence[Row]) -> str:
    """What the files of some rows have together."""
    judged = sum(row.judged for row in rows)
    shares = (percent(sum(row.equal for row in rows) / judged), percent(sum(row.near for row in rows) / judged))
    return " | ".join([*shares, str(max(row.most for row in rows)), str(sum(row.tied for row in rows))])


def percent(share: float) -> str:
    """Rounded down, so that 100% is all."""
    return "100%" if share == 1 else f"{np.floor(share * 1e5) / 1e3:.3f}%"


if __name__ == "__main__":
    main()
