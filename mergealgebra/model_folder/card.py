"""The card of a merged model: which models were merged, by whom, how, and how to check it [LK-1, LK-8].

It is for people, and no root or lock covers it. What strangers wrote stands in it as text alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from mergealgebra.algebra.decimals import from_hex, shortest
from mergealgebra.credits import UNKNOWN, Credit, hub_name, titles
from mergealgebra.errors import DecimalError, RecipeError
from mergealgebra.lock import Lock
from mergealgebra.lock_file import LockedContribution
from mergealgebra.methods.settings import SETTINGS, lines
from mergealgebra.model_folder.additions import MERGEKIT_CONFIG
from mergealgebra.model_folder.base_config import BaseConfig, base_config
from mergealgebra.model_folder.licenses import Agreed, agreed
from mergealgebra.recipe import recipe_from_map
from mergealgebra.tensors.checkpoint import Checkpoint
from mergealgebra.tensors.file_names import LOCK
from mergealgebra.text import listed, printable, printable_lines, shortened

#: The most characters that are shown of what a stranger calls a model.
_MOST_TITLE: Final = 100
#: The same of what was left out of it.
_MOST_REMARK: Final = 1000
#: What Markdown, HTML or a table could act on; an underscore inside a word, and most colons, do nothing.
_ACTIVE: Final = re.compile(r"[&<>|*`\[\]\\~$#!@\"=^{}]|:(?=/)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: What YAML reads as this text, without quotes.
_PLAIN: Final = re.compile(r"[a-z][a-z_]*|[a-z][a-z_-]*-\d[\d.]*")
#: Digits of an id that stand for it beside a name.
_SHORT: Final = 12
#: The last second of the year 9999: later ones have no date.
_LAST_DATE: Final = 253_402_300_799


_VERIFY: Final = f"    mergealgebra verify .                        # is each tensor here the one that {LOCK} names?"
_WHAT_IS_CHECKED: Final = (
    "Whoever merges the same models by the same recipe gets the same bits. This page is not covered by the check: what "
    "models\nand people are called here is what they or their folders say."
)


@dataclass(frozen=True)
class Made:
    """How a model was made, as its card tells it: how to use its recipe, and how to check it."""

    use: str
    check: str


IN_WORKSPACE: Final = Made(
    "Saved as `recipe.yaml`: `mergealgebra -C WORKSPACE resolve OUT --recipe recipe.yaml`.",
    f"{_VERIFY}\n"
    "    mergealgebra verify . --against WORKSPACE    # merges again, from the models themselves, and compares",
)
AT_ONCE: Final = Made(
    "In `merge.yaml`, with `base` and `models`, the paths of these: `mergealgebra merge merge.yaml OUT`.",
    f"{_VERIFY}\n\n"
    "To merge again, run `mergealgebra merge` with the same file into another folder: the model root is the same.",
)


def model_card(
    lock: Lock,
    base: Checkpoint,
    credits_: Mapping[str, Credit],
    made: Made = IN_WORKSPACE,
    files: Container[str] = (),
) -> bytes:
    """A README.md. credits_: what is known of the contributions, by their ids; it may lack some.

    files: the names of those that were written beside it.
    """
    config = base_config(base.folder) if base.folder else BaseConfig()
    hub = hub_name(base.path.absolute()) or config.hub_name
    known = {c.id: credits_.get(c.id, UNKNOWN) for c in lock.contributions}
    origins = [one for credit in known.values() for one in credit.parents]
    parents = [hub, *sorted(one.hub for one in origins)]
    terms = agreed(base, [known[id_] for id_ in sorted(known)])
    parts = [_front_matter(parents, config, terms), "# A merged model"]
    parts.append(
        _summary(lock, hub or titles([base.path])[0], [one.title for c in known.values() for one in c.stacked])
    )
    parts += ["## Models", _models(lock.contributions, known), *_remarks(lock.contributions, known)]
    parts += ["## Recipe", _in_words(lock.recipe), f"```yaml\n{_recipe_file(lock.recipe)}```"]
    parts.append(_of_mergekit(lock.recipe) if MERGEKIT_CONFIG in files else made.use)
    parts += ["## Check it", made.check, _WHAT_IS_CHECKED]
    parts += ["## Ids", _ids(lock, known)]
    return (printable_lines("\n\n".join(parts)) + "\n").encode()


def _front_matter(parents: Iterable[str], config: BaseConfig, terms: Agreed) -> str:
    """The block of YAML that the Hugging Face hub reads. parents: names there of the base and the models, or empty."""
    named = list(dict.fromkeys(filter(None, parents)))
    lines = ["base_model:", *(f"- {name}" for name in named)] if named else []
    lines.append("base_model_relation: merge")
    lines += [f"{key}: {_yaml(value)}" for key, value in terms.keys]
    if config.is_transformers:
        lines.append("library_name: transformers")
    return "\n".join(["---", *lines, "tags:", "- merge", "- mergealgebra", "---"])


def _of_mergekit(recipe: Mapping[str, Any]) -> str:
    """How to use a file of mergekit's again: it says what no recipe does, such as which layers are stacked."""
    as_ = " --as mergekit" if recipe.get("dialect", "").startswith("mergekit") else ""
    return (
        f"It was made from a configuration of mergekit: [{MERGEKIT_CONFIG}]({MERGEKIT_CONFIG}). Where the models are "
        f"that it names: `mergealgebra merge {MERGEKIT_CONFIG} OUT{as_}`."
    )


