"""Every way in which mergealgebra refuses: one root class, one class per broken rule; and its warnings.

A message is one printable line, whatever it quotes. It names the file, tensor or contribution and the index, says
what was found and what was expected, and ends with what to do.
"""

from __future__ import annotations

from mergealgebra.text import one_line


class MergeAlgebraError(Exception):
    """The root of every error that mergealgebra raises on purpose. Its text is one printable line.

    >>> print(MergeAlgebraError("no \\x1b[31m\\ntensor"))
    no \\x1b[31m tensor
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class MergeAlgebraWarning(UserWarning):
    """A warning: something was left out, or looks like a mistake and was done all the same. It is one printable line.

    >>> print(MergeAlgebraWarning("no \\x1b[31m\\ntensor"))
    no \\x1b[31m tensor
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class SystemLacks(MergeAlgebraError):
    """The operating system cannot do something safely: Windows, for example, has no descriptors of folders."""


# Encodings and recipes


class EncodingError(MergeAlgebraError):
    """Bytes are not the canonical encoding of any value, or a value has none [EN-1]."""


class DecimalError(MergeAlgebraError):
    """A density, lambda or coefficient is not an ASCII decimal in range [RC-1]."""


class RecipeError(MergeAlgebraError):
    """A recipe or a configuration file has an unknown, missing, duplicate or impossible entry."""


class MethodMissing(RecipeError):
    """A recipe's method is not here as it is named: its package, or that version of it, is not installed [RC-12]."""


class MethodError(MergeAlgebraError):
    """A method from outside has an equation that fails, or gives what no equation may."""


# Files and tensors


class HeaderError(MergeAlgebraError):
    """A safetensors header is truncated, too large, too deep or not the JSON it must be."""


class DuplicateName(MergeAlgebraError):
    """A name stands twice where it may stand once."""


class LayoutError(MergeAlgebraError):
    """Tensor data overlaps, leaves a hole, is too short, or is followed by more bytes."""


class AdapterError(MergeAlgebraError):
    """An adapter is no difference from the base that factors can hold, or disagrees with its own configuration."""


class ShapeError(MergeAlgebraError):
    """A shape is not a list of sizes, overflows, or does not fit its bytes or the base's shape."""


class DtypeError(MergeAlgebraError):
    """A dtype is unknown, unsupported, or cannot meet the one on the other side."""


class CheckpointError(MergeAlgebraError):
    """A path is not a checkpoint that can be read: no file, a pickle, a damaged index."""


class NamesError(MergeAlgebraError):
    """A checkpoint has tensors that the base lacks, or lacks some that it has."""


class IntegerTensorChanged(MergeAlgebraError):
    """An integer or bool tensor differs from the base's."""


class TokenizerError(MergeAlgebraError):
    """A tokenizer is missing or broken, or vocabularies differ and nobody said which one counts [TK-2]."""


class AuxiliaryError(MergeAlgebraError):
    """Auxiliary tensors are not what their kind must be, or a method needs a kind that a contribution lacks [CT-15]."""


class Implausible(MergeAlgebraError):
    """What would be contributed can only be a mistake: it changes nothing, or is not what it is called [CT-11]."""


# Numbers


class NonFinite(MergeAlgebraError):
    """A NaN or an infinity stands where a finite number must."""


class Overflow(NonFinite):
    """A scaled element, a merged task vector or a result is beyond the range of its dtype [TI-6, MG-5]."""


class CoefficientError(MergeAlgebraError):
    """A coefficient is zero, not finite, or negative where the method needs a positive one."""


class AggregateError(MergeAlgebraError):
    """Two partial aggregates overlap, differ in their parameters, or one is damaged."""


class BackendError(MergeAlgebraError):
    """A backend is unknown or not installed, or arrays of different kinds were mixed."""


class SubnormalsFlushed(MergeAlgebraError):
    """This process or thread reads subnormal numbers as zero, so its bits would differ."""


# Contributions, operations, workspaces


class BaseMismatch(MergeAlgebraError):
    """A checkpoint is not the base that the contribution or the workspace names."""


class OperationError(MergeAlgebraError):
    """An operation is malformed, damaged, or of a kind that this workspace does not take."""


class PackError(OperationError):
    """A pack is damaged, or not the file that its operations make [PK-1]."""


class MapError(MergeAlgebraError):
    """A map of a blob is not what it must be, or not of the blob whose root was asked for [BL-1 to BL-3]."""


class LeafDamaged(MergeAlgebraError):
    """What came as a leaf of a blob is not that leaf [BL-6]. by_base: whether a damaged base here may be the reason.

    No user sees it: who asked for the leaf names the peer.
    """

    def __init__(self, message: str, *, by_base: bool = False) -> None:
        super().__init__(message)
        self.by_base = by_base


class SignatureError(OperationError):
    """An operation of a signed workspace has no signature, or none of its author's that is valid [SG-2]."""


class ForeignOperation(OperationError):
    """A file is what its name promises, and not an operation that may enter the set of its signed workspace [SG-7]."""


class NotAllowed(MergeAlgebraError):
    """Who does something in a signed workspace has no key, or no grant, or is not one of its maintainers [SG-8]."""


class KeyFileError(MergeAlgebraError):
    """A key file is missing, open to others, of another kind, or its passphrase is wrong [SG-15]."""


class WrongWorkspace(MergeAlgebraError):
    """An operation, a state or a peer belongs to another workspace."""


class AddressError(MergeAlgebraError):
    """An address is not one that is reached, or stands where a folder of this machine is needed [SY-7, PR-16]."""


class WorkspaceError(MergeAlgebraError):
    """A folder is not a workspace, is one already, or its own files are damaged."""


class UnknownContribution(MergeAlgebraError):
    """An id or prefix names no visible contribution, or more than one."""


class NothingVisible(MergeAlgebraError):
    """There is nothing to merge: no contribution is visible."""


class BlobMissing(MergeAlgebraError):
    """The tensors of a visible contribution are not here."""


class BlobDamaged(MergeAlgebraError):
    """Stored tensors are not the bytes that their name promises."""


class PeerError(MergeAlgebraError):
    """A peer cannot be reached, or it says what the protocol does not allow [PR-9]."""


class PeerRefused(PeerError):
    """A peer answers that it does not do what it was asked; the connection is in order."""


class SignatureRefused(PeerError):
    """A server wants a member's signature, and what came is none, or one of another request [PR-20, PR-21]."""


class NotMember(PeerError):
    """A request is signed by a key that may not write in the workspace that is served [PR-21]."""


class SyncIncomplete(MergeAlgebraError):
    """A peer, or this store, holds files that were refused; everything else was exchanged [SY-4]."""


class StoreDamaged(MergeAlgebraError):
    """A check of a store found files that are damaged or missing, and nothing mended them [SY-11]."""


# Results and the machine


class OutputError(MergeAlgebraError):
    """The output cannot be written: it exists, its folder is read-only, or the disk is too small."""


class LockError(MergeAlgebraError):
    """A merge.lock is missing, malformed, or contradicts itself."""


class VerificationFailed(MergeAlgebraError):
    """A model folder is not the model that its lock, or the workspace, says it is."""


# Laws and conformance


class TargetError(MergeAlgebraError):
    """A target names no merge function, cannot be imported, or does not take an option."""


class UnknownLaw(MergeAlgebraError):
    """A name is not that of a law."""


class NotInstalled(MergeAlgebraError):
    """A package that a search or a target needs is not installed."""


class NothingAnswered(MergeAlgebraError):
    """A target answered none of the questions of `conformance`."""


class NotConformant(MergeAlgebraError):
    """A target conforms to none of the dialects that it was said to conform to."""
