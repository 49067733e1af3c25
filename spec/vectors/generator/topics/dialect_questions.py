"""How the topics of dialects write a question down, and what a case tells of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.cases import Case
from generator.reference.dialect_table import CLAUSES, DIALECTS
from generator.reference.dialects import Question
from generator.writing import f32

Json = Any
NAMES = list(DIALECTS)
#: All but `paper`, of whose results there are as many as open options make.
SETTLED = [name for name, options in DIALECTS.items() if None not in options.values()]
REFUSED = "refused"

#: flag -> whether the input, or what comes of it, is such.
INPUT_FLAGS: Mapping[str, Callable[[Json], bool]] = {
    "alone": lambda x: len(x["models"]) == 1,
    "coefficients": lambda x: any(c != "1" for c in x["coefficients"]),
    "lambda": lambda x: x["lambda"] != "1",
    "missing": lambda x: any(x["base"].keys() - model.keys() for model in x["models"]),
    "narrow": lambda x: any(tensor["dtype"] in ("BF16", "F16") for tensor in x["base"].values()),
    "double": lambda x: any(tensor["dtype"] == "F64" for tensor in x["base"].values()),
    "non-finite": lambda x: not Question.read(x).is_finite,
}
ANSWER_FLAGS: Mapping[str, Callable[[Json], bool]] = {
    "refusal": lambda answer: any("refused" in result for result in answer["one_of"]),
    "choice": lambda answer: len(answer["one_of"]) > 1,
}
FLAGS = [*INPUT_FLAGS, *ANSWER_FLAGS, "order"]


@dataclass(frozen=True)
class Asked(Case):
    """A case of the checks `options` and `dialects`.

    says: what was worked out by hand, or seen of the package that a dialect is named after: a name to its result, or
    to its results. It may tell of some names only.
    """

    def hold(self, result: dict[str, Json]) -> None:
        found = {name: answer["one_of"] for answer in result["expected"]["answers"] for name in answer["of"]}
        for name, said in (self.says or {}).items():
            wanted = said if isinstance(said, list) else [said]
            plain = [REFUSED if "refused" in one else one for one in found[name]]
            if plain != [one if one == REFUSED else {"tensors": one} for one in wanted]:
                raise AssertionError(f"{self.id}: {name}: by hand {wanted}, by the reference {found[name]}")

    def flags(self, answers: Sequence[Json]) -> list[str]:
        """What holds of this case, of `FLAGS`."""
        found = {flag for flag, holds in INPUT_FLAGS.items() if holds(self.input)}
        found |= {flag for flag, holds in ANSWER_FLAGS.items() if any(map(holds, answers))}
        return [flag for flag in FLAGS if flag in found or (flag == "order" and self.has_order(answers))]

    def has_order(self, answers: Sequence[Json]) -> bool:
        """Whether the same models in the opposite order have other answers [DI-19]."""
        turned = {key: self.input[key][::-1] for key in ("models", "coefficients")}
        turned |= {"dialects": [n for n in self.input.get("dialects", ()) if n in SETTLED]}
        other = Case.result(Asked(self.check, self.id, "", "", self.input | turned))["expected"]["answers"]
        before, after = ({n: a["one_of"] for a in some for n in a["of"]} for some in (answers, other))
        return any(before[name] != results for name, results in after.items())

    def to_json(self) -> dict[str, Json]:
        case = super().to_json()
        flags = self.flags(case["expected"]["answers"])
        clauses = [*case["clauses"], *(c for flag, c in (("choice", "DI-18"), ("order", "DI-19")) if flag in flags)]
        front = {key: case.pop(key) for key in ("id", "check")}
        return front | {"clauses": list(dict.fromkeys(clauses)), "flags": flags} | dict(list(case.items())[1:])


def question(
    base: Json, models: Sequence[Json], density: str = "1", lambda_: str = "1", coefficients: Sequence[str] = ()
) -> Json:
    cs = [*coefficients] or ["1"] * len(models)
    return {"base": base, "models": [*models], "density": density, "lambda": lambda_, "coefficients": cs}


def rows(*models: Sequence[Any], of: Callable[..., Json] = f32, **parameters: Any) -> Json:
    """Models of one tensor `w`, on a base of zeros: they are their task vectors."""
    return question({"w": of(*[0] * len(models[0]))}, [{"w": of(*model)} for model in models], **parameters)


def w(*numbers: Any) -> Json:
    """A result of one F32 tensor."""
    return {"w": f32(*numbers)}


def options(
    i: str, point: str, why: str, asked: Json, says: Mapping[str, Json], elsewhere: Mapping[str, str] | None = None
) -> Asked:
    """One question with every option of a point; elsewhere: what is not canonical at other points."""
    inputs = {"point": point, "elsewhere": dict(elsewhere or {}), **asked}
    return Asked("options", f"dialect-{i}", CLAUSES[point], why, inputs, says)


def dialects(
    i: str, clauses: str, why: str, asked: Json, says: Mapping[str, Json] | None = None, of: Sequence[str] = SETTLED
) -> Asked:
    """One question in several dialects; says: what the packages gave, or hands."""
    return Asked("dialects", f"dialect-{i}", clauses, why, {"dialects": [*of], **asked}, says)
