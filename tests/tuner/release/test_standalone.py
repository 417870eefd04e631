"""The predict.py of a model folder answers as `tuner predict` does, with numpy, onnxruntime and pillow alone."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tuner.cli.models import predict as predict_command
from tuner.release.bundle import PREDICT, REQUIRED, REQUIREMENTS, bundle, write_runner
from tuner.release.folder import ONNX, ModelSpec, write_manifest

CLASSES = ("blue", "path", "초록")
SIZE, SHORT = 28, 32
ROOT = Path(__file__).parents[3]


def write_graph(spec, path):
    """A small network as model.onnx that every pixel counts in: quicker than to export one."""
    values = SIZE * SIZE * 3
    weights = np.random.default_rng(3).normal(0, 0.05, (values, len(CLASSES))).astype(np.float32)
    constants = [numpy_helper.from_array(weights - weights.mean(0), "weights")]
    constants += [numpy_helper.from_array(np.float32(value), f"by{value}") for value in (100, 300)]
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["values"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["products"]),
        helper.make_node("Div", ["products", "by300"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ReduceMax", ["values"], ["brightest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["brightest", "by100"], ["strangeness"]),
    ]
    shapes = {"images": (TensorProto.UINT8, ["b", SIZE, SIZE, 3])}
    outputs = {"probabilities": ["b", len(CLASSES)], "strangeness": ["b"]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = "tuner", spec.to_json()
    onnx.save(model, str(path))


def make_folder(folder, **more):
    folder.mkdir()
    spec = ModelSpec("small", CLASSES, SIZE, SHORT, (0.5,) * 3, (0.5,) * 3, **more)
    write_graph(spec, folder / ONNX)
    write_runner(folder)
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose model has scores for sets, costs and strangeness."""
    scores = tuple(tuple(np.linspace(0.1, 0.75, 20)) for _ in CLASSES)
    costs = ((0.0, 1.0, 1.0), (30.0, 0.0, 1.0), (1.0, 1.0, 0.0))
    place = tmp_path_factory.mktemp("made") / "model"
    return make_folder(place, scores=scores, costs=costs, strange_at_95=0.9)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("made") / "model")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Files of every kind that cameras, programs and broken disks leave."""
    place = tmp_path_factory.mktemp("odd")
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize((90, 60), Image.Resampling.BICUBIC)
    photo.save(place / "plain.jpg", quality=95)
    for turn in (3, 6, 7):
        exif = Image.Exif()
        exif[0x0112] = turn
        photo.save(place / f"turned{turn}.jpg", exif=exif.tobytes())
    (place / "damaged-exif.jpg").write_bytes(
        (place / "turned6.jpg").read_bytes().replace(b"MM\x00*", b"MM\x00+", 1)
    )
    photo.convert("CMYK").save(place / "cmyk.jpg")
    photo.convert("L").save(place / "grey.webp", lossless=True)
    photo.quantize(16).save(place / "palette.png")
    photo.quantize(16).save(place / "palette-clear.png", transparency=3)
    photo.convert("1").save(place / "bits.bmp")
    clear = photo.convert("RGBA")
    clear.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))))
    clear.save(place / "clear.png")
    clear.convert("LA").save(place / "clear-grey.tif")
    photo.save(place / "pages.tif", save_all=True, append_images=[photo.rotate(90)])
    deep = (np.asarray(photo).astype(np.uint16) * 200 + 77).astype(np.uint16)
    cv2.imwrite(str(place / "deep-colour.png"), deep)
    cv2.imwrite(str(place / "deep-grey.png"), deep[..., 0] // 16)
    Image.fromarray(deep[..., 0].astype(np.float32) / 60000).save(place / "float.tif")
    photo.resize((300, 20)).save(place / "strip.png")
    Image.new("L", (1, 1)).save(place / "dot.png")
    whole = (place / "plain.jpg").read_bytes()
    (place / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (place / "nothing.jpeg").write_bytes(b"")
    (place / "text.png").write_text("no picture")
    (place / "below").mkdir()
    photo.rotate(20).save(place / "below" / "inside.PNG")
    os.mkfifo(place / "pipe.png")
    (place / "lost.png").symlink_to("nowhere.png")
    return place


def names_of(package, known=frozenset()):
    """A distribution and those that it needs."""
    package = re.split(r"[^\w.-]", package)[0].lower()
    if package in known:
        return known
    known |= {package}
    for needed in distribution(package).requires or ():
        if "extra ==" not in needed:
            known = names_of(needed, known)
    return known


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with what `pip install -r requirements.txt` would install, and nothing else."""
    place = tmp_path_factory.mktemp("packages")
    for package in frozenset().union(*(names_of(one) for one in REQUIRED)):
        found = distribution(package)
        for top in {file.parts[0] for file in found.files if ".." not in file.parts}:
            if not (place / top).exists():
                (place / top).symlink_to(found.locate_file(top))
    return place


