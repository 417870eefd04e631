import csv
import io
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from pictures import stretch, write_pictures
from PIL import Image
from rich.console import Console

from trainables.config import FITS
from trainables.data.batches import normalise
from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import read_rgb
from trainables.data.deep import Levels
from trainables.data.preprocessing import cache_side, centre_crop, picture
from trainables.errors import InvalidValue, RunProblem
from trainables.models import create
from tuner.cli.models import predict as predict_command
from tuner.console.reporter import Reporter
from tuner.dataset.ood import features_and_means, fit_strangers
from tuner.release.folder import LABELS, ONNX, ModelSpec, verify, write_manifest
from tuner.release.formats import TOLERANCE, write_formats
from tuner.release.portable import Portable
from tuner.release.predict import find_images, load_model, predict
from tuner.release.predictions import Prediction, write_predictions, writing

CLASSES = ("blue", "path", "초록")
SIZE = 32


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, {"blue": 3, "green": 3}, side=50)
    return folder


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return create("resnet18", len(CLASSES)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, classifier, pictures):
    folder = tmp_path_factory.mktemp("model") / "model"
    folder.mkdir()
    spec = ModelSpec("resnet18", CLASSES, SIZE, cache_side(SIZE), classifier.mean, classifier.std)
    (folder / LABELS).write_text(spec.to_json(), encoding="utf-8")
    images = np.stack([picture(read_rgb(p), SIZE, cache_side(SIZE)) for p in find_images([str(pictures)])])
    differences = write_formats(Portable(classifier), spec, folder, images)
    assert set(differences) == {ONNX, "model.pt2"}
    assert max(differences.values()) <= TOLERANCE
    write_manifest(folder)
    return folder


@pytest.fixture(scope="module")
def wary(tmp_path_factory, classifier, pictures):
    """A model.onnx of the same network that says how unlike its training images a picture is."""
    place = tmp_path_factory.mktemp("wary")
    random = np.random.default_rng(0)
    known = np.stack([picture(read_rgb(p), SIZE, cache_side(SIZE)) for p in find_images([str(pictures)])])
    noise = random.integers(0, 12, (60, 1, 1, 1), dtype=np.uint8) + known[np.arange(60) % len(known)] // 2
    values = torch.from_numpy(noise).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(part).reshape(1, 3, 1, 1) for part in (classifier.mean, classifier.std))
    with torch.no_grad():
        features = features_and_means(classifier, (values - mean) / std)[1]
    labels = np.arange(60) % len(CLASSES)
    found = fit_strangers(features[:40], labels[:40], features[40:], labels[40:], CLASSES)
    spec = ModelSpec(
        *("resnet18", CLASSES, SIZE, cache_side(SIZE), classifier.mean, classifier.std),
        strange_at_95=found.at_95,
    )
    differences = write_formats(Portable(classifier, strangers=found.score), spec, place, known)
    assert max(differences.values()) <= TOLERANCE
    return place / ONNX


def deepened(pictures, place, white):
    """The pictures in grey as 8 bits and as 16 bits up to `white`: two folders below `place`."""
    for kind in ("plain", "deep"):
        (place / kind).mkdir()
    for number, path in enumerate(find_images([str(pictures)])):
        grey = read_rgb(path).mean(2).round().astype(np.uint16)
        cv2.imwrite(str(place / "plain" / f"{number}.png"), grey.astype(np.uint8))
        cv2.imwrite(str(place / "deep" / f"{number}.png"), (grey * (white / 255)).round().astype(np.uint16))
    return [find_images([str(place / kind)]) for kind in ("plain", "deep")]


def test_deep_pictures_are_answered_at_the_scale_of_the_model(folder, pictures, tmp_path):
    plain, deep = deepened(pictures, tmp_path, 4095)
    model = load_model(folder)
    scaled = replace(model, spec=replace(model.spec, scale={"int16": Levels(0.0, 4095.0)}))
    assert ModelSpec.from_json(scaled.spec.to_json(), "labels.json") == scaled.spec
    console = Console(file=io.StringIO(), record=True, width=400)
    expected = np.array([one.probabilities for one in predict(scaled, plain)])
    found = np.array([one.probabilities for one in predict(scaled, deep, Reporter(console))])
    assert np.abs(found - expected).max() < 1e-6
    assert "scale" not in console.export_text()


def test_pictures_of_a_kind_without_a_scale_are_said(folder, pictures, tmp_path):
    _, deep = deepened(pictures, tmp_path, 65535)
    console = Console(file=io.StringIO(), record=True, width=400)
    predict(load_model(folder), deep, Reporter(console))
    assert "6 of 6 images are 16-bit pictures, and the model was trained on none" in console.export_text()


