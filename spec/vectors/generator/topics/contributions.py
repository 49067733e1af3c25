"""Contributions: manifest, id and blob; manifests and blobs that are refused."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.reference.contributions import manifest
from generator.reference.hashes import model_root
from generator.reference.safetensors import write_file
from generator.reference.tensors import read_tensors
from generator.writing import bf16, f16, f32, f64, integers

Json = Any
BASE = {"w": bf16(1, 2, shape=[1, 2]), "b": f32("0.5", shape=[]), "n": integers("I64", 7)}
FINE = {"w": bf16("1.5", 2, shape=[1, 2]), "b": f32("0.25", shape=[]), "n": integers("I64", 7)}
HELD = {"w": FINE["w"], "b": FINE["b"]}
VECTOR = {"w": f32("0.5", 0, shape=[1, 2])}


def made(
    i: str, why: str, form: str, tensors: Json, says: Json = None, clauses: str = "CT-2 CT-3", **options: Json
) -> Case:
    inputs = {"base": BASE, "form": form, "coefficient": "1", "tensors": tensors, **options}
    return Case("contribution", f"contribution-{i}", clauses, why, inputs, says)


MADE = [
    made("finetuned", "the fine-tune's float tensors in their own dtypes; the base's root is over all its tensors",
         "finetuned", FINE),
    made("finetuned-coefficient", "the coefficient is part of the id", "finetuned", FINE, coefficient="0.1"),
    made("finetuned-coefficient-form", "decimals of one fp32 number make one id", "finetuned", FINE,
         coefficient="0.10000000"),
    made("finetuned-other-dtype", "a fine-tune of another dtype", "finetuned",
         {**FINE, "w": f16("1.5", 2, shape=[1, 2])}),
    made("finetuned-unchanged", "a fine-tune equal to the base is a contribution", "finetuned", BASE),
    made("finetuned-left-out", "patterns leave a tensor out", "finetuned", FINE, clauses="CT-2 CT-8", leave=["b"]),
    made("finetuned-taken", "patterns take one tensor", "finetuned", {"w": FINE["w"]}, clauses="CT-2 CT-8",
         take=["w"]),
    made("task-vector", "a stored task vector", "task_vector", VECTOR),
    made("task-vector-f64", "its dtype is kept in the blob", "task_vector", {"w": f64("0.5", 0, shape=[1, 2])}),
    made("task-vector-zero-sign", "the bytes of a -0 are kept, and make another id", "task_vector",
         {"w": f32("0.5", "-0", shape=[1, 2])}),
    made("task-vector-negative", "a negative coefficient", "task_vector", VECTOR, coefficient="-1"),
    made("task-vector-subnormal", "a subnormal coefficient", "task_vector", VECTOR,
         coefficient="0." + "0" * 44 + "14012984643248"),
    made("no-float", "no float tensor is left", "finetuned", {"n": BASE["n"]}, "ContributionError", "CT-5 CT-8",
         take=["n"]),
    made("no-tensors", "no tensors at all", "task_vector", {}, "ContributionError", "CT-5"),
    made("missing", "a name is missing", "finetuned", {"w": FINE["w"]}, {"rule": "NamesError", "tensor": "b"},
         "TV-8"),
    made("extra", "a name that the base lacks", "task_vector", {"x": f32(1)}, {"rule": "NamesError", "tensor": "x"},
         "CT-5"),
    made("shape", "another shape", "task_vector", {"w": f32(1, 2)}, {"rule": "ShapeError", "tensor": "w"}, "CT-5"),
    made("integer", "a task vector of integers", "task_vector", {"n": BASE["n"]},
         {"rule": "DtypeError", "tensor": "n"}, "CT-5"),
    made("zero-coefficient", "a coefficient of zero", "task_vector", VECTOR, "CoefficientError", "CT-4 RC-6",
         coefficient="0"),
    made("task-vector-nan", "a stored task vector with a NaN is not made", "task_vector",
         {"w": f32("0.5", "nan", shape=[1, 2])}, {"rule": "NonFinite", "tensor": "w", "index": [0, 1]}, "CT-5 TV-5"),
    made("task-vector-infinity", "nor one with an infinity", "task_vector", {"w": bf16("-inf", 0, shape=[1, 2])},
         {"rule": "NonFinite", "tensor": "w", "index": [0, 0]}, "CT-5 TV-5"),
    made("task-vector-f64-overflow", "nor one that is beyond fp32", "task_vector",
         {"w": f64(0, "2^128", shape=[1, 2])}, {"rule": "NonFinite", "tensor": "w", "index": [0, 1]}, "CT-5 TV-5"),
    made("task-vector-left-out-nan", "a NaN in a tensor that was left out is not looked at", "task_vector",
         {**VECTOR, "b": f32("nan", shape=[])}, clauses="CT-2 CT-8", leave=["b"]),
    made("task-vector-empty-take", "an empty list takes everything", "task_vector", VECTOR, clauses="CT-2 CT-8",
         take=[]),
    made("task-vector-nothing-left", "every tensor is left out", "task_vector", VECTOR, "ContributionError",
         "CT-5 CT-8", leave=["*"]),
    made("finetuned-no-tensors", "a fine-tune without tensors, all names left out", "finetuned", {},
         "ContributionError", "CT-5 CT-8", leave=["*"]),
    made("coefficient-overflow", "a coefficient beyond fp32 is refused as a decimal", "task_vector", VECTOR,
         "DecimalError", "RC-2 RC-6", coefficient="1" + "0" * 39),
    made("nan", "a fine-tune with a NaN", "finetuned", {**FINE, "b": f32("nan", shape=[])},
         {"rule": "NonFinite", "tensor": "b", "index": []}, "TV-4"),
]  # fmt: skip

ROOT_BASE = model_root(read_tensors(BASE))
GOOD = manifest(ROOT_BASE, "finetuned", 0x3F800000, read_tensors(HELD))
FIELDS: dict[str, Json] = {
    "base": {"bin": GOOD["base"].hex()},
    "coefficient": {"str": "3f800000"},
    "elements": {"int": "3"},
    "form": {"str": "finetuned"},
    "format": {"int": "1"},
    "tensors": {"bin": GOOD["tensors"].hex()},
}


def fields(**changes: Json) -> Json:
    """A manifest with some values changed; None takes a key away."""
    return {"map": [[key, value] for key, value in {**FIELDS, **changes}.items() if value is not None]}


SECOND: dict[str, Json] = {
    **{key: FIELDS[key] for key in ("base", "coefficient", "elements", "tensors")},
    "auxiliary": {"map": []},
    "format": {"int": "2"},
    "forms": {"array": [{"str": "low_rank"}]},
}


def second(**changes: Json) -> Json:
    """The same of a manifest of format 2."""
    return {"map": [[key, value] for key, value in {**SECOND, **changes}.items() if value is not None]}


def forms(*names: str) -> Json:
    return {"array": [{"str": name} for name in names]}


def auxiliary(**kinds: Json) -> Json:
    return {"map": [[kind, entry] for kind, entry in kinds.items()]}


def entry(**changes: Json) -> Json:
    given = {"elements": {"int": "3"}, "root": FIELDS["tensors"], **changes}
    return {"map": [[key, value] for key, value in given.items() if value is not None]}


ACCEPTED = {
    "plain": (fields(), "a manifest"),
    "no-elements": (fields(elements={"int": "0"}), "no elements"),
    "many-elements": (fields(elements={"int": str(2**63 - 1)}), "2^63 - 1 elements"),
    "negative": (fields(coefficient={"str": "bf800000"}), "a negative coefficient"),
    "subnormal": (fields(coefficient={"str": "00000001"}), "the least coefficient"),
    "greatest": (fields(coefficient={"str": "7f7fffff"}), "the greatest coefficient"),
    "low-rank": (second(), "one form that format 1 does not know"),
    "mixed": (second(forms=forms("finetuned", "low_rank", "task_vector")), "three forms"),
    "fisher": (second(forms=forms("finetuned"), auxiliary=auxiliary(fisher=entry())), "auxiliary tensors"),
    "both-kinds": (
        second(auxiliary=auxiliary(fisher=entry(), gram=entry(elements={"int": "0"}))),
        "two kinds of auxiliary tensors",
    ),
}
REFUSED = {
    "missing-form": (fields(form=None), "a key is missing"),
    "extra-key": (fields(author={"str": "me"}), "a key too many"),
    "base-short": (fields(base={"bin": "00" * 31}), "31 bytes"),
    "base-long": (fields(base={"bin": "00" * 33}), "33 bytes"),
    "base-string": (fields(base={"str": "0" * 32}), "a string for a root"),
    "tensors-hex": (fields(tensors={"str": "00" * 32}), "hexadecimal digits for a root"),
    "elements-negative": (fields(elements={"int": "-1"}), "a negative number of elements"),
    "elements-2-63": (fields(elements={"int": str(2**63)}), "2^63 elements"),
    "elements-boolean": (fields(elements=True), "a boolean is no integer"),
    "form-unknown": (fields(form={"str": "lora"}), "an unknown form"),
    "form-case": (fields(form={"str": "Finetuned"}), "forms are exact"),
    "format-2": (fields(format={"int": "2"}), "the keys of format 1 in format 2"),
    "format-3": (second(format={"int": "3"}), "a format of the future"),
    "format-2-finetuned": (second(forms=forms("finetuned")), "what format 1 says is not said in format 2"),
    "format-2-task-vector": (second(forms=forms("task_vector")), "nor is this"),
    "format-1-low-rank": (fields(form={"str": "low_rank"}), "a form of format 2 in format 1"),
    "format-1-several": (fields(form={"str": "finetuned+low_rank"}), "nor are several"),
    "forms-none": (second(forms=forms(), auxiliary=auxiliary(fisher=entry())), "no form"),
    "forms-order": (second(forms=forms("low_rank", "finetuned")), "forms that do not ascend"),
    "forms-twice": (second(forms=forms("low_rank", "low_rank")), "a form twice"),
    "forms-unknown": (second(forms=forms("lora")), "a form that there is not"),
    "forms-string": (second(forms={"str": "low_rank"}), "a string for an array"),
    "forms-joined": (second(forms=forms("finetuned+low_rank")), "two forms in one string"),
    "kind-unknown": (second(auxiliary=auxiliary(hessian=entry())), "a kind that there is not"),
    "kind-array": (second(auxiliary={"array": []}), "an array for a map"),
    "kind-extra-key": (second(auxiliary=auxiliary(gram=entry(rows={"int": "1"}))), "a key too many in a kind"),
    "kind-missing-key": (second(auxiliary=auxiliary(gram=entry(root=None))), "a key is missing in a kind"),
    "kind-root": (second(auxiliary=auxiliary(gram=entry(root={"bin": "00"}))), "a root of one byte"),
    "kind-elements": (second(auxiliary=auxiliary(gram=entry(elements={"int": "-1"}))), "negative elements"),
    "format-true": (fields(format=True), "true is not 1"),
    "coefficient-zero": (fields(coefficient={"str": "00000000"}), "zero"),
    "coefficient-minus-zero": (fields(coefficient={"str": "80000000"}), "-0"),
    "coefficient-infinity": (fields(coefficient={"str": "7f800000"}), "an infinity"),
    "coefficient-nan": (fields(coefficient={"str": "7fc00000"}), "a NaN"),
    "coefficient-upper-case": (fields(coefficient={"str": "3F800000"}), "upper-case digits"),
    "coefficient-short": (fields(coefficient={"str": "3f80000"}), "seven digits"),
    "coefficient-decimal": (fields(coefficient={"str": "1"}), "a decimal"),
    "coefficient-prefix": (fields(coefficient={"str": "0x3f8000"}), "a prefix"),
    "coefficient-integer": (fields(coefficient={"int": "1065353216"}), "an integer"),
    "array": ({"array": []}, "no map"),
}

BLOB_TENSORS = read_tensors(HELD)
BLOB = write_file(BLOB_TENSORS)
ROOT = model_root(BLOB_TENSORS).hex()
INTEGERS = write_file(read_tensors({"n": BASE["n"]}))
INTEGERS_ROOT = model_root(read_tensors({"n": BASE["n"]})).hex()
HEADER = int.from_bytes(BLOB[:8], "little")


def reheaded(header: bytes) -> str:
    return (len(header).to_bytes(8, "little") + header + BLOB[8 + HEADER :]).hex()


PLAIN = BLOB[8 : 8 + HEADER]
BLOBS: list[tuple[str, str, str, Json, str]] = [
    ("plain", ROOT, BLOB.hex(), {"tensors": HELD}, "the canonical file"),
    ("not-of-the-base", INTEGERS_ROOT, INTEGERS.hex(), {"tensors": {"n": BASE["n"]}},
     "whether the tensors may be a contribution is not asked here: CT-5"),
    ("other-root", "00" * 32, BLOB.hex(), "BlobError", "another root"),
    ("more-padding", ROOT, reheaded(PLAIN + b" " * 8), "BlobError", "eight spaces more"),
    ("no-metadata", ROOT, reheaded(PLAIN.replace(b'"__metadata__":{"format":"pt"},', b"")), "BlobError",
     "no metadata"),
    ("other-metadata", ROOT, reheaded(PLAIN.replace(b'"pt"', b'"np"')), "BlobError", "other metadata"),
    ("white-space", ROOT, reheaded(PLAIN.replace(b"},", b"}, ", 1)), "BlobError", "white space in the JSON"),
    ("changed-data", ROOT, BLOB[:-1].hex() + "01", "BlobError", "a changed byte of data"),
    ("truncated", ROOT, BLOB[:-1].hex(), "BlobError", "a byte is missing"),
    ("trailing", ROOT, BLOB.hex() + "00", "BlobError", "a byte too many"),
    ("empty", ROOT, "", "BlobError", "an empty file"),
]  # fmt: skip

CASES = [
    *MADE,
    *(Case("manifest", f"manifest-{i}", "CT-4", why, {"manifest": m}) for i, (m, why) in ACCEPTED.items()),
    *(
        Case("manifest", f"manifest-refused-{i}", "CT-4", why, {"manifest": m}, "ContributionError")
        for i, (m, why) in REFUSED.items()
    ),
    *(Case("blob", f"blob-{i}", "CT-6", why, {"root": root, "file": file}, says) for i, root, file, says, why in BLOBS),
]
