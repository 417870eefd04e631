"""The habits of the house: format, lint, types, layers, and pages whose commands exist."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tuner.cli.app import commands

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"(?:\$ )?(?:.* )?(?:python -m tuner|tuner) ([a-z].*)")


def tool(*words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_finds_nothing(words):
    result = tool(sys.executable, "-m", "ruff", *words, "--quiet", ".")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_types_are_sound():
    result = tool(sys.executable, "-m", "mypy", "--cache-dir", os.devnull)
    assert result.returncode == 0, result.stdout + result.stderr


def test_layers_import_downwards_only():
    result = tool(str(Path(sys.executable).with_name("lint-imports")))
    assert result.returncode == 0, result.stdout + result.stderr


def shown_commands(pages=PAGES):
    """The words of every tuner command in the code blocks of the README and the documentation."""
    found = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for block in blocks:
            lines = [
                part.strip() for line in block.replace("\\\n", " ").splitlines() for part in line.split("&&")
            ]
            found |= {match[1].split("#")[0].strip() for line in lines if (match := COMMAND.match(line))}
    return sorted(found)


def test_the_readme_shows_the_way_from_images_to_a_model():
    shown = {line.split()[0] for line in shown_commands([ROOT / "README.md"])}
    assert {"run", "inspect", "compare", "export", "retrain", "predict"} <= shown


@pytest.mark.parametrize("line", shown_commands())
def test_a_command_of_the_pages_exists_with_its_options(line):
    words = shlex.split(line.split("|")[0])
    result = CliRunner().invoke(commands, [words[0], "--help"])
    assert result.exit_code == 0, result.output
    for word in words[1:]:
        if word.startswith("--"):
            assert word.split("=")[0] in result.output


@pytest.mark.parametrize("line", shown_commands())
def test_a_command_of_the_pages_is_one_that_click_can_read(line):
    """Its options take the values that they are shown with; nothing runs."""
    words = shlex.split(line.split("|")[0])
    command = commands.commands[words[0]]
    assert command.make_context(words[0], words[1:]).params


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_is_shown_on_a_page(name):
    assert any(line.split()[0] == name for line in shown_commands())


def test_help_imports_nothing_heavy():
    """Of each command after the other, in one process: what one loads is told with its name."""
    code = (
        "import sys\n"
        "from tuner.cli.app import commands\n"
        "heavy = {'torch', 'ray', 'pandas', 'optuna', 'torchvision', 'matplotlib', 'sklearn', 'pyarrow', 'cv2'}\n"
        "for arguments in [['--help'], *([name, '--help'] for name in sorted(commands.commands))]:\n"
        "    commands.main(arguments, standalone_mode=False)\n"
        "    loaded = sorted(heavy & sys.modules.keys())\n"
        "    if loaded:\n"
        "        sys.exit(f'{arguments} loaded {loaded}')\n"
    )
    result = tool(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr


def test_the_versions_ask_for_no_exact_pin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if "==" in name]
