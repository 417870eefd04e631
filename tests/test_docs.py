"""The documentation: made parts are up to date, links resolve, commands exist, walks are true, pages build."""

import ast
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def script(name):
    """A script of docs/ as a module; it finds its neighbours as it does where it is run."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(DOCS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page):
    """What links may name in a page: its headings, as code hosts and mkdocs write them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        plain = unicodedata.normalize("NFKD", re.sub(r"[^\w\s-]", "", heading)).strip().lower()
        found.add(re.sub(r"\s+", "-", plain))
    return found


def test_the_reference_is_what_the_script_makes_of_the_code_now():
    made = script("make_reference").pages()
    assert len(made) >= 5
    old = [name_of(path) for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert old == [], "run: python docs/make_reference.py"


def test_the_notebook_holds_the_cells_of_the_script():
    assert script("make_notebook").notebook() == (ROOT / "examples" / "notebook.ipynb").read_text(
        encoding="utf-8"
    )


def test_every_hyperparameter_is_explained():
    from trainables.config import FIELDS

    assert set(FIELDS) <= set(script("make_reference").MEANING)


def test_the_page_on_json_begins_with_every_command_that_prints_it():
    from tuner.cli import commands

    page = (DOCS / "reference" / "json.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+)`", page.split(" take `--json`")[0]))
    assert named == {
        name
        for name, command in commands.commands.items()
        if any("--json" in param.opts for param in command.params)
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_internal_link_resolves(page):
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        # What lies outside docs/ is not among mkdocs' pages.
        assert DOCS not in page.parents or DOCS in found.parents, target
        if anchor:
            assert anchor in anchors(found), target


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/-]+\.md", json.dumps(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_every_environment_variable_of_our_own_is_documented():
    text = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    files = [
        path for name in ("tuner", "trainables", "search_spaces") for path in (ROOT / name).rglob("*.py")
    ]
    used = {
        name for path in files for name in re.findall(r"\bTUNER_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert used >= {"TUNER_CACHE_DIR", "TUNER_MONGODB_URI"}
    assert [name for name in sorted(used) if f"`{name}`" not in text] == []


def test_the_readme_is_one_page_with_two_pictures():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)) == {
        "docs/images/search.png",
        "docs/images/report.png",
    }


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("*.svg")), ids=lambda path: path.name)
def test_every_drawing_is_used_small_and_says_what_it_shows(picture):
    assert picture.stat().st_size < 300_000
    drawn = ElementTree.parse(picture).getroot()
    assert drawn.find("{http://www.w3.org/2000/svg}title").text
    assert any(f"images/{picture.name}" in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize(
    "picture",
    sorted(path for path in (DOCS / "images").iterdir() if path.suffix != ".svg"),
    ids=lambda path: path.name,
)
def test_every_picture_is_used_small_and_made_by_the_script(picture):
    assert picture.stat().st_size < 300_000
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
    assert any(f"images/{picture.name}" in page.read_text(encoding="utf-8") for page in PAGES)
    assert picture.stem in (DOCS / "make_pictures.py").read_text(encoding="utf-8")


@pytest.fixture
def outputs(monkeypatch):
    """The script that puts outputs into pages."""
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("make_tutorial")


def test_a_screen_forgets_what_a_live_table_takes_away(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    screen = importlib.import_module("terminal").Screen()
    screen.write("begun\r\n\x1b[?25l\x1b[1mtrial\x1b[0m 1\r\nrunning")
    assert screen.text() == "begun\n\x1b[1mtrial\x1b[0m 1\nrunning"
    screen.write("\r\x1b[2K\x1b[1A\x1b[2Kended\n")
    assert screen.text() == "begun\nended"


def test_a_command_is_recorded_as_a_terminal_shows_it(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(DOCS))
    terminal = importlib.import_module("terminal")
    command = r"test -t 1 && printf 'wait\r\033[2Kdone\n' && exit 3"
    done = terminal.record(command, tmp_path, dict(os.environ))
    assert (done.screen, done.exit_status) == ("done", 3)


def test_an_output_belongs_to_the_last_command_before_it(outputs):
    page = (
        "```console\n$ pip install -e . && tuner run --name a\n```\nWords.\n\n<!-- output: last 1 -->\n"
        "<!-- output: end -->\n<!-- printed -->\n<!-- printed: end -->\n"
    )
    [command] = outputs.commands_of(page)
    assert command == "tuner run --name a"
    output = outputs.Output(command, "\x1b[1mone\x1b[0m\ntwo", (), 90.0, "commit abc")
    filled = outputs.filled(page, [output], outputs.printed([output]))
    assert "<!-- output: last 1 -->\n\n```text\n...\ntwo\n```\n\n<!-- output: end -->" in filled
    assert "commit abc" in filled
    assert "`tuner run` 1m30s" in filled
    assert outputs.filled(filled, [output], outputs.printed([output])) == filled


@pytest.mark.parametrize("name", ["docs/tutorial.md", "README.md"])
def test_every_output_of_a_page_is_there_and_its_commands_exist(name, outputs):
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = list(outputs.OUTPUT.finditer(text))
    assert text.count("<!-- output: end -->") == len(blocks) > 0
    assert all("```text\n" in block[0] for block in blocks)
    assert re.search(r"<!-- printed -->\n\nPrinted.*\bcommit [0-9a-f]{7}", text)
    assert all(command.split()[0] in ("tuner", "python") for command in outputs.commands_of(text))


ARCHITECTURE = DOCS / "explanation" / "architecture.md"
STEP = re.compile(r"^(\d+)\. `([\w.]+)` \((command|Ray|step (\d+)(, registered)?)\): (.+\.)$", re.MULTILINE)


def walks():
    """The walks of the page on the architecture: by heading its steps as (number, name, caller, registered)."""
    _, *parts = re.split(r"^## (.+)$", ARCHITECTURE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        steps = [
            (int(step[1]), step[2], None if step[4] is None else int(step[4]), bool(step[5]))
            for step in STEP.finditer(text)
        ]
        assert len(steps) == len(re.findall(r"^\d+\.", text, re.MULTILINE)), "a step of another form"
        found[heading] = steps
    return found


@functools.cache
def module_of(name):
    """The module of a function's full name, its tree, and the names inside it that lead to the function."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        for path in (
            ROOT.joinpath(*parts[:count]).with_suffix(".py"),
            ROOT.joinpath(*parts[:count], "__init__.py"),
        ):
            if path.is_file():
                return ".".join(parts[:count]), ast.parse(path.read_text(encoding="utf-8")), parts[count:]
    raise AssertionError(f"{name} is in no module")


def is_defined(name):
    _, tree, inside = module_of(name)
    for part in inside:
        tree = next((one for one in getattr(tree, "body", ()) if getattr(one, "name", None) == part), None)
    return tree is not None


def names_in(tree):
    """Every name that a module uses, imports or defines."""
    found = set()
    for node in ast.walk(tree):
        found |= {getattr(node, field, None) for field in ("id", "attr", "name")}
    return found


@functools.cache
def floors():
    """The contracts of import-linter: lists of floors from above, each floor a list of packages."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [one["layers"] for one in settings["contracts"] if one["type"] == "layers"]
    return [[floor.split(" | ") for floor in contract] for contract in layers]


def floor_of(module, contract):
    """How far down a module stands among the floors of a contract; None if it stands on none."""
    there = (
        number for number, floor in enumerate(contract) for one in floor if f"{module}.".startswith(f"{one}.")
    )
    return max(there, default=None)


@pytest.mark.parametrize("heading", walks())
def test_every_function_of_a_walk_exists_and_its_caller_names_it(heading):
    steps = walks()[heading]
    assert [number for number, *_ in steps] == list(range(1, len(steps) + 1))
    assert [name for _, name, *_ in steps if not is_defined(name)] == []
    for number, name, caller, registered in steps:
        if caller is not None and not registered:
            assert caller < number
            called = steps[caller - 1][1]
            assert name.rpartition(".")[2] in names_in(module_of(called)[1]), f"{called} does not name {name}"


@pytest.mark.parametrize("heading", walks())
def test_no_step_of_a_walk_goes_up_a_floor(heading):
    steps = walks()[heading]
    up = []
    for _, name, caller, _ in steps:
        if caller is None:
            continue
        called = steps[caller - 1][1]
        for contract in floors():
            above, below = (floor_of(module_of(one)[0], contract) for one in (called, name))
            if above is not None and below is not None and above > below:
                up.append((called, name))
    assert len(steps) > 20
    assert up == []


def test_the_drawing_of_the_walks_names_every_floor():
    text = " ".join(ElementTree.parse(DOCS / "images" / "architecture.svg").getroot().itertext())
    rooms = {one.removeprefix("tuner.") for floor in max(floors(), key=len) for one in floor}
    assert [room for room in sorted(rooms) if not re.search(rf"\b{room}\b", text)] == []


NAMED = re.compile(
    r"(?<![\w./-])(?:(?:tuner|trainables|search_spaces|benchmarks|docs|examples)/[\w/-]+\.(?:py|sh|ya?ml|parquet)"
    r"|-m benchmarks\.[\w.]+)"
)
"""A file of the repository, or a benchmark as it is called."""


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "benchmarks").rglob("*.py"))], ids=name_of
)
def test_every_file_and_benchmark_that_is_named_exists(page):
    shown_anew = {"trainables/strategies/last_stage.py"}
    for named in set(NAMED.findall(page.read_text(encoding="utf-8"))) - shown_anew:
        path = ROOT / (f"{named[3:].strip('.').replace('.', '/')}.py" if named.startswith("-m ") else named)
        if path.stem == "NAME":
            assert len(list(path.parent.glob("*.py"))) > 2, named
        else:
            assert path.is_file(), named


