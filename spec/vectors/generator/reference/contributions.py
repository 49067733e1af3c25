"""Contributions: manifest, id, blob [CT]; and the merge of a list of them, from tensors to ids and bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from generator.reference import rounds
from generator.reference.canonical import encode
from generator.reference.competition import competed, important
from generator.reference.decimals import coefficient
from generator.reference.elements import own_bits, thetas_of
from generator.reference.hashes import H, model_root
from generator.reference.recipes import Recipe, complete, read_recipe, recipe_id
from generator.reference.reduction import Merged, Settings, Voter, dropped, left, merge, trim
from generator.reference.refused import Refused
from generator.reference.rounding import F32, Format, convert, is_finite, magnitude
from generator.reference.rows import crumbs, dropped_by_rank
from generator.reference.safetensors import read_file, write_file
from generator.reference.settings import named, numbers_of, plain
from generator.reference.taskvectors import of_contribution
from generator.reference.tensors import Tensor, Tensors, in_name_order, read_tensors, tensor_of_bits

COMMON_KEYS = {"base", "coefficient", "elements", "format", "tensors"}
MANIFEST_KEYS = {1: COMMON_KEYS | {"form"}, 2: COMMON_KEYS | {"forms", "auxiliary"}}
FORMS = ("finetuned", "task_vector")
ALL_FORMS = ("finetuned", "low_rank", "task_vector")
KINDS = ("fisher", "gram")


def manifest(base_root: bytes, form: str, c: int, held: Tensors) -> dict[str, Any]:
    """The manifest of a contribution of one plain form, without auxiliary tensors [CT-2]."""
    return {
        "base": base_root,
        "coefficient": f"{c:08x}",
        "elements": sum(t.elements for t in held.values()),
        "form": form,
        "format": 1,
        "tensors": model_root(held),
    }


def manifest_of(
    base_root: bytes, forms: list[str], c: int, elements: int, stored: Tensors, auxiliary: dict[str, Tensors]
) -> dict[str, Any]:
    """The manifest of any contribution, in the format that CT-2 gives it."""
    common = {"base": base_root, "coefficient": f"{c:08x}", "elements": elements, "tensors": model_root(stored)}
    if len(forms) == 1 and forms[0] in FORMS and not auxiliary:
        return {**common, "form": forms[0], "format": 1}
    kinds = {
        kind: {"elements": sum(t.elements for t in tensors.values()), "root": model_root(tensors)}
        for kind, tensors in auxiliary.items()
    }
    return {**common, "forms": forms, "format": 2, "auxiliary": kinds}


def contribution_id(manifest: dict[str, Any]) -> bytes:
    return H("contribution", encode(manifest))


def is_integer(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def is_root(x: object) -> bool:
    return isinstance(x, bytes) and len(x) == 32


def is_coefficient(x: object) -> bool:
    """Eight lower-case hexadecimal digits of a finite fp32 number that is not zero [CT-4]."""
    if not (isinstance(x, str) and len(x) == 8 and set(x) <= set("0123456789abcdef")):
        return False
    return is_finite(F32, int(x, 16)) and magnitude(F32, int(x, 16)) != 0


def is_count(x: object) -> bool:
    return isinstance(x, int) and is_integer(x) and 0 <= x < 2**63


def is_auxiliary(x: object) -> bool:
    return isinstance(x, dict) and all(
        kind in KINDS
        and isinstance(entry, dict)
        and set(entry) == {"elements", "root"}
        and is_count(entry["elements"])
        and is_root(entry["root"])
        for kind, entry in x.items()
    )


def says_its_forms(x: dict[str, Any]) -> bool:
    """What a manifest says in its format, and could not say in format 1 [CT-2]."""
    if x["format"] == 1:
        return x["form"] in FORMS
    forms = x["forms"]
    if not (isinstance(forms, list) and forms and all(form in ALL_FORMS for form in forms)):
        return False
    plain = len(forms) == 1 and forms[0] in FORMS
    return sorted(set(forms)) == forms and is_auxiliary(x["auxiliary"]) and not (plain and not x["auxiliary"])


def check_manifest(x: Any) -> dict[str, Any]:
    """A manifest as CT-4 wants it."""
    ok = (
        isinstance(x, dict)
        and is_integer(x.get("format"))
        and x["format"] in MANIFEST_KEYS
        and set(x) == MANIFEST_KEYS[x["format"]]
        and is_root(x["base"])
        and is_root(x["tensors"])
        and is_coefficient(x["coefficient"])
        and is_count(x["elements"])
        and says_its_forms(x)
    )
    if not ok:
        raise Refused("ContributionError")
    return dict(x)


def check_blob(root: bytes, blob: bytes) -> dict[str, Tensor]:
    """The tensors of a blob that is accepted under a root [CT-6]."""
    try:
        tensors = read_file(blob)
    except Refused:
        raise Refused("BlobError") from None
    if write_file(tensors) != blob or model_root(tensors) != root:
        raise Refused("BlobError")
    return tensors


@dataclass(frozen=True)
class Contribution:
    """One contribution of a case, with the manifest that it has to that base."""

    form: str
    held: dict[str, Tensor]
    c: int
    manifest: dict[str, Any]
    auxiliary: dict[str, dict[str, Tensor]]

    @property
    def id(self) -> bytes:
        return contribution_id(self.manifest)


def read_contribution(base_root: bytes, spec: Any, method: str | None) -> Contribution:
    """{"form", "coefficient", "tensors"} of a case, and perhaps "auxiliary"."""
    held = read_tensors(spec["tensors"])
    if not held:
        raise Refused("ContributionError")  # CT-5
    c = coefficient(spec["coefficient"], method)
    auxiliary = {kind: read_tensors(tensors) for kind, tensors in spec.get("auxiliary", {}).items()}
    return Contribution(spec["form"], held, c, manifest(base_root, spec["form"], c, held), auxiliary)


def merge_id(base_root: bytes, recipe: bytes, ids: Sequence[bytes]) -> bytes:
    """MG-10."""
    fields = {"base": base_root, "contributions": sorted(ids), "recipe": recipe, "spec": 1}
    return H("merge", encode(fields))


def read_all(
    base: Tensors, contributions: Sequence[Contribution], recipe: Recipe
) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Every task vector, and what it has of F; of several numbers that are no such, the first coordinate is named.

    There, task vectors come before F [MG-6, FM-1].
    """
    vectors, fishers, problems = [], [], []
    for i, contribution in enumerate(contributions):
        for kind, found in enumerate((vectors, fishers)):
            try:
                found.append(read_fisher(contribution, recipe) if kind else vector_of(base, contribution, recipe))
            except Refused as refused:
                if refused.tensor is None or refused.index is None:
                    raise Refused(refused.rule, contribution=i, tensor=refused.tensor) from None
                problems.append((refused.tensor.encode("utf-8"), refused.index, kind, i, refused))
    if problems:
        *_, i, refused = min(problems, key=lambda problem: problem[:4])
        raise Refused(refused.rule, contribution=i, tensor=refused.tensor, index=refused.index)
    return vectors, fishers


