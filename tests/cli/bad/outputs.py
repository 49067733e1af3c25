"""Places where no model can be written, and machines that cannot compute one."""

from __future__ import annotations

from pathlib import Path

from tests.cli.bad.case import Case, Step


def _file(scene: Path) -> None:
    (scene / "out").write_text("mine")


def _folder(scene: Path) -> None:
    (scene / "out").mkdir()
    (scene / "out" / "thesis.txt").write_text("mine")


def _link(target: str) -> Step:
    return lambda scene: (scene / "out").symlink_to(target)


def _no_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return True
    return not torch.cuda.is_available()


def _occupied(verb: str) -> dict[str, Case]:
    advice = ("out exists and is not an empty folder", "choose another name")
    return {
        "a file": Case(verb, advice, _file, ("LK-1",)),
        "a folder with something in it": Case(verb, advice, _folder, ("LK-1",)),
        "a link to an empty folder": Case(verb, advice, lambda s: ((s / "e").mkdir(), _link("e")(s)), ("LK-1",)),
        "a link to nothing": Case(verb, advice, _link("nowhere"), ("LK-1",)),
        "below a file": Case(f"{verb}/x", ("out", "cannot be written"), _file, ("LK-1",)),
        "a name that is too long": Case(verb + "o" * 300, ("cannot be written", "name too long"), clauses=("LK-1",)),
    }


def _leaving_link(scene: Path) -> None:
    (scene / "secret").write_text("secret")
    (scene / "base" / "LICENSE-2").symlink_to("../secret")


OUTPUTS = {
    **{
        f"the base has a file from elsewhere, {line.split()[-2]}": Case(
            line,
            ("base/LICENSE-2 is a link to", "/secret, outside the model's folder", "put a copy", "remove the link"),
            _leaving_link,
            ("LK-1",),
        )
        for line in ("merge merge.yaml out", "-C alice resolve out")
    },
    **{f"OUT is {name}, merge": case for name, case in _occupied("merge merge.yaml out").items()},
    **{f"OUT is {name}, resolve": case for name, case in _occupied("-C alice resolve out").items()},
    **{
        f"torch-cuda without CUDA, {line.split()[-2]}": Case(
            f"{line} --backend torch-cuda",
            ("'torch-cuda'", "CUDA device", "use 'torch' or 'numpy'"),
            clauses=("MG-8",),
            skip="" if _no_cuda() else "this machine has CUDA",
        )
        for line in ("merge merge.yaml out", "-C alice resolve out", "verify merged --against alice")
    },
    **{
        f"too little memory, {line.split()[-2]}": Case(
            f"{line} --memory 1000", ("memory: 1,000 bytes are too few", "raise --memory"), clauses=("MG-8",)
        )
        for line in ("merge merge.yaml out", "-C alice resolve out")
    },
}
