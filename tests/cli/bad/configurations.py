"""Recipe and merge files that say something impossible, or nothing."""

from __future__ import annotations

from pathlib import Path

from tests.cli.bad.case import Case, Step

MERGE = "merge bad.yaml out"
INIT = "-C new init --base base --recipe bad.yaml"

MODELS = "base: base\nmodels:\n  - {path: ft0.safetensors}\n"


def _yaml(text: str | bytes) -> Step:
    def arrange(scene: Path) -> None:
        (scene / "bad.yaml").write_bytes(text.encode() if isinstance(text, str) else text)

    return arrange


def _merge(text: str, *words: str, clauses: tuple[str, ...] = ("RC-7",)) -> Case:
    """A one-shot merge whose file is `text`, then base and models."""
    return Case(MERGE, ("bad.yaml", *words), _yaml(text + MODELS), clauses)


def _file(text: str | bytes, *words: str) -> Case:
    """A one-shot merge whose file is `text` and no more."""
    return Case(MERGE, ("bad.yaml", *words), _yaml(text), ("RC-7",))


def _recipe(text: str, *words: str) -> Case:
    """A new workspace whose recipe is `text`."""
    return Case(INIT, ("bad.yaml", *words), _yaml(text), ("RC-4",))


DENSITIES = {
    "0": ("density", "0", "above 0 and at most 1"),
    "0.000": ("density", "above 0 and at most 1"),
    "-0.1": ("density", "-0.1", "above 0 and at most 1"),
    "2": ("density", "2", "above 0 and at most 1"),
    "1.0000001": ("density", "above 0 and at most 1"),
    "abc": ("density", "'abc'", "not a decimal", "0.2"),
    "1/5": ("density", "'1/5'", "not a decimal"),
    "20%": ("density", "'20%'", "not a decimal"),
    "2e-1": ("density", "'2e-1'", "not a decimal"),
    ".2": ("density", "'.2'", "not a decimal"),
    "0,2": ("density", "'0,2'", "not a decimal"),
    "": ("density", "''", "not a decimal"),
}