def test_a_picture_of_something_else_is_called_strange(wary, folder, pictures, tmp_path):
    odd = tmp_path / "odd"
    write_pictures(odd, {"checks": 1}, side=50)
    pattern = (np.indices((50, 50)).sum(0) // 4 % 2 * 255).astype(np.uint8)
    cv2.imwrite(str(odd / "checks" / "000.png"), np.dstack([pattern, 255 - pattern, pattern]))
    plain = predict(load_model(folder), find_images([str(pictures)]))
    assert all(one.strangeness is None for one in plain)
    answers = predict(load_model(wary), find_images([str(pictures), str(odd)]))
    assert all(one.strangeness < answers[-1].strangeness for one in answers[:-1])
    assert answers[-1].strangeness > 1
    np.testing.assert_allclose(answers[0].probabilities, plain[0].probabilities, atol=1e-5)


def test_strangeness_is_a_column_and_a_word_where_the_model_has_it(wary, folder, pictures, tmp_path):
    for model, columns in ((wary, ["strangeness"]), (folder, [])):
        out = tmp_path / f"{len(columns)}.csv"
        done = CliRunner().invoke(predict_command, [str(model), str(pictures), "--out", str(out)])
        assert done.exit_code == 0, done.output
        head = out.read_text(encoding="utf-8").splitlines()[0].split(",")
        assert head[: 4 + len(columns)] == ["path", "class", "probability", "error", *columns]
        assert len(head) == 4 + len(columns) + len(CLASSES)
    pattern = (np.indices((50, 50)).sum(0) // 4 % 2 * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "odd.png"), np.dstack([pattern, 255 - pattern, pattern]))
    said = CliRunner().invoke(predict_command, [str(wary), str(tmp_path / "odd.png")]).output
    assert "unlike the training images (" in said


@pytest.fixture
def copy(folder, tmp_path):
    """The model folder, to be spoiled."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_predictions_equal_the_pytorch_model_on_images_as_training_saw_them(
    folder, classifier, pictures, tmp_path
):
    paths = find_images([str(pictures)])
    names = [path.relative_to(pictures).as_posix() for path in paths]
    cache = ImageCache.open(build_cache(pictures, names, names, SIZE, cache_dir=tmp_path))
    images = torch.from_numpy(centre_crop([cache[row] for row in range(len(cache))], SIZE)).permute(
        0, 3, 1, 2
    )
    with torch.inference_mode():
        truth = classifier(normalise(images, classifier.mean, classifier.std)).softmax(1)
    answers = predict(load_model(folder), paths)
    assert [answer.path for answer in answers] == list(map(str, paths))
    found = np.array([answer.probabilities for answer in answers])
    assert np.abs(found - truth.numpy()).max() < 1e-4
    assert np.ptp(found, axis=0).max() > 1e-3


@pytest.mark.parametrize("fit", FITS)
def test_of_long_pictures_a_model_sees_what_training_saw_however_they_become_squares(
    folder, classifier, fit, tmp_path
):
    names = write_pictures(tmp_path / "long", {"blue": 2, "green": 2}, side=50)
    stretch(tmp_path / "long")
    cache = ImageCache.open(build_cache(tmp_path / "long", names, names, SIZE, fit=fit, cache_dir=tmp_path))
    seen = torch.from_numpy(centre_crop([cache[row] for row in range(len(cache))], SIZE))
    with torch.inference_mode():
        truth = classifier(normalise(seen.permute(0, 3, 1, 2), classifier.mean, classifier.std)).softmax(1)
    model = load_model(folder)
    model = replace(model, spec=replace(model.spec, fit=fit, short_side=cache_side(SIZE, fit)))
    answers = predict(model, [tmp_path / "long" / name for name in names])
    assert np.abs(np.array([one.probabilities for one in answers]) - truth.numpy()).max() < 1e-4


def test_the_onnx_file_alone_says_its_classes_and_sizes(folder, tmp_path):
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((folder / ONNX).read_bytes())
    spec = load_model(alone).spec
    assert (spec.classes, spec.image_size, spec.short_side) == (CLASSES, 32, 37)


def test_the_exported_program_carries_its_labels(folder):
    extra = {"labels.json": ""}
    program = torch.export.load(folder / "model.pt2", extra_files=extra).module()
    assert ModelSpec.from_json(extra["labels.json"], "pt2").classes == CLASSES
    images = torch.zeros(5, SIZE, SIZE, 3, dtype=torch.uint8)
    assert program(images)["probabilities"].sum(1).tolist() == pytest.approx([1.0] * 5)


def test_a_file_that_is_no_image_is_a_row_with_an_error(folder, pictures, tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    (tmp_path / "text.txt").write_text("not an image")
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    named = [
        tmp_path / "torn.jpg",
        pictures / "blue" / "000.png",
        tmp_path / "text.txt",
        tmp_path / "dot.png",
    ]
    torn, good, text, dot = predict(load_model(folder), named)
    assert (torn.probabilities, text.probabilities) == (None, None)
    assert "can't be read" in torn.error
    assert "no image" in text.error
    assert sum(good.probabilities) == pytest.approx(1, abs=1e-5)
    assert sum(dot.probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_every_table_has_one_row_an_image_and_one_column_a_class(folder, pictures, tmp_path, suffix):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    answers = predict(load_model(folder), [*find_images([str(pictures / "blue")]), tmp_path / "torn.png"])
    out = tmp_path / f"out{suffix}"
    write_predictions(answers, CLASSES, out)
    if suffix == ".parquet":
        rows = pq.read_table(out).to_pylist()
    elif suffix == ".json":
        rows = json.loads(out.read_text(encoding="utf-8"))
    else:
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "probability", "error", "blue", "class path", "초록"]
    assert len(rows) == 4
    best = max(range(3), key=answers[0].probabilities.__getitem__)
    assert rows[0]["class"] == CLASSES[best]
    assert float(rows[0]["blue"]) == pytest.approx(answers[0].probabilities[0])
    assert "can't be read" in rows[3]["error"]
    assert rows[3]["blue"] in (None, "")


def odd_name(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_name_that_is_no_utf8_costs_no_answer(folder, pictures, tmp_path, suffix):
    source = (pictures / "blue" / "000.png").read_bytes()
    (tmp_path / "d").mkdir()
    odd_name(tmp_path / "d", b"caf\xe9.png").write_bytes(source)
    odd_name(tmp_path / "d", b"torn\xff.png").write_bytes(b"")
    (tmp_path / "d" / "plain.png").write_bytes(source)
    out = tmp_path / f"out{suffix}"
    write_predictions(predict(load_model(folder), find_images([str(tmp_path / "d")])), CLASSES, out)
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".json": pd.read_json}[suffix]
    rows = read(out)
    assert [Path(path).name for path in rows["path"]] == [r"caf\xe9.png", "plain.png", r"torn\xff.png"]
    assert rows["probability"].notna().tolist() == [True, True, False]
    assert "it holds no image" in rows["error"][2]


def test_the_terminal_takes_such_names_too(folder, pictures, tmp_path):
    odd_name(tmp_path, b"caf\xe9.png").write_bytes((pictures / "blue" / "000.png").read_bytes())
    done = CliRunner().invoke(predict_command, [str(folder), str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert r"/caf\xe9.png" in done.output


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_answers_are_on_disk_as_they_come_and_kept_when_something_breaks(tmp_path, suffix):
    said = Console(file=io.StringIO(), record=True, width=200)
    answers = [Prediction(f"{n}.png", (0.1, 0.7, 0.2)) for n in range(40)]
    out = tmp_path / f"out{suffix}"
    with pytest.raises(RuntimeError, match="late"), writing(out, CLASSES, Reporter(said)) as add:  # noqa: PT012
        add(answers)
        (temporary,) = tmp_path.iterdir()
        assert suffix == ".parquet" or "39.png" in temporary.read_text()
        raise RuntimeError("late")
    (partial,) = tmp_path.iterdir()
    assert partial.name == f"out.partial{suffix}"
    assert f"the 40 answers so far are in {partial}" in said.export_text().replace("\n", "")
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv, ".json": pd.read_json}[suffix]
    assert len(read(partial)) == 40
    with pytest.raises(RuntimeError, match="early"), writing(tmp_path / f"two{suffix}", CLASSES):
        raise RuntimeError("early")
    assert list(tmp_path.iterdir()) == [partial]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_place_that_can_not_be_written_is_said_before_any_answer(tmp_path, suffix):
    (tmp_path / f"folder{suffix}").mkdir()
    for place, why in (("none/out", "its folder does not exist"), ("folder", "it is a folder")):
        with (
            pytest.raises(InvalidValue, match=why),
            writing(tmp_path / f"{place}{suffix}", CLASSES),
        ):
            pytest.fail("the work was started")


def test_a_full_disk_is_said_in_a_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with (  # noqa: PT012
        pytest.raises(InvalidValue, match=r"out\.csv can't be written: no space left on device"),
        writing(tmp_path / "out.csv", CLASSES) as add,
    ):
        monkeypatch.setattr(csv.DictWriter, "writerows", full)
        add([Prediction("a.png", (0.1, 0.7, 0.2))])


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match=r"\.parquet, \.csv, \.json"):
        write_predictions([], CLASSES, tmp_path / "out.xlsx")


def test_folders_files_and_patterns_are_found_once_and_in_order(pictures, tmp_path):
    (pictures / "blue" / ".hidden.png").write_bytes(b"")
    (tmp_path / "odd.dat").write_bytes(b"")
    named = [str(tmp_path / "odd.dat"), str(pictures / "*" / "001.png"), str(pictures)]
    found = find_images(named)
    assert found[0] == tmp_path / "odd.dat"
    names = [path.relative_to(pictures).as_posix() for path in found[1:]]
    others = ["blue/000.png", "blue/002.png", "green/000.png", "green/002.png"]
    assert names == ["blue/001.png", "green/001.png", *others]
    assert find_images([str(pictures / "**" / "000.png")]) == [
        pictures / "blue/000.png",
        pictures / "green/000.png",
    ]


def test_linked_folders_are_followed_and_each_image_is_found_once(pictures, tmp_path):
    (tmp_path / "linked").symlink_to(pictures / "green")
    (tmp_path / "again").symlink_to(tmp_path / "linked")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "lost.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = find_images([str(tmp_path), str(pictures), str(pictures / "green" / "000.png")])
    names = [path.relative_to(tmp_path).as_posix() for path in found[:5]]
    assert names == ["again/000.png", "again/001.png", "again/002.png", "lost.png", "pipe.png"]
    blue = [path.relative_to(pictures).as_posix() for path in found[5:]]
    assert [name for name in blue if name.startswith("green")] == []
    assert len([name for name in blue if not Path(name).name.startswith(".")]) == len(blue) == 3


def test_folders_that_a_pattern_fits_are_read(pictures, tmp_path):
    (pictures / ".cache").mkdir()
    (pictures / ".cache" / "x.png").write_bytes(b"")
    found = [path.relative_to(pictures).as_posix() for path in find_images([f"{pictures}/*"])]
    assert len(found) == 6
    assert {name.split("/")[0] for name in found} == {"blue", "green"}


def test_what_is_named_like_an_image_and_is_none_gets_an_answer(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to("nowhere.png")
    lost, pipe = predict(load_model(folder), find_images([str(tmp_path)]))
    assert lost.error == "can't be read: No such file or directory"
    assert pipe.error == "can't be read: it is not a regular file"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InvalidValue, match=r"none\.jpg is no file, no folder"):
        find_images([str(tmp_path / "none.jpg")])
    with pytest.raises(InvalidValue, match="holds no image file"):
        find_images([str(tmp_path)])


@pytest.mark.parametrize("name", [ONNX, "model.pt2", "model.safetensors", LABELS])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(RunProblem, match=f"lacks {name}"):
        load_model(copy)


@pytest.mark.parametrize("name", [ONNX, "model.pt2", "model.safetensors", LABELS])
def test_one_altered_byte_is_noticed(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RunProblem, match=f"{name} has been altered"):
        load_model(copy)


def test_what_is_no_model_folder_is_said_to_be_none(tmp_path, copy):
    with pytest.raises(RunProblem, match="not a model folder"):
        load_model(tmp_path / "nowhere")
    (copy / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunProblem, match="can't be read as a manifest"):
        verify(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(RunProblem, match=r"it has no manifest\.json"):
        load_model(copy)


def test_an_onnx_file_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "odd.onnx").write_bytes(b"no protobuf")
    with pytest.raises(RunProblem, match="can't be read as an ONNX model"):
        load_model(tmp_path / "odd.onnx")
    program = torch.onnx.export(
        torch.nn.Linear(2, 2).eval(), (torch.zeros(1, 2),), dynamo=True, verbose=False
    )
    program.save(str(tmp_path / "linear.onnx"))
    with pytest.raises(RunProblem, match="does not name its classes"):
        load_model(tmp_path / "linear.onnx")


def test_a_gpu_answers_in_whole_fp32_as_the_processor_does(tmp_path, monkeypatch, classifier):
    spec = ModelSpec("resnet18", CLASSES, SIZE, 37, classifier.mean, classifier.std)
    asked = []

    class Session:
        def __init__(self, path, options, providers):
            asked.append(providers)

        def get_modelmeta(self):
            return SimpleNamespace(custom_metadata_map={"tuner": spec.to_json()})

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    (tmp_path / "model.onnx").touch()
    for offered in (["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda offered=offered: offered)
        load_model(tmp_path / "model.onnx")
    gpu = ("CUDAExecutionProvider", {"use_tf32": "0"})
    assert asked == [["CPUExecutionProvider"], [gpu, "CPUExecutionProvider"]]


def test_an_export_that_answers_differently_is_refused(tmp_path, monkeypatch, pictures):
    classifier = create("timm:test_resnet", len(CLASSES)).eval()
    spec = ModelSpec("timm:test_resnet", CLASSES, SIZE, 37, classifier.mean, classifier.std)
    images = np.stack([picture(read_rgb(p), SIZE, 37) for p in find_images([str(pictures)])])
    right = onnxruntime.InferenceSession.run

    def wrong(self, *arguments):
        return [right(self, *arguments)[0] + 2e-4]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", wrong)
    with pytest.raises(RunProblem, match=r"model\.onnx answers differently.*0\.0002"):
        write_formats(Portable(classifier), spec, tmp_path, images)
    assert (tmp_path / "model.safetensors").exists()


def test_predict_runs_without_torch_ray_and_pandas(folder, pictures, tmp_path):
    out = tmp_path / "out.parquet"
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        ABSENT = {"torch", "torchvision", "ray", "pandas", "optuna", "sklearn", "matplotlib", "scipy", "cv2"}

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ABSENT:
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Absent())
        from tuner.cli.models import predict
        predict(sys.argv[1:])
        """)
    )
    command = [sys.executable, str(script), str(folder), str(pictures / "blue"), "--out", str(out)]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": root, "HOME": "/"})
    assert done.returncode == 0, done.stderr
    assert "3 images answered, 0 could not be read" in done.stdout
    assert pq.read_table(out).num_rows == 3


