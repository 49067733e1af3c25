"""The mutants of a module: its source with one small change each.

Most changes are those of mutmut's operators. mutmut itself makes them in the bodies of undecorated functions; here they
are made wherever they can be, in constants, defaults, properties and decorators too. Two operators are our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators

#: A node and what stands in its place.
Change = tuple[cst.CSTNode, cst.CSTNode]

#: Calls that mutmut leaves alone too: with anything else in them they only raise.
_LEFT_ALONE = ("isinstance", "len")


@dataclass(frozen=True, order=True)
class Mutant:
    """One change, named so that it keeps its name when lines move.

    file: within the package. function: its qualified name, or "module". original, mutated: the lines that differ, as
    one line. source: what the module becomes.
    """

    file: str
    function: str
    original: str
    mutated: str
    source: str = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}, {self.function}:\n    {self.original}\n    {self.mutated}"


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a module that compiles, each source once."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    spans = wrapper.resolve(WhitespaceInclusivePositionProvider)
    places = _Places()
    wrapper.module.visit(places)
    lines, seen = source.splitlines(), {source}
    for function, node, changed in places.changes:
        span, code = spans[node], wrapper.module.code_for_node(changed)
        original, mutated = _lines(lines, span), _changed(lines, span, code)
        whole = "\n".join([*lines[: span.start.line - 1], mutated, *lines[span.end.line :], ""])
        if whole not in seen and _compiles(whole):
            seen.add(whole)
            yield Mutant(file, function, _on_one_line(original), _on_one_line(mutated), whole)


def drop_statement(node: cst.Expr | cst.Raise | cst.Return) -> Iterator[Change]:
    """A `raise`, or a call whose result nobody uses: left out. `return x`: `return None`."""
    if isinstance(node, cst.Raise) or (isinstance(node, cst.Expr) and isinstance(node.value, cst.Call)):
        yield node, cst.Pass()
    if isinstance(node, cst.Return) and node.value is not None:
        yield node, cst.Return(cst.Name("None"))


def negate_condition(node: cst.If | cst.CompIf) -> Iterator[Change]:
    """`if x`: `if not x`. Comparisons and `not` are mutmut's."""
    if not isinstance(node.test, (cst.Comparison, cst.UnaryOperation)):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.test, cst.UnaryOperation(cst.Not(), test)


def _changes(node: cst.CSTNode) -> Iterator[Change]:
    """Every change that an operator makes to a node. What has a body is not replaced as a whole."""
    if not isinstance(node, cst.BaseCompoundStatement):
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                yield from ((node, changed) for changed in operator(node))
    if isinstance(node, (cst.Expr, cst.Raise, cst.Return)):
        yield from drop_statement(node)
    if isinstance(node, (cst.If, cst.CompIf)):
        yield from negate_condition(node)


class _Places(cst.CSTVisitor):
    """Collects all changes, with the function around each. Annotations are never evaluated, so they are passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
        self._scope: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation) or _is_left_alone(node):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._scope.append(node.name.value)
        where = ".".join(self._scope) or "module"
        self.changes += [(where, *change) for change in _changes(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._scope.pop()


def _is_left_alone(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in _LEFT_ALONE


def _lines(lines: list[str], span: CodeRange) -> str:
    return "\n".join(lines[span.start.line - 1 : span.end.line])


def _changed(lines: list[str], span: CodeRange, code: str) -> str:
    """The lines of a span with `code` in its place."""
    return lines[span.start.line - 1][: span.start.column] + code + lines[span.end.line - 1][span.end.column :]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _compiles(source: str) -> bool:
    try:
        compile(source, "a mutant", "exec")
    except SyntaxError:
        return False
    return True
