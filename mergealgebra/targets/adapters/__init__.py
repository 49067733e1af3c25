"""Known implementations of TIES, made to speak the protocol. `serve.py` runs in the interpreter that has them.

An adapter is loaded by its path. It imports the standard library, torch or NumPy and the package that it adapts, and
never mergealgebra. It has

    ARRAYS        "torch" or "numpy": what its tensors are
    begin(...)    imports what it adapts; the argument of a target, a checkout or a dialect, comes here
    version()     the version of what it adapts
    merge(...)    base, models, density, lambda_, coefficients, as `serve.py` says; what it raises is a refusal

Where `laws` can ask for any method of it, it also has

    by_method(base, task_vectors, method, ...)    tensors by name; a counterexample prints this function

Its docstring says what it adds around the call that users make.
"""