def test_explain_shows_where_the_model_looked(folder, pictures, tmp_path, classifier):
    from fake_run import make_run

    from tuner.release.explain import explain, require_explain
    from tuner.runs.best_file import save_best
    from tuner.runs.best_trial import best_of

    pytest.importorskip("pytorch_grad_cam")
    run = make_run(tmp_path / "run", samples=0)
    row = run.trials().to_dict("records")[0] | {"model": "resnet18"}
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_best(best_of(run, row), tmp_path / "best.yaml")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    model = load_model(folder)
    answers = predict(model, [tmp_path / "torn.png", pictures / "green" / "001.png"])
    require_explain(tmp_path, model.spec)
    written = explain(tmp_path, model.spec, answers, tmp_path / "out")
    assert len(written) == 1
    drawn = np.asarray(Image.open(written[0]))
    assert drawn.shape == (SIZE, 2 * SIZE, 3)
    seen = picture(read_rgb(pictures / "green" / "001.png"), SIZE, 37)
    assert (drawn[:, :SIZE] == seen).all()
    assert (drawn[:, SIZE:] != seen).any()
    squashing = replace(model.spec, fit="squash", short_side=SIZE)
    [other] = explain(tmp_path, squashing, answers[1:], tmp_path / "squashed")
    seen = picture(read_rgb(pictures / "green" / "001.png"), SIZE, SIZE, "squash")
    assert (np.asarray(Image.open(other))[:, :SIZE] == seen).all()


@pytest.mark.parametrize("name", ["timm:test_mambaout", "timm:test_resnet"])
def test_explain_takes_channels_for_channels_in_either_layout(name):
    pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam import GradCAM

    from tuner.release.explain import grad_cam_of

    classifier = create(name, 2, dropout=0.0).eval()
    layer = classifier.stages[-2].modules[-1]
    with grad_cam_of(GradCAM, classifier, layer) as cam:
        assert cam(torch.randn(1, 3, 64, 64), targets=None).shape == (1, 64, 64)
        held = cam.activations_and_grads
        shapes = [tensors[0].shape for tensors in (held.activations, held.gradients)]
    channels = classifier.backbone.feature_info[-2]["num_chs"]
    assert [shape[1] for shape in shapes] == [channels, channels]


def test_explain_needs_the_weights(folder):
    from tuner.release.explain import require_explain

    with pytest.raises(RunProblem, match="needs the model folder"):
        require_explain(folder / ONNX, load_model(folder).spec)


def test_explain_refuses_an_ensemble(folder):
    from tuner.release.explain import require_explain

    with pytest.raises(
        RunProblem, match=r"where one model looked, and .* holds 3 whose answers are averaged"
    ):
        require_explain(folder, replace(load_model(folder).spec, members=3))