CONFIGURATIONS = {
    **{
        f"density {text or 'nothing'}": _merge(f'method: ties\ndensity: "{text}"\n', *words, clauses=("RC-1", "RC-3"))
        for text, words in DENSITIES.items()
    },
    **{
        f"density {text or 'nothing'}, in a workspace": _recipe(f'method: ties\ndensity: "{text}"\n', *words)
        for text, words in DENSITIES.items()
    },
    "lambda 1e9": _merge("method: ties\nlambda: 1e9\n", "lambda", "'1e9'", "not a decimal", clauses=("RC-1",)),
    "lambda nan": _merge("method: mean\nlambda: .nan\n", "lambda", "'.nan'", "not a decimal", clauses=("RC-1",)),
    "lambda beyond fp32": _merge(f"method: mean\nlambda: {'9' * 40}\n", "lambda", "largest fp32", clauses=("RC-2",)),
    "lambda with a list": _merge("method: mean\nlambda: [1, 2]\n", "lambda", "expected text"),
    "a recipe that is a density alone": _recipe("density: 0.5\n", "method", "missing", "ties"),
    "an unknown method": _merge("method: swirl\n", "method", "'swirl'", "unknown", "ties, mean, task_arithmetic"),
    "an unknown method, in a workspace": _recipe("method: swirl\n", "method", "'swirl'", "unknown"),
    "another tool's method, in a workspace": _recipe("method: dare\n", "'dare'", "crdt-merge", "dare_linear"),
    "a method in a list": _merge("method: [ties]\n", "method", "unknown"),
    "an unknown key": _merge("method: ties\ndensty: 0.5\n", "unknown key 'densty'", "its keys are", "density"),
    "a key of another method": _merge("method: mean\ndensity: 0.5\n", "mean", "unknown key 'density'"),
    "lambda as Python spells it": _merge('method: ties\nlambda_: "1"\n', "'lambda_'", "write 'lambda'"),
    "an unknown scope": _merge("method: ties\nscope: layer\n", "scope", "one of model, tensor", "'layer'"),
    "an unknown boundary": _merge("method: ties\nboundary: random\n", "boundary", "'random'"),
    "a key twice in YAML": _merge("method: ties\nmethod: mean\n", "'method'", "twice", "line 1"),
    "a key of a model twice": _file(
        "method: ties\nbase: base\nmodels:\n  - {path: ft0.safetensors, path: ft1.safetensors}\n", "'path'", "twice"
    ),
    "models in a recipe": _recipe("method: ties\n" + MODELS, "models", "is a merge file"),
    "no method": _merge("", "method", "missing", "ties"),
    "no base": _file("method: ties\nmodels: [{path: ft0.safetensors}]\n", "base", "expected the path"),
    "a base that is a list": _file("method: ties\nbase: [a]\nmodels: [{path: ft0.safetensors}]\n", "base", "path"),
    "no models": _file("method: ties\nbase: base\n", "models", "at least one"),
    "an empty list of models": _file("method: ties\nbase: base\nmodels: []\n", "models", "at least one"),
    "models that are no list": _file("method: ties\nbase: base\nmodels: ft0.safetensors\n", "models", "list"),
    "a model that is a name": _file("method: ties\nbase: base\nmodels: [ft0.safetensors]\n", "models[0]", "path"),
    "a model without a path": _file('method: ties\nbase: base\nmodels: [{coefficient: "1"}]\n', "models[0]", "path"),
    "an unknown key of a model": _file(
        "method: ties\nbase: base\nmodels: [{path: ft0.safetensors, weight: 1}]\n",
        "models[0]",
        "'weight'",
        "coefficient",
    ),
    "a coefficient in a list": _file(
        "method: ties\nbase: base\nmodels: [{path: ft0.safetensors, coefficient: [1]}]\n", "models[0]", "coefficient"
    ),
    "a model that is not there": Case(
        MERGE,
        ("nowhere.safetensors", "No such file"),
        _yaml("method: ties\nbase: base\nmodels: [{path: nowhere.safetensors}]\n"),
        ("RC-7",),
    ),
    "a base that is not there": Case(
        MERGE, ("nowhere", "No such file"), _yaml("method: ties\nbase: nowhere\nmodels: [{path: base}]\n"), ("RC-7",)
    ),
    "a base that is an empty name": _file('method: ties\nbase: ""\nmodels: [{path: base}]\n', "base", "path"),
    **{
        f"a merge with coefficient {text}": Case(
            MERGE,
            ("bad.yaml", "models[0]", "coefficient", word),
            _yaml(f"method: ties\nbase: base\nmodels: [{{path: ft0.safetensors, coefficient: {text}}}]\n"),
            ("RC-6",),
        )
        for text, word in {"0": "zero", "nan": "not a decimal", "1e5": "not a decimal", "-1": "negative"}.items()
    },
    "a YAML list": _file("- method: ties\n", "expected a mapping", "method: ties"),
    "a YAML word": _file("ties\n", "expected a mapping"),
    "an empty file": _file("", "expected a mapping"),
    "a tab": _file("method: ties\n\tdensity: 0.5\n", "not YAML", "line 2", "\\t"),
    "a bracket that stays open": _file("method: [ties\n", "not YAML", "line 2"),
    "a tag for Python": _file("method: !!python/object/apply:os.system ['true']\n", "expected"),
    "an alias of itself": _file("method: &a [*a]\n" + MODELS, "not YAML", "alias"),
    "a key that is a list": _file("? [a]\n: b\n" + MODELS, "not YAML", "not text"),
    "two documents": _file("method: ties\n---\nmethod: mean\n", "not YAML", "document"),
    "a merge of dictionaries": _file("<<: {method: ties}\n" + MODELS, "method", "missing"),
    "deeply nested YAML": _file("[" * 20_000, "not YAML", "nested too deeply"),
    "a binary file": _file(bytes(range(256)), "not YAML"),
    "a checkpoint instead of YAML": Case(
        "merge ft0.safetensors out", ("ft0.safetensors", "not YAML"), clauses=("RC-7",)
    ),
    "no such YAML file": Case("merge nowhere.yaml out", ("nowhere.yaml", "No such file", "name a YAML file")),
    "a folder instead of YAML": Case("merge base out", ("base", "it is a folder, not a file", "name a YAML file")),
    "no such recipe file": Case("-C new init --base base --recipe nowhere.yaml", ("nowhere.yaml", "name a YAML file")),
}
