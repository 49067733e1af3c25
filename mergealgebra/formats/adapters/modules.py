"""Which tensors of the base an adapter's modules are, found among the base's own names [AD-4]."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from mergealgebra.errors import AdapterError
from mergealgebra.text import listed, shown

#: How names begin in an adapter for several models, and in the base: in a folder of parts, or in one file.
_PLACES: Final = MappingProxyType(
    {
        "unet": ("unet/", "transformer/", "model.diffusion_model.", "diffusion_model.", ""),
        "transformer": ("transformer/", "model.diffusion_model.", "diffusion_model.", "transformer.", ""),
        "diffusion_model": ("model.diffusion_model.", "diffusion_model.", "unet/", "transformer/", ""),
        "model.diffusion_model": ("model.diffusion_model.", "diffusion_model.", "unet/", "transformer/", ""),
        "te": ("text_encoder/", "cond_stage_model.transformer.", ""),
        "te1": ("text_encoder/", "conditioner.embedders.0.transformer.", "text_encoders.clip_l.transformer.", ""),
        "te2": ("text_encoder_2/", "conditioner.embedders.1.transformer.", "text_encoders.clip_g.transformer.", ""),
        "te3": ("text_encoder_3/", ""),
        "text_encoder": ("text_encoder/", "cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", ""),
        "text_encoder_2": ("text_encoder_2/", "conditioner.embedders.1.transformer.", ""),
        "text_encoder_3": ("text_encoder_3/", ""),
    }
)
_WRAPPERS: Final = ("base_model.model.", "base_model.")
#: Before kohya's names, whose points are underscores.
_FLAT: Final = "lora_"


class BaseNames:
    """The base's names, asked for those of an adapter's modules. where: the adapter, as messages name it."""

    def __init__(self, names: Collection[str], where: str) -> None:
        self._names, self._where = frozenset(names), where

    def resolve(self, wanted: Collection[str]) -> dict[str, str]:
        """The base's name of each tensor wanted, all found in one and the same way in each part of the model.

        wanted: names as the adapter has them, without its wrapper. Raises AdapterError where one is not found, or where
        it could be several.
        """
        found: dict[str, str] = {}
        for place, rest in _by_place(wanted).items():
            found |= self._resolve_in(place, rest)
        return found

    def _resolve_in(self, place: tuple[str, bool], wanted: Mapping[str, str]) -> dict[str, str]:
        """wanted: the adapter's names, with what follows the place in each."""
        name, flat = place
        best: dict[str, str] = {}
        answers: list[dict[str, str]] = []
        for begin in _PLACES.get(name, ("",)):
            for way in [self._flat(begin, wanted)] if flat else self._ways(begin, wanted):
                if len(way) == len(wanted) and way not in answers:
                    answers.append(way)
                best = way if len(way) > len(best) else best
            if answers:
                break
        if len(answers) > 1 and answers[0] != self._plain(_PLACES.get(name, ("",))[0], wanted):
            one = next(iter(wanted))
            several = listed(sorted(shown(answer[one]) for answer in answers))
            raise AdapterError(
                f"{self._where}: {shown(one)} could be several tensors of the base, {several}: merge it with peft"
            )
        if not answers:
            raise AdapterError(self._not_found(wanted, best))
        return answers[0]

    def _not_found(self, wanted: Mapping[str, str], best: Mapping[str, str]) -> str:
        missing = [name for name in wanted if name not in best]
        more = f", nor are {len(missing) - 1} more of {len(wanted)}" if len(missing) > 1 else ""
        example = shown(min(self._names)) if self._names else "nothing"
        return (
            f"{self._where}: {shown(missing[0])} is not in the base{more}, whose names are like {example}: name the "
            "base that the adapter was trained on, under the names that it had then"
        )

    def _ways(self, begin: str, wanted: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """The names as they are, without their first parts, and with the first parts that the base's have."""
        yield self._plain(begin, wanted)
        for cut in (1, 2):
            shorter = {name: ".".join(rest.split(".")[cut:]) for name, rest in wanted.items()}
            yield self._plain(begin, shorter)
        for first in self._firsts:
            yield self._plain(begin + first, wanted)

    def _plain(self, begin: str, wanted: Mapping[str, str]) -> dict[str, str]:
        return {name: begin + rest for name, rest in wanted.items() if begin + rest in self._names}

    def _flat(self, begin: str, wanted: Mapping[str, str]) -> dict[str, str]:
        """Names whose points are underscores. Raises AdapterError where several of the base's names become one."""
        flat: dict[str, list[str]] = {}
        for name in self._names:
            if name.startswith(begin):
                flat.setdefault(_flattened(name.removeprefix(begin)), []).append(name)
        found = {}
        for name, rest in wanted.items():
            names = sorted(flat.get(_flattened(rest), []))
            if len(names) > 1:
                raise AdapterError(
                    f"{self._where}: {shown(name)} could be several tensors of the base, {listed(map(shown, names))}: "
                    "write it with points for underscores"
                )
            if names:
                found[name] = names[0]
        return found

    @cached_property
    def _firsts(self) -> list[str]:
        """The first part of the base's names, and the first two."""
        parts = [name.split(".") for name in self._names]
        firsts = {".".join(name[:count]) + "." for name in parts for count in (1, 2) if len(name) > count + 1}
        return sorted(first for first in firsts if not any(part.isdigit() for part in first.split(".")))


def unwrapped(name: str) -> str:
    """A name without what peft puts before it and in it.

    >>> unwrapped("base_model.model.model.embed_tokens.base_layer.weight")
    'model.embed_tokens.weight'
    """
    for wrapper in _WRAPPERS:
        if name.startswith(wrapper):
            name = name.removeprefix(wrapper)
            break
    return name.replace(".base_layer.", ".").replace(".modules_to_save.default.", ".").replace(".modules_to_save.", ".")


def _flattened(name: str) -> str:
    """kohya's name of a tensor: the module's points are underscores, the last part stays."""
    module, _, last = name.rpartition(".")
    return f"{module.replace('.', '_')}.{last}"


def _by_place(wanted: Iterable[str]) -> dict[tuple[str, bool], dict[str, str]]:
    """The names by where in the model they are, and whether they are flat; each with what follows that."""
    found: dict[tuple[str, bool], dict[str, str]] = {}
    for name in wanted:
        place, rest, flat = _place_of(name)
        found.setdefault((place, flat), {})[name] = rest
    return found


def _place_of(name: str) -> tuple[str, str, bool]:
    flat = name.startswith(_FLAT)
    begin, joint = (_FLAT, "_") if flat else ("", ".")
    for place in sorted(_PLACES, key=len, reverse=True):
        if name.startswith(f"{begin}{place}{joint}"):
            return place, name.removeprefix(f"{begin}{place}{joint}"), flat
    return "", name.removeprefix(begin), flat
