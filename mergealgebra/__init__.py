"""mergealgebra: whoever holds the same contributions gets the same bits.

Names are looked up when first used (PEP 562), so importing the package loads no array library; it loads nothing at all,
as the command line has the current folder to leave first.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mergealgebra import algebra, errors, laws
    from mergealgebra.errors import MergeAlgebraError
    from mergealgebra.incremental.aggregate import Aggregate
    from mergealgebra.key_files import PrivateKey
    from mergealgebra.lock import Verification
    from mergealgebra.merge_result import MergeResult
    from mergealgebra.methods.arcee_fusion import ArceeFusion
    from mergealgebra.methods.breadcrumbs import Breadcrumbs, BreadcrumbsTies
    from mergealgebra.methods.consensus_ta import ConsensusTa, TallMask
    from mergealgebra.methods.dare import DareLinear, DareTies
    from mergealgebra.methods.della import Della, DellaLinear
    from mergealgebra.methods.emr import Emr
    from mergealgebra.methods.fisher import Fisher
    from mergealgebra.methods.in_dialect import InDialect
    from mergealgebra.methods.karcher import Karcher
    from mergealgebra.methods.linear import Linear
    from mergealgebra.methods.magmax import MagMax
    from mergealgebra.methods.mean import Mean
    from mergealgebra.methods.method import Method
    from mergealgebra.methods.model_stock import ModelStock
    from mergealgebra.methods.multislerp import MultiSlerp
    from mergealgebra.methods.nearswap import NearSwap
    from mergealgebra.methods.negmerge import NegMerge
    from mergealgebra.methods.passthrough import Passthrough
    from mergealgebra.methods.pcb import Pcb
    from mergealgebra.methods.ram import Ram
    from mergealgebra.methods.ramplus_tl import RamPlusTl
    from mergealgebra.methods.registry import register
    from mergealgebra.methods.sce import Sce
    from mergealgebra.methods.slerp import NuSlerp, Slerp
    from mergealgebra.methods.task_arithmetic import TaskArithmetic
    from mergealgebra.methods.ties import Ties
    from mergealgebra.one_shot import merge
    from mergealgebra.publication import ContributionId
    from mergealgebra.tensors.task_vector import TaskVector
    from mergealgebra.torch_models.adapters import Adapter
    from mergealgebra.verification import verify
    from mergealgebra.workspace import Workspace

__version__ = "0.1.0"

_HOMES = {
    "Adapter": "torch_models.adapters",
    "Aggregate": "incremental.aggregate",
    "ArceeFusion": "methods.arcee_fusion",
    "Breadcrumbs": "methods.breadcrumbs",
    "BreadcrumbsTies": "methods.breadcrumbs",
    "ConsensusTa": "methods.consensus_ta",
    "ContributionId": "publication",
    "DareLinear": "methods.dare",
    "DareTies": "methods.dare",
    "Della": "methods.della",
    "DellaLinear": "methods.della",
    "Emr": "methods.emr",
    "Fisher": "methods.fisher",
    "InDialect": "methods.in_dialect",
    "Karcher": "methods.karcher",
    "Linear": "methods.linear",
    "MagMax": "methods.magmax",
    "Mean": "methods.mean",
    "MergeAlgebraError": "errors",
    "MergeResult": "merge_result",
    "Method": "methods.method",
    "ModelStock": "methods.model_stock",
    "MultiSlerp": "methods.multislerp",
    "NearSwap": "methods.nearswap",
    "NegMerge": "methods.negmerge",
    "NuSlerp": "methods.slerp",
    "Passthrough": "methods.passthrough",
    "Pcb": "methods.pcb",
    "PrivateKey": "key_files",
    "Ram": "methods.ram",
    "RamPlusTl": "methods.ramplus_tl",
    "Sce": "methods.sce",
    "TallMask": "methods.consensus_ta",
    "Slerp": "methods.slerp",
    "TaskArithmetic": "methods.task_arithmetic",
    "TaskVector": "tensors.task_vector",
    "Ties": "methods.ties",
    "Verification": "lock",
    "Workspace": "workspace",
    "merge": "one_shot",
    "register": "methods.registry",
    "verify": "verification",
}
_MODULES = ("algebra", "errors", "laws")

__all__ = [
    "Adapter",
    "Aggregate",
    "ArceeFusion",
    "Breadcrumbs",
    "BreadcrumbsTies",
    "ConsensusTa",
    "ContributionId",
    "DareLinear",
    "DareTies",
    "Della",
    "DellaLinear",
    "Emr",
    "Fisher",
    "InDialect",
    "Karcher",
    "Linear",
    "MagMax",
    "Mean",
    "MergeAlgebraError",
    "MergeResult",
    "Method",
    "ModelStock",
    "MultiSlerp",
    "NearSwap",
    "NegMerge",
    "NuSlerp",
    "Passthrough",
    "Pcb",
    "PrivateKey",
    "Ram",
    "RamPlusTl",
    "Sce",
    "Slerp",
    "TallMask",
    "TaskArithmetic",
    "TaskVector",
    "Ties",
    "Verification",
    "Workspace",
    "algebra",
    "errors",
    "laws",
    "merge",
    "register",
    "verify",
]


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"mergealgebra.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mergealgebra' has no attribute {name!r}")
    return getattr(import_module(f"mergealgebra.{home}"), name)


def __dir__() -> "list[str]":
    return sorted([*__all__, "__version__"])
