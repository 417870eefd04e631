"""No circle of imports among modules, what a function imports and what types alone need included."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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
