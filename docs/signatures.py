"""The Python interface as pages of the reference show it: functions, classes and errors, read from the source."""

import ast
import re
from pathlib import Path

from markdown_parts import escaped, table

ROOT = Path(__file__).resolve().parents[1]


def functions() -> str:
    """A section for every public function of `tuner`."""
    tree = _tree("tuner/api.py")
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in _public()]
    return "\n".join(_function(node, "tuner.") for node in sorted(wanted, key=lambda node: node.name))


def classes() -> str:
    """A section for every public class of `tuner` that is no error."""
    from tuner import _ELSEWHERE

    sections = []
    for name in sorted(_ELSEWHERE):
        tree = _tree(_ELSEWHERE[name].replace(".", "/") + ".py")
        node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        sections.append(_class(node))
    return "\n".join(sections)


def errors() -> str:
    """The tree of errors, as its module draws it."""
    text = ast.get_docstring(_tree("trainables/errors.py")) or ""
    return f"```text\n{text[text.index('TunerError') :]}\n```\n"


def _function(node: ast.FunctionDef, prefix: str = "", level: int = 3) -> str:
    node = _Unquoted().visit(node)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    arguments = ast.unparse(node.args)
    signature = f"{prefix}{node.name}({arguments}){returns}"
    return "\n".join(
        [f"{'#' * level} {node.name}", "", "```python", _wrapped(signature), "```", "", _prose(node), ""]
    )


class _Unquoted(ast.NodeTransformer):
    """Annotations without the quotes that spare an import; defaults keep theirs."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument."""
        node.annotation = self.plain(node.annotation)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """A function, but for its body."""
        node.returns = self.plain(node.returns)
        node.args = self.visit(node.args)
        return node

    def plain(self, annotation: ast.expr | None) -> ast.expr | None:
        """The expression in a quoted annotation."""
        quoted = isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
        return ast.parse(str(annotation.value), mode="eval").body if quoted else annotation  # type: ignore[union-attr]


def _wrapped(signature: str) -> str:
    """One argument a line where one line would be too long."""
    if len(signature) <= 76:
        return signature
    head, _, rest = signature.partition("(")
    inside, _, tail = rest.rpartition(")")
    parts = re.split(r", (?![^\[]*\])", inside)
    return head + "(\n" + "".join(f"    {part},\n" for part in parts) + ")" + tail


def _class(node: ast.ClassDef) -> str:
    lines = [f"### {node.name}", "", _prose(node), ""]
    rows = [
        (f"`{one.target.id}`", f"`{_kind_of(one)}`", _default_of(one))
        for one in node.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and not one.target.id.startswith("_")
    ]
    if rows:
        lines += [*table(("field", "type", "default"), rows), ""]
    methods = [
        one
        for one in node.body
        if isinstance(one, ast.FunctionDef) and not one.name.startswith(("_", "write_", "update_"))
    ]
    if methods:
        lines += table(("method", ""), ((f"`{_call(one)}`", _first(one)) for one in methods))
        lines.append("")
    return "\n".join(lines)


def _call(node: ast.FunctionDef) -> str:
    plain = any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)
    names = [one.arg for one in [*node.args.args, *node.args.kwonlyargs] if one.arg not in ("self", "cls")]
    return node.name if plain else f"{node.name}({', '.join(names)})"


def _kind_of(node: ast.AnnAssign) -> str:
    return ast.unparse(node.annotation).replace("'", "").replace('"', "")


def _default_of(node: ast.AnnAssign) -> str:
    """A field's default; one that a factory makes is written as the factory's call."""
    if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "field":
        made = [one.value for one in node.value.keywords if one.arg == "default_factory"]
        return f"`{ast.unparse(made[0])}()`" if made else ""
    return f"`{ast.unparse(node.value)}`" if node.value else ""


def _first(node: ast.FunctionDef) -> str:
    return escaped((ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " "))


def _prose(node: ast.FunctionDef | ast.ClassDef) -> str:
    """The docstring, its examples as code."""
    parts = []
    for part in (ast.get_docstring(node) or "").split("\n\n"):
        if part.lstrip().startswith(">>>"):
            code = re.sub(r"\s*# doctest: \+SKIP", "", part)
            parts.append(f"```python\n{code}\n```")
        else:
            parts.append(part)
    return "\n\n".join(parts)


def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _public() -> list[str]:
    import tuner

    return tuner.__all__
