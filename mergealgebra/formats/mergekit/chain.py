"""Several merges in one mergekit file, each made from earlier ones, and the locks that tell so [MK-14].

OUT.steps/NAME       the models of the merges with a name, each with its lock
OUT/step-NAME.lock   a copy of each lock, so that OUT says by itself what it was made of
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from mergealgebra.errors import LockError, RecipeError
from mergealgebra.execution import Execution
from mergealgebra.formats.mergekit.document import Document
from mergealgebra.formats.mergekit.grammar import read_file
from mergealgebra.formats.mergekit.merging import CONFIG, How, merge_document
from mergealgebra.formats.mergekit.nodes import Where
from mergealgebra.formats.mergekit.opening import Opener
from mergealgebra.formats.mergekit.translation import kind_of
from mergealgebra.lock import Lock, Verification, tensors_root
from mergealgebra.merge_result import MergeResult
from mergealgebra.model_folder.output import refuse_occupied
from mergealgebra.tensors.dtypes import DTYPES
from mergealgebra.tensors.single_file import is_single_file
from mergealgebra.text import listed, shown

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_PREFIX: Final = "step-"
_SUFFIX: Final = ".lock"


def merge_chain(
    config: Path, documents: Sequence[Document], out: Path, execution: Execution, source: bytes, how: How
) -> MergeResult:
    """Merge all documents of a file, each after those that it names; the last one is the model. Raises RecipeError.

    What has a name stays in OUT.steps.
    """
    if is_single_file(out):
        raise Where(config).refuse(
            f"it has {len(documents)} merges, which need a folder: name one, without .safetensors"
        )
    steps, last = in_order(config, documents)
    folder = out.with_name(f"{out.name}.steps")
    places = [*(folder / document.name for document in steps), out]
    for place in places:
        refuse_occupied(place)
    _look_first(config, documents)
    made: dict[str, Path] = {}
    locks: dict[str, bytes] = {}
    warnings: list[str] = []
    with _removed_on_failure(made, folder):
        for document, place in zip((*steps, last), places, strict=True):
            beside = dict(locks) if document is last else {}
            with ExitStack() as opened:
                opener = Opener(config, opened, made)
                result = merge_document(document, place, execution, opener, source, how, beside)
            made[document.name] = place
            locks[f"{_PREFIX}{document.name}{_SUFFIX}"] = result.lock.to_bytes()
            warnings += result.warnings
    return replace(result, warnings=warnings)


def _look_first(config: Path, documents: Sequence[Document]) -> None:
    """Open all models that are there before the first merge. Raises as `Opener.held` and `kind_of` do."""
    names = {document.name for document in documents}
    for document in documents:
        kind_of(document)
        with ExitStack() as opened:
            opener = Opener(config, opened)
            for reference in document.references():
                if reference.path not in names:
                    opener.held(reference)


@contextmanager
def _removed_on_failure(made: Mapping[str, Path], folder: Path) -> Iterator[None]:
    """Remove what was made where the body raises: it would stand in the way of the next try."""
    try:
        yield
    except BaseException:
        for place in made.values():
            shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # it is not there, or has other models
            folder.rmdir()
        raise


def in_order(config: Path, documents: Sequence[Document]) -> tuple[list[Document], Document]:
    """The merges, each after those that it names, and the one that no other names. Raises RecipeError."""
    named: dict[str, Document] = {}
    for document in documents:
        if document.name and not _NAME.fullmatch(document.name):
            raise document.where.refuse(f"`name: {document.name}` cannot name a folder; use letters, digits, . _ and -")
        if document.name and named.setdefault(document.name, document) is not document:
            raise document.where.refuse(f"`name: {document.name}` stands twice; each merge needs a name of its own")
    used = {id(document): [r.path for r in document.references() if r.path in named] for document in documents}
    ends = [document for document in documents if not any(document.name in names for names in used.values())]
    if len(ends) != 1:
        what = listed(shown(document.name or "a merge without a name") for document in ends) if ends else "none"
        raise Where(config).refuse(
            f"expected one merge that no other is made from, which is then the model, and found {what}: name each "
            "merge, and name it as a model in another"
        )
    found: list[Document] = []
    open_: list[str] = []

    def visit(document: Document) -> None:
        if document in found:
            return
        if document.name in open_:
            raise document.where.refuse(f"{shown(document.name)} is made from itself; a merge names earlier ones")
        open_.append(document.name)
        for name in used[id(document)]:
            visit(named[name])
        open_.pop()
        found.append(document)

    visit(ends[0])
    return found[:-1], ends[0]


def steps_of(model: Path) -> dict[str, Lock]:
    """The locks of the merges that a model was made from, by their names. Raises LockError as `Lock.read_file` does."""
    found = {}
    for path in sorted(model.glob(f"{_PREFIX}*{_SUFFIX}")) if model.is_dir() else ():
        name = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        found[name] = Lock.read_file(path)
    return found


def broken_links(model: Path, last: Lock) -> Iterator[str]:
    """A line for each earlier merge whose model no later lock names. Raises LockError as `steps_of` does."""
    steps = steps_of(model)
    for name, lock in steps.items():
        others: Mapping[str, Lock] = {**{n: one for n, one in steps.items() if n != name}, "": last}
        roots = {root for one in others.values() for root in (one.base, *(c.tensors for c in one.contributions))}
        if roots.isdisjoint(_roots(lock)):
            yield (
                f"{_PREFIX}{name}{_SUFFIX} describes a model that no other lock here names as base or contribution: it "
                "was merged by layers or tokens, or is not of this history"
            )


def _roots(lock: Lock) -> set[str]:
    """Under which roots a merged model is known: as a base, and as a contribution, which has floats alone."""
    floats = {name: tensor for name, tensor in lock.tensors.items() if DTYPES[tensor.dtype].is_float}
    return {lock.model_root, tensors_root(floats)}


def chain_checked(model: Path, found: Verification) -> Verification:
    """What was found of a model, and of the merges that it was made from [MK-14]."""
    if not found.ok:
        return found
    try:
        remarks = [*_missing(model)]
        if any(model.glob(f"{_PREFIX}*{_SUFFIX}")):
            remarks += broken_links(model, Lock.read(model))
    except LockError as error:
        return replace(found, problem=str(error))
    return replace(found, remarks=(*found.remarks, *remarks))


def _missing(model: Path) -> Iterator[str]:
    """A line for each earlier merge that the file beside the model has, and whose lock is not there."""
    config = model / CONFIG
    try:
        documents = read_file(config) if config.is_file() else []
        steps = in_order(config, documents)[0] if len(documents) > 1 else []
    except RecipeError as error:
        yield f"what the model was made from cannot be told: {error}"
        return
    for document in steps:
        lock = f"{_PREFIX}{document.name}{_SUFFIX}"
        if not (model / lock).is_file():
            yield f"{lock} is missing, and {CONFIG} has a merge of this name: nothing tells what that was made of"
