"""The documentation: made parts are up to date, links resolve, commands exist, pages build."""

import importlib.util
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")


def script(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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


@pytest.mark.parametrize("picture", sorted((DOCS / "images").iterdir()), ids=lambda path: path.name)
def test_every_picture_is_used_small_and_made_by_the_script(picture):
    assert picture.stat().st_size < 300_000
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
    assert any(f"images/{picture.name}" in page.read_text(encoding="utf-8") for page in PAGES)
    assert picture.stem in (DOCS / "make_pictures.py").read_text(encoding="utf-8")


def test_no_page_names_a_machine_s_folder():
    for page in PAGES:
        assert not re.search(r"/(work|tmp|root|home/[a-z]+)/", page.read_text(encoding="utf-8")), page


def test_the_citation_names_the_version_of_the_package():
    import tomllib

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
    assert "A fair clock" in (tmp_path / "site" / "explanation" / "fair-clock" / "index.html").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_what_the_reference_says(shell):
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"_TUNER_COMPLETE={shell}_source" in text
    from click.shell_completion import get_completion_class

    from tuner.cli import commands

    made = get_completion_class(shell)(commands, {}, "tuner", "_TUNER_COMPLETE")
    assert {"run", "resume"} <= {item.value for item in made.get_completions([], "r")}