def vector_of(base: Tensors, contribution: Contribution, recipe: Recipe) -> dict[str, Tensor]:
    if recipe.on_theta:
        return thetas_of(base, contribution.form, contribution.held)
    return of_contribution(base, contribution.form, contribution.held)


def own_of(base: Tensors, contribution: Contribution) -> dict[str, list[int | None]]:
    """The bits of a model in the base's dtypes [MG-14]."""
    return {name: own_bits(base[name], contribution.form, t) for name, t in contribution.held.items()}


def read_fisher(contribution: Contribution, recipe: Recipe) -> dict[str, Tensor]:
    """F of every element, in fp32; the first that is not finite, or negative, is refused [FM-1]."""
    if recipe.method != "fisher":
        return {}
    given, found = contribution.auxiliary.get("fisher", {}), {}
    for name, held in in_name_order(contribution.held):
        t = given.get(name)
        if t is None or not t.is_float or t.shape != held.shape:
            raise Refused("AuxiliaryError")
    for name, _ in in_name_order(contribution.held):
        t = given[name]
        bits = [fisher(t.fmt, b) for b in t.bits()]
        if None in bits:
            raise Refused("NonFinite", tensor=name, index=t.index(bits.index(None)))
        found[name] = tensor_of_bits("F32", t.shape, [b for b in bits if b is not None])
    return found