def test_no_page_names_a_machine_s_folder():
    for page in PAGES:
        assert not re.search(r"/(work|tmp|root|home/[a-z]+)/", page.read_text(encoding="utf-8")), page


def test_the_citation_names_the_version_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_pages_build_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    pages = tmp_path / "site" / "explanation"
    assert "A fair clock" in (pages / "fair-clock" / "index.html").read_text()
    assert '<ol start="14">' in (pages / "architecture" / "index.html").read_text()


def test_the_overview_links_every_page_and_the_readme_every_how_to():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"}
    assert (
        pages - set(re.findall(r"\]\(([\w/-]+\.md)", (DOCS / "index.md").read_text(encoding="utf-8")))
        == set()
    )
    how_to = {page for page in pages if page.startswith("how-to/")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert how_to - set(re.findall(r"\]\(docs/([\w/-]+\.md)", readme)) == set()


def test_a_command_is_copied_without_its_prompt_and_wide_outputs_scroll():
    style = (DOCS / "stylesheets" / "extra.css").read_text(encoding="utf-8")
    assert "extra_css: [stylesheets/extra.css]" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert ".gp { user-select: none; }" in style
    assert "code[data-md-copying] .gp { display: none; }" in style
    assert "overflow-x: auto" in style


def test_the_notebook_page_s_code_needs_no_network(monkeypatch, tmp_path):
    """Without searching: what it asks for is settled and checked, with a stand-in for the search and the comparison."""
    import tuner
    from tuner.tuning.config import resolve, search_config

    asked = []

    def search(space, on_epoch, **options):
        asked.append(resolve(search_config(space, **options)))
        assert options["weights"] == "none"
        on_epoch("a", {"epoch": 1, "val_loss": 0.5})
        row = {"trial_id": "a", "status": "completed", "value": 0.5, "val_loss": 0.5}
        return SimpleNamespace(trials=pd.DataFrame([row]), run=SimpleNamespace(path=tmp_path))

    monkeypatch.setattr(tuner, "search", search, raising=False)
    monkeypatch.setattr(tuner, "compare", lambda path: SimpleNamespace(conclusion="fine"), raising=False)
    page = (DOCS / "how-to" / "notebooks.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "notebooks.md", "exec"), {})
    assert [one.data.folder for one in asked] == [None]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_what_the_reference_says(shell):
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"_TUNER_COMPLETE={shell}_source" in text
    from click.shell_completion import get_completion_class

    from tuner.cli import commands

    made = get_completion_class(shell)(commands, {}, "tuner", "_TUNER_COMPLETE")
    assert {"run", "resume"} <= {item.value for item in made.get_completions([], "r")}
