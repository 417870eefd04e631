"""The habits of the house: format, lint, types, layers, and a README whose commands exist."""

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
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^(?:\$ )?(?:python -m tuner|tuner) (.+)$", re.MULTILINE)


def tool(*words):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=["lint", "format"])
def test_ruff_finds_nothing(words):
    result = tool(sys.executable, "-m", "ruff", *words, "--quiet", ".")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_types_are_sound():
    result = tool(sys.executable, "-m", "mypy")
    assert result.returncode == 0, result.stdout + result.stderr


def test_layers_import_downwards_only():
    result = tool(str(Path(sys.executable).with_name("lint-imports")))
    assert result.returncode == 0, result.stdout + result.stderr


def readme_commands():
    """The words of every tuner command in the README's code blocks."""
    blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    found = [match[1] for block in blocks for match in COMMAND.finditer(block.replace("\\\n", " "))]
    return sorted(set(found))


def test_the_readme_shows_commands():
    assert len(readme_commands()) >= 8


@pytest.mark.parametrize("line", readme_commands())
def test_a_command_of_the_readme_exists_with_its_options(line):
    words = shlex.split(line.split("#")[0].split("&&")[0])
    result = CliRunner().invoke(commands, [words[0], "--help"])
    assert result.exit_code == 0, result.output
    for word in words[1:]:
        if word.startswith("--"):
            assert word.split("=")[0] in result.output


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_is_in_the_readme(name):
    assert any(line.split()[0] == name for line in readme_commands())


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in sorted(commands.commands))])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from tuner.cli.app import commands\n"
        f"commands.main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'ray', 'pandas', 'optuna', 'torchvision', 'matplotlib', 'sklearn', 'pyarrow', 'cv2'}\n"
        "loaded = sorted(heavy & sys.modules.keys())\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    result = tool(sys.executable, "-c", code)
    assert result.returncode == 0, result.stderr


def test_the_versions_ask_for_no_exact_pin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if "==" in name]