def fisher(fmt: Format, stored: int) -> int | None:
    """The bits of F, RN32 of what is stored; None for what is no F. A zero of either sign is one."""
    bits = convert(fmt, stored, F32) if is_finite(fmt, stored) else F32.infinity
    if not is_finite(F32, bits) or (bits & F32.sign_bit and magnitude(F32, bits)):
        return None
    return magnitude(F32, bits)


def voters_of(
    base: Tensors, contributions: Sequence[Contribution], recipe: Recipe, settings: Settings
) -> tuple[list[Voter], list[int]]:
    """The voters of a merge, and the number of elements that the stages left of each; without stages, all [LK-2]."""
    voters, kept = [], []
    for i, (contribution, taus, F) in enumerate(
        zip(contributions, *read_all(base, contributions, recipe), strict=True)
    ):
        taus = {name: t for name, t in taus.items() if settings.counts(contribution.c, name, i)}
        count = sum(t.elements for t in taus.values())
        if recipe.drop is not None:
            drop = dropped if recipe.epsilon is None else dropped_by_rank
            taus = drop(taus, model_root(contribution.held), settings.of(i).recipes)
            count = left(taus)
        if recipe.gamma is not None:
            taus = crumbs(taus, settings.of(i).recipes)
            count = left(taus)
        elif recipe.density is not None:
            taus, count = trim(taus, settings.of(i).recipes)
        elif recipe.method == "arcee_fusion":
            taus = important(base, contribution.c, taus)
            count = left(taus)
        own = own_of(base, contribution) if recipe.on_theta else {}
        voters.append(Voter(contribution.c, taus, F, own))
        kept.append(count)
    return (voters, kept) if recipe.ratio is None else competed(voters, recipe.ratio)


@dataclass(frozen=True)
class Outcome:
    base_root: bytes
    recipe: dict[str, str]
    merge_id: bytes
    contributions: list[Contribution]
    kept: list[int]
    merged: Merged


def settings_of(full: Mapping[str, Any], names: Sequence[str], ids: Sequence[str]) -> Settings:
    """What the float tensors of the base are merged by [ST-2, ST-8]. Entries are for contributions that are there."""
    entries = full.get("settings", [])
    if any(ids.count(one) != 1 for one in named(entries)):
        raise Refused("RecipeError")
    own = {ids.index(one): settings_by(full, numbers_of(entries, names, one)) for one in named(entries)}
    return replace(settings_by(full, numbers_of(entries, names)), own=own)


def settings_by(full: Mapping[str, Any], found: Mapping[str, Mapping[str, Fraction]]) -> Settings:
    recipes = {name: read_recipe(plain(full), numbers) for name, numbers in found.items()}
    return Settings(recipes, {name: numbers.get("coefficient", Fraction(1)) for name, numbers in found.items()})


def merge_contributions(spec: Any) -> Outcome:
    """The merge of a case: {"base", "recipe", "contributions"}, contributions taken in the order of their ids."""
    base, full = read_tensors(spec["base"]), complete(spec["recipe"])
    base_root = model_root(base)
    contributions = [read_contribution(base_root, c, full["method"]) for c in spec["contributions"]]
    if len({c.id for c in contributions}) != len(contributions) and not spec.get("in_memory"):
        raise Refused("DuplicateContribution")
    recipe = read_recipe(full)
    looks_at_base = recipe.method == "arcee_fusion"
    if recipe.out == "F64" and looks_at_base and any(t.is_float and t.dtype != "F64" for t in base.values()):
        raise Refused("RecipeError")
    ids = [c.id for c in contributions]
    settings = settings_of(full, [name for name, t in base.items() if t.is_float], [one.hex() for one in ids])
    voters, kept = voters_of(base, contributions, recipe, settings)
    if rounds.row_of(full) in rounds.METHODS:
        merged, model = rounds.merge(base, voters, full, [one.hex() for one in ids])
        kept = rounds.kept(model, kept)
    else:
        merged = merge(base, voters, recipe, settings)
    return Outcome(base_root, full, merge_id(base_root, recipe_id(full), ids), contributions, kept, merged)