@pytest.fixture
def run(alone):
    """The predict.py of a folder as a program of its own, where only the three packages are."""

    def run(folder, *arguments, cwd=None):
        command = [sys.executable, "-S", str(folder / PREDICT), *map(str, arguments)]
        surroundings = {"PYTHONPATH": str(alone), "PATH": os.environ["PATH"], "HOME": str(alone)}
        return subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=cwd)

    return run


def by_tuner(folder, *arguments):
    return CliRunner().invoke(predict_command, [str(folder), *map(str, arguments)])


def test_it_prints_what_tuner_predict_prints_for_odd_files(folder, odd, run):
    options = ("--alpha", "0.1", "--min-confidence", "0.5")
    told, expected = run(folder, odd, *options), by_tuner(folder, odd, *options)
    assert told.returncode == expected.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines == expected.stdout.splitlines()
    assert told.stderr == expected.stderr
    assert len(lines) == 24
    assert sum("error: " in line for line in lines) == 5
    for word in (
        "\tunsure\t",
        "\tpath\t",
        ", 초록}",
        "unlike the training images",
        "it is not a regular file",
    ):
        assert word in told.stdout
    assert "least expected cost" in told.stderr
    assert "pictures, and the model was trained on none" in told.stderr


def test_its_probabilities_are_those_of_tuner_predict_to_a_millionth(folder, odd, run):
    found, expected = (
        json.loads(text)
        for text in (run(folder, odd, "--json").stdout, by_tuner(folder, odd, "--json").stdout)
    )
    assert found["classes"] == list(CLASSES)
    for mine, other in zip(found["images"], expected["images"], strict=True):
        assert mine.keys() == other.keys()
        for key, value in mine.items():
            assert value == (pytest.approx(other[key], abs=1e-6) if isinstance(value, float) else other[key])
    answered = [row for row in found["images"] if row["error"] is None]
    assert np.ptp([row["blue"] for row in answered]) > 0.05
    likeliest = [max(("blue", "class path", "초록"), key=row.__getitem__) for row in answered]
    others = [row for row, name in zip(answered, likeliest, strict=True) if row["class"] not in name]
    assert others, "costs change no answer"


def test_a_plain_model_needs_no_other_file_than_its_graph(plain, odd, run, tmp_path):
    for name in (ONNX, PREDICT):
        (tmp_path / name).write_bytes((plain / name).read_bytes())
    told = run(tmp_path, "plain.jpg", cwd=odd)
    assert told.stdout == by_tuner(plain, odd / "plain.jpg").stdout.replace(f"{odd}/", "")
    assert run(tmp_path, "torn.jpg", cwd=odd).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.jpg",), "none.jpg is no file, no folder, and no pattern that fits one"),
        (("plain.jpg", "--alpha", "2"), "--alpha 2 must be at most 0.5"),
        (("plain.jpg", "--alpha", "0.1"), "the model has no calibrated sets"),
        (("plain.jpg", "--min-confidence", "much"), "--min-confidence 'much' is no number"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_tuner_predict(plain, odd, run, arguments, said):
    told = run(plain, *arguments, cwd=odd)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("predict.py: ")
    assert said in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_an_altered_model_is_refused(plain, odd, run, tmp_path):
    for file in plain.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / ONNX).open("ab") as file:
        file.write(b"\0")
    told = run(tmp_path, odd / "plain.jpg")
    assert "model.onnx has been altered since it was written" in told.stderr


def test_what_it_requires_is_what_tuner_requires_of_the_three(plain):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(REQUIRED) <= set(project["dependencies"])
    lines = (plain / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    assert lines[1:] == list(REQUIRED)
    assert "predict" not in project["optional-dependencies"]


def test_it_imports_nothing_beside_the_three_and_the_standard_library(plain):
    text = (plain / PREDICT).read_text(encoding="utf-8")
    roots = set(re.findall(r"^\s*(?:import|from) ([a-zA-Z_]\w*)", text, re.MULTILINE))
    assert roots - set(sys.stdlib_module_names) == {"numpy", "PIL", "onnxruntime"}


def test_a_folder_without_the_graph_gets_no_program(tmp_path):
    write_runner(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_parts_that_can_not_stand_in_one_file_are_refused(tmp_path, monkeypatch):
    (tmp_path / "lone_first.py").write_text("def look():\n    return 1\n")
    (tmp_path / "lone_second.py").write_text("def look():\n    return 2\n\n\ndef see():\n    return look()\n")
    (tmp_path / "lone_clash.py").write_text(
        '"""Two of one name."""\nfrom lone_first import look\nfrom lone_second import see\nSEEN = look() + see()\n'
    )
    (tmp_path / "lone_other.py").write_text(
        '"""Another name."""\nfrom lone_first import look as see\nSEEN = see()\n'
    )
    (tmp_path / "lone_inside.py").write_text(
        '"""Inside."""\ndef f():\n    from lone_first import look\n    return look()\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tuner.release.bundle._OWN", ("lone_first", "lone_second"))
    for name, why in (
        ("lone_clash", "both define look"),
        ("lone_other", "imports look as see"),
        ("lone_inside", "import it at the top"),
    ):
        with pytest.raises(ValueError, match=why):
            bundle(name)
