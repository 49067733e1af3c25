"""A mergekit file with one merge or several, merged [MK-1, MK-14]."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from mergealgebra import disk
from mergealgebra.execution import Execution
from mergealgebra.formats.mergekit.chain import merge_chain
from mergealgebra.formats.mergekit.grammar import read_file
from mergealgebra.formats.mergekit.merging import AS_IT_IS, How, merge_document
from mergealgebra.formats.mergekit.opening import Opener
from mergealgebra.merge_result import MergeResult
from mergealgebra.yaml_text import MOST_BYTES


def merge_file(config: Path, out: Path, execution: Execution = Execution(), how: How = AS_IT_IS) -> MergeResult:
    """Merge as a mergekit file says. Raises RecipeError, naming file and line, and as `merge_document` does."""
    documents = read_file(config)
    source = disk.read_file(config, MOST_BYTES)
    if len(documents) > 1:
        return merge_chain(config, documents, out, execution, source, how)
    with ExitStack() as opened:
        return merge_document(documents[0], out, execution, Opener(config, opened), source, how)
