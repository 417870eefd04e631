"""Several modules -> the text of one file that does the same and imports none of them.

A model folder gets a predict.py that is made from the functions that `tuner predict` runs: nothing is written twice,
and both answer alike. From each module comes what is used, starting with the module `standalone`.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tuner.release.folder import ONNX
from tuner.runs.directory import write_atomically

__all__ = ["PREDICT", "REQUIRED", "REQUIREMENTS", "bundle", "write_runner"]

PREDICT, REQUIREMENTS = "predict.py", "requirements.txt"
REQUIRED = ("numpy>=1.26", "onnxruntime>=1.18", "pillow>=10.3")
"""What predict.py needs, in the bounds of tuner's own dependencies."""

_ENTRY = "tuner.release.standalone"
_OWN = ("tuner", "search_spaces", "trainables")


def write_runner(folder: Path) -> None:
    """Write predict.py and requirements.txt into a model folder that has a model.onnx, into others nothing."""
    if not (folder / ONNX).is_file():
        return
    versions = ", ".join(f"{name} {version(name)}" for name in (one.partition(">")[0] for one in REQUIRED))
    needed = "\n".join([f"# {PREDICT} was made beside {versions}", *REQUIRED, ""])
    write_atomically(folder / REQUIREMENTS, lambda file: file.write_text(needed, encoding="utf-8"))
    write_atomically(folder / PREDICT, lambda file: file.write_text(bundle(_ENTRY), encoding="utf-8"))


def bundle(entry: str) -> str:
    """The text of one file with the module `entry` and all that it uses of tuner's other modules.

    Raises ValueError where the parts can't stand in one file: two definitions of one name, an import under another
    name, an import of tuner's inside a function.
    """
    modules: dict[str, _Module] = {}
    start = _module(entry, modules)
    for name in start.definitions:
        _take(name, start, modules)
    ordered = list(dict.fromkeys(_after_its_uses(start, modules)))
    _leave_out_repeats(ordered)
    made = f"# Made by tuner {version('tuner')} from its own source, where changes belong."
    head = "\n\n".join([start.text(start.tree.body[0]), made, _imports(ordered)])
    return "\n\n\n".join([head, *(module.part() for module in ordered)]) + "\n"


@dataclass(eq=False)
class _Module:
    """A module's source: what it defines, imports and does, and what is taken of it.

    `imported` has for each name from tuner's own modules the module and the name there, `others` for each other name
    the package and what is imported from it, the package empty where it is imported itself. `effects` are statements
    that do something. `uses` are the modules that what is taken needs, `outside` its other imports.
    """

    name: str
    lines: list[str]
    tree: ast.Module
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    others: dict[str, tuple[str, str]] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
    taken: dict[str, ast.stmt] = field(default_factory=dict)
    uses: dict[str, None] = field(default_factory=dict)
    outside: set[tuple[str, str]] = field(default_factory=set)

    def text(self, statement: ast.stmt) -> str:
        """The lines of a statement, with decorators and the comment above."""
        decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(one.lineno for one in decorators)]) - 1
        while first and self.lines[first - 1].startswith("#"):
            first -= 1
        return "\n".join(self.lines[first : statement.end_lineno])

    def part(self) -> str:
        """What is taken, in the order of the source, below a line that names the module."""
        wanted = {id(statement) for statement in (*self.taken.values(), *self.effects)}
        told = (ast.get_docstring(self.tree) or "").partition("\n")[0]
        text, body, before = f"# ---- {self.name}: {told}", self.tree.body, False
        for statement, following in zip(body, [*body[1:], None], strict=True):
            if id(statement) not in wanted:
                continue
            block = isinstance(statement, (ast.FunctionDef, ast.ClassDef))
            text += ("\n\n\n" if block or before else "\n\n") + self.text(statement)
            if following is not None and _is_text(following) and not block:
                text += f"\n{self.text(following)}"
            before = block
        return text


def _module(name: str, modules: dict[str, _Module]) -> _Module:
    if name not in modules:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ValueError(f"the source of {name} is not there")
        source = Path(spec.origin).read_text(encoding="utf-8")
        module = modules[name] = _Module(name, source.splitlines(), ast.parse(source))
        for statement in module.tree.body:
            _sort_in(statement, module)
    return modules[name]


def _sort_in(statement: ast.stmt, module: _Module) -> None:
    """Note what a statement of the module defines, imports or does."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        _note_import(statement, module)
    elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        module.definitions[statement.name] = statement
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        module.definitions |= {name: statement for name in names if name != "__all__"}
    elif not _is_text(statement) and not _is_for_types(statement):
        module.effects.append(statement)


def _note_import(statement: ast.Import | ast.ImportFrom, module: _Module) -> None:
    for one in statement.names:
        if not isinstance(statement, ast.ImportFrom):
            module.others[one.asname or one.name] = ("", ast.unparse(one))
        elif str(statement.module).partition(".")[0] not in _OWN:
            module.others[one.asname or one.name] = (str(statement.module), ast.unparse(one))
        else:
            module.imported[one.asname or one.name] = (str(statement.module), one.name)


def _take(name: str, module: _Module, modules: dict[str, _Module]) -> None:
    """Take what the module knows as `name`, and all that this uses."""
    if name in module.others:
        module.outside.add(module.others[name])
    elif name in module.imported:
        place, there = module.imported[name]
        if there != name:
            raise ValueError(f"{module.name} imports {there} as {name}; leave it its name")
        module.uses[place] = None
        _take(name, _module(place, modules), modules)
    elif name in module.definitions and name not in module.taken:
        first = not module.taken
        module.taken[name] = module.definitions[name]
        for statement in (module.definitions[name], *(module.effects if first else ())):
            for used in _names_in(statement, module):
                _take(used, module, modules)


def _names_in(statement: ast.stmt, module: _Module) -> list[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in _OWN:
            raise ValueError(
                f"{module.name}, line {node.lineno}, imports {node.module} inside; import it at the top"
            )
    return list(dict.fromkeys(node.id for node in ast.walk(statement) if isinstance(node, ast.Name)))


def _after_its_uses(module: _Module, modules: dict[str, _Module]) -> Iterator[_Module]:
    for name in module.uses:
        yield from _after_its_uses(modules[name], modules)
    yield module


def _imports(modules: list[_Module]) -> str:
    """The statements that import what is not tuner's, one a package."""
    found = {one for module in modules for one in module.outside}
    whole = sorted(name for package, name in found if not package)
    packages = sorted({package for package, _ in found if package})
    parts = {
        package: ", ".join(sorted(name for other, name in found if other == package)) for package in packages
    }
    return "\n".join(
        [*(f"import {name}" for name in whole), *(f"from {p} import {n}" for p, n in parts.items())]
    )


def _leave_out_repeats(modules: list[_Module]) -> None:
    """Keep one of equal definitions, such as the types that several modules name; raise ValueError for unequal ones."""
    first: dict[str, _Module] = {}
    for module in modules:
        for name, statement in list(module.taken.items()):
            other = first.setdefault(name, module)
            if other is module:
                continue
            if ast.dump(other.taken[name]) != ast.dump(statement):
                raise ValueError(f"{other.name} and {module.name} both define {name}; rename one of them")
            del module.taken[name]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_for_types(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Name)
        and statement.test.id == "TYPE_CHECKING"
    )