def _summary(lock: Lock, base: str, stacked: Iterable[str]) -> str:
    count = len(lock.contributions)
    models = "one fine-tuned model" if count == 1 else f"{count} fine-tuned models"
    origin = f"{models} of the base **{as_markdown(base)}**"
    if layers := sorted(set(stacked)):
        origin = f"layers of {listed(f'**{as_markdown(title)}**' for title in layers)}"
    made = f"Made with mergealgebra from {origin}, by the method {as_markdown(lock.recipe['method'])}."
    if not _some_left_out(lock.contributions):
        return made
    return (
        f"{made} Of all the parameters of the models, {_percent(_share(lock.contributions))} were kept (achieved "
        f"density {as_markdown(lock.achieved_density)})."
    )


def _models(contributions: Sequence[LockedContribution], known: Mapping[str, Credit]) -> str:
    """A row for each: what it is called, who made it when, its coefficient; how much was kept, if not all of all."""
    told = _some_left_out(contributions)
    contributions = sorted(contributions, key=lambda c: (known[c.id].title, c.id))
    columns = {
        "model": [_title(c.id, known[c.id]) for c in contributions],
        "author": [as_markdown(known[c.id].author) for c in contributions],
        "date": [_date(known[c.id].time) for c in contributions],
        "coefficient": [shortest(from_hex(c.coefficient)) for c in contributions],
        "kept": [f"{c.kept:,} of {c.elements:,}" if told else "" for c in contributions],
        "density": [_percent(_share([c])) if told else "" for c in contributions],
    }
    return _table({heading: cells for heading, cells in columns.items() if any(cells)})


def _remarks(contributions: Sequence[LockedContribution], known: Mapping[str, Credit]) -> list[str]:
    """A list of what was left out of each model, or taken for another, if there is any."""
    told = sorted((_title(c.id, known[c.id]), remark) for c in contributions for remark in known[c.id].remarks)
    lines = [f"- {title}: {as_markdown(remark, _MOST_REMARK)}" for title, remark in told]
    return ["\n".join(lines)] if lines else []


def _ids(lock: Lock, known: Mapping[str, Credit]) -> str:
    whole = {"base": lock.base, "merge id": lock.merge_id, "model root": lock.model_root}
    contributions = {
        "model": [_title(c.id, known[c.id]) for c in lock.contributions],
        "form": [as_markdown(c.form) for c in lock.contributions],
        "contribution": [f"`{c.id}`" for c in lock.contributions],
    }
    return "\n".join(f"- {what}: `{id_}`" for what, id_ in whole.items()) + "\n\n" + _table(contributions)


def _table(columns: Mapping[str, Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _title(id_: str, credit: Credit) -> str:
    return as_markdown(credit.title) or f"`{id_[:_SHORT]}`"


def _date(time: int | None) -> str:
    """The day in UTC. It is what the contributor's clock said, if anything."""
    if time is None or time > _LAST_DATE:
        return ""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _some_left_out(contributions: Iterable[LockedContribution]) -> bool:
    """Whether `kept` says anything: most methods keep all, though what comes of it may be masked or elected [LK-2]."""
    return any(one.kept < one.elements for one in contributions)


def _share(contributions: Iterable[LockedContribution]) -> Fraction:
    contributions = list(contributions)
    elements = sum(c.elements for c in contributions)
    return Fraction(sum(c.kept for c in contributions), elements) if elements else Fraction(0)


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.2f}%"


def as_markdown(text: str, most: int = _MOST_TITLE) -> str:
    """A stranger's text as text: nothing in it is Markdown, HTML or the end of a cell, and all is on one line.

    >>> as_markdown("my_model <b>| [x](http://y)")
    'my_model &#60;b&#62;&#124; &#91;x&#93;(http&#58;//y)'
    """
    return _ACTIVE.sub(lambda found: f"&#{ord(found[0])};", shortened(printable(text), most))


def _recipe_file(recipe: Mapping[str, Any]) -> str:
    """The recipe as YAML, a line for each key; decimals in quotes, so that all readers take them for text [RC-7]."""
    written = [f"{_yaml(key)}: {_yaml(text)}" for key, text in recipe.items() if key != SETTINGS]
    written += [f"{SETTINGS}:"] if SETTINGS in recipe else []
    for entry in recipe.get(SETTINGS, ()):
        written += [f"{' ' if n else '-'} {_yaml(key)}: {_yaml(value)}" for n, (key, value) in enumerate(entry.items())]
    return "\n".join(written) + "\n"


def _yaml(value: str | list[str]) -> str:
    """A text, or a list of them; letters beyond ASCII as they are, which JSON would write as halves."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _settings(recipe: Mapping[str, Any]) -> str:
    """What some tensors have instead, a line for each entry; empty where there is none."""
    entries = [f"- {as_markdown(line, _MOST_REMARK)}" for line in lines(recipe.get(SETTINGS, ()))]
    told = "Some tensors have numbers of their own; where several lines match a name, the first counts:"
    return "\n".join(["", "", told, "", *entries]) if entries else ""


def _in_words(recipe: Mapping[str, Any]) -> str:
    """What a recipe does, for somebody who never read the paper."""
    return _everywhere(recipe) + _settings(recipe)


def _everywhere(recipe: Mapping[str, Any]) -> str:
    words = ""
    with suppress(RecipeError, DecimalError):  # the card of a lock that was never checked says what it can
        words = recipe_from_map(recipe).in_words
    if not words:
        return f"The method {as_markdown(recipe['method'])}, with these settings:"
    added = f" {_lambda(recipe['lambda'])}" if "lambda" in recipe else ""
    return f"{words}{added}"


def _lambda(lambda_: str) -> str:
    return f"The result{'' if lambda_ == '1' else f', times {lambda_},'} is added to the base."
