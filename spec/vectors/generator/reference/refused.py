"""The one exception of the reference: which rule was broken, and where."""

from __future__ import annotations

RULES = {
    "DecimalError": "a text that is no decimal, a number that is not finite as fp32, a density outside (0, 1]",
    "CoefficientError": "a coefficient that is zero, or negative where it has to be positive",
    "RecipeError": "a recipe or configuration with an unknown, missing, or duplicate key, or an unknown choice",
    "EncodingError": "bytes that are not the canonical encoding of one value",
    "HeaderError": "a header that breaks EN-9, EN-10 (but for duplicates) or EN-11's forms, a name not to be written",
    "DuplicateName": "a key that stands twice in an object of a safetensors header",
    "DtypeError": "an unsupported dtype, or a float tensor where one that is not float belongs, or the reverse",
    "LayoutError": "offsets that do not fit the shape, a product of 2^63 or more, data that is not covered exactly",
    "CheckpointError": "a folder without a model, or an index at odds with its files",
    "ShapeError": "a shape that is not the base's",
    "NamesError": "a name that the base lacks, or one of the base that the fine-tune lacks",
    "IntegerTensorChanged": "a tensor that is not float and differs from the base's",
    "NonFinite": "a task vector, F, w, v, tau_m or result that is not finite, or an F that is negative",
    "ContributionError": "a manifest that breaks CT-4, or a contribution that holds no float tensor",
    "AuxiliaryError": "auxiliary tensors that a method lacks, or others; a Fisher number below zero; no Gram matrix",
    "BlobError": "a blob that is not the canonical file, or not of the promised root",
    "GenesisError": "a genesis that breaks OS-1 or SG-3",
    "OperationError": "an operation that breaks OS-2 to OS-5, or in a signed workspace SG-4 to SG-6",
    "NotAllowed": "something that its author may not do in a signed workspace",
    "PackError": "a pack that breaks PK-1, or one of whose operations breaks OS-2 to OS-5",
    "MapError": "a map of a blob that breaks BL-1 to BL-3",
    "WrongWorkspace": "an operation or a state of another workspace",
    "NothingVisible": "a merge of no contributions",
    "NothingToRetract": "a contribution to retract of which no effective add stands",
    "DuplicateContribution": "two contributions of one id in one merge",
    "AggregateError": "aggregates that must not be combined, an id to retract that is not there, nothing to finalize",
    "PeerError": "a question or an answer between peers that the clauses do not allow",
    "SignatureRefused": "a request that needs a member's signature and has none, or one of another request",
    "NotMember": "a request that is signed by a key which may not write",
    "LockError": "a lock with other keys than it should have, or one that contradicts itself",
}


class Refused(Exception):
    """Input that a clause refuses.

    contribution: position in the list of contributions; tensor: a name; index: the element in C order,
    or None when the whole tensor is meant.
    """

    def __init__(
        self,
        rule: str,
        *,
        contribution: int | None = None,
        tensor: str | None = None,
        index: list[int] | None = None,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"undocumented rule {rule}")
        super().__init__(rule)
        self.rule, self.contribution, self.tensor, self.index = rule, contribution, tensor, index

    def to_json(self) -> dict[str, object]:
        by = self.contribution if self.rule == "NonFinite" else None  # no other clause asks for it
        places = {"contribution": by, "tensor": self.tensor, "index": self.index}
        return {"rule": self.rule, **{name: at for name, at in places.items() if at is not None}}
