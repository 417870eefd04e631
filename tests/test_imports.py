"""No circle of imports among modules, what functions and types alone import included; rooms say what they are for."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tuner", "search_spaces", "trainables", "benchmarks")
DIRECTLY_IN_TUNER = {"__init__", "__main__", "api", "errors"}


def imports(root=ROOT):
    """Module -> the modules of these packages that it imports, anywhere in its file."""
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for package in PACKAGES
        for file in (root / package).rglob("*.py")
    }
    graph = {}
    for name, file in files.items():
        found = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (whole & files.keys()) or {node.module}
        graph[name] = (found & files.keys()) - {name}
    return graph


def test_no_module_imports_itself_by_a_detour():
    try:
        order = list(TopologicalSorter(imports()).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(reversed(error.args[1]))) from None
    assert len(order) > 100


def test_a_circle_would_be_found(tmp_path):
    for name, text in (("a", "from tuner import b\n"), ("b", "def f():\n    from tuner.a import x\n")):
        (tmp_path / "tuner").mkdir(exist_ok=True)
        (tmp_path / "tuner" / f"{name}.py").write_text(text, encoding="utf-8")
    assert imports(tmp_path) == {"tuner.a": {"tuner.b"}, "tuner.b": {"tuner.a"}}


def test_only_the_public_modules_stand_directly_in_tuner():
    assert {file.stem for file in (ROOT / "tuner").glob("*.py")} == DIRECTLY_IN_TUNER


@pytest.mark.parametrize(
    "room", sorted(path.parent for path in (ROOT / "tuner").glob("*/__init__.py")), ids=lambda path: path.name
)
def test_a_room_says_who_may_import_it_and_where_the_next_thing_goes(room):
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert re.search(r"\bimports?\b", text)
    assert re.search(r"\b[Aa]\s+new\b", text)
    rooms = {path.name for path in room.parent.iterdir()} | {path.stem for path in room.iterdir()} | {"tuner"}
    named = set(re.findall(r"`([a-z_0-9]+)`", text))
    assert named <= rooms, f"{room.name} has no {named - rooms}"
