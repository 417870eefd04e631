"""What published results say of backbones: how well each fine-tunes, and what its epochs cost.

    python -m benchmarks.quality.known_backbones --published DIR

DIR holds tables of others, which are not part of the project:

- `fastai_timm.csv` (T. Capelle, fastai_timm): 86 models of timm fine-tuned on two sets of images, error rates;
- `timm-results-imagenet-real.csv`, `timm-infer-cpu-i7_12700h.csv`, `timm-train-rtx3090.csv` (R. Wightman,
  pytorch-image-models, Apache-2.0): error on ImageNet by corrected labels, images a second.

Prints the rows of `trainables.models.known`, then how good a prior is that was fitted on one of the two sets of images
and is shown on the other. The weights of prior and probe together are fitted on 10 networks and 5 sets of images of the
TMLR transferability benchmark (github.com/VirtualSpaceman/tmlr-transferability-benchmark, inputs/transf_scores.csv),
from which the test accuracy and one score, NLEEP, stand below.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from trainables.models.candidates import CANDIDATES, TIMM_PREFIX
from trainables.models.known import ATTENTION, WIDE

Floats = npt.NDArray[np.float64]

SETS = ("pets", "planet")
USUAL_TAGS = (
    "augreg_in21k_ft_in1k",
    *("fb_in1k", "ms_in1k", "pycls_in1k", "a1_in1k", "a1h_in1k", "ra_in1k", "ra2_in1k", "bt_in1k"),
)
"""The sweep names no weights: the tags that timm took by default at its time, the first that a network has."""

RENAMED = {
    "convnext_base_in22ft1k": "convnext_base.fb_in22k_ft_in1k",
    "convnext_base_in22k": "convnext_base.fb_in22k_ft_in1k",
    "convnext_large_in22k": "convnext_large.fb_in22k_ft_in1k",
    "convnext_small_in22k": "convnext_small.fb_in22k_ft_in1k",
    "convnext_tiny_in22k": "convnext_tiny.fb_in22k_ft_in1k",
    "swin_base_patch4_window7_224": "swin_base_patch4_window7_224.ms_in22k_ft_in1k",
    "swin_base_patch4_window7_224_in22k": "swin_base_patch4_window7_224.ms_in22k_ft_in1k",
    "swin_large_patch4_window7_224": "swin_large_patch4_window7_224.ms_in22k_ft_in1k",
    "swin_large_patch4_window7_224_in22k": "swin_large_patch4_window7_224.ms_in22k_ft_in1k",
    "vit_base_patch16_224": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "vit_base_patch16_224_miil": "vit_base_patch16_224_miil.in21k_ft_in1k",
    "vit_base_patch16_224_sam": "vit_base_patch16_224.sam_in1k",
    "vit_base_patch32_224_sam": "vit_base_patch32_224.sam_in1k",
    "mobilenetv3_large_100_miil_in21k": "mobilenetv3_large_100.miil_in21k_ft_in1k",
    "resnetv2_50x1_bit_distilled": "resnetv2_50x1_bit.goog_distilled_in1k",
    "regnetz_040h": "regnetz_040_h.ra3_in1k",
}
MEASURED = {
    "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224",
    "timm:vit_small_patch16_224.augreg_in21k_ft_in1k": "vit_small_patch16_224",
    "timm:vit_base_patch16_224.augreg2_in21k_ft_in1k": "vit_base_patch16_224",
    "timm:resnet50.a1_in1k": "resnet50",
    "timm:convnext_base.fb_in22k_ft_in1k": "convnext_base_in22ft1k",
    "timm:swinv2_cr_tiny_ns_224.sw_in1k": "swinv2_cr_tiny_ns_224",
    "timm:swinv2_cr_small_ns_224.sw_in1k": "swinv2_cr_small_ns_224",
    "resnet18": "resnet18",
}
"""Candidates whose weights the sweep fine-tuned itself."""

ON_IMAGENET = {
    "mobilenet_v2": "mobilenetv2_100.ra_in1k",
    "googlenet": None,
    "resnet18": "resnet18.tv_in1k",
    "resnet50": "resnet50.tv_in1k",
    "vgg16": "vgg16.tv_in1k",
}
"""torchvision's, and whose result in timm's table stands for theirs."""

OWN_MILLIONS = {"vgg16": 14.7}
"""Millions of parameters without the head where that has most of them: the head is replaced."""

REFERENCE = "resnet50"
"""Seconds are told in those of this network."""

TMLR_MODELS = (
    *("densenet121.tv_in1k", "densenet161.tv_in1k", "densenet169.tv_in1k", "efficientnet_b0.ra_in1k"),
    *("mobilenetv2_050.lamb_in1k", "mobilenetv2_100.ra_in1k", "resnet18.tv_in1k", "resnet34.tv_in1k"),
    *("resnet50.tv_in1k", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
)
TMLR = {
    "sun397": (
        (0.497, 0.514, 0.515, 0.523, 0.411, 0.500, 0.475, 0.485, 0.562, 0.666),
        (1.368, 1.390, 1.412, 1.326, 1.651, 1.431, 1.533, 1.392, 1.276, 0.828),
    ),
    "aircraft": (
        (0.471, 0.564, 0.525, 0.530, 0.275, 0.471, 0.437, 0.457, 0.419, 0.565),
        (1.757, 1.818, 1.850, 1.851, 1.732, 1.785, 1.771, 2.043, 1.894, 1.695),
    ),
    "caltech101": (
        (0.882, 0.883, 0.876, 0.877, 0.740, 0.832, 0.825, 0.865, 0.879, 0.933),
        (0.276, 0.285, 0.284, 0.249, 0.526, 0.346, 0.446, 0.269, 0.239, 0.116),
    ),
    "oxfordpets": (
        (0.875, 0.909, 0.889, 0.886, 0.733, 0.858, 0.858, 0.881, 0.905, 0.920),
        (0.342, 0.287, 0.302, 0.281, 0.637, 0.356, 0.397, 0.278, 0.281, 0.251),
    ),
    "flowers102": (
        (0.859, 0.914, 0.896, 0.885, 0.760, 0.865, 0.864, 0.853, 0.804, 0.989),
        (0.274, 0.282, 0.311, 0.264, 0.289, 0.206, 0.359, 0.400, 0.337, 0.020),
    ),
}
"""By set of images: test accuracy after fine-tuning of the models above, and minus NLEEP, in nats (0 as 0.02)."""


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", type=Path, required=True, help="folder of the tables")
    folder = parser.parse_args().published
    sweep, results = read_sweep(folder), read_results(folder)
    by_result, by_size = (fit(sweep, columns) for columns in (RESULT, SIZE))
    print(f"by ImageNet's error: {_formula(by_result)}\nby size alone: {_formula(by_size)}\n")
    print_known(sweep, results, by_result, by_size, read_seconds(folder))
    print_shown(sweep)
    print_weights(results, by_result)


def read_sweep(folder: Path) -> pd.DataFrame:
    """A row a network: its error on both sets, the mean of the better half of its runs, and what else is known."""
    table = pd.read_csv(folder / "fastai_timm.csv")
    errors = table.groupby(["model_name", "dataset"])["error_rate"].apply(_better_half).unstack().dropna()
    results = read_results(folder)
    found = [_result_of(RENAMED.get(str(name), str(name)), results) for name in errors.index]
    there = [one is not None for one in found]
    known = pd.DataFrame([one for one in found if one is not None], index=errors.index[there])
    return errors[there].join(known)


def _better_half(errors: pd.Series) -> float:
    # Two rates were run and which is which is not told; half of the runs are of the better one.
    ordered = np.sort(errors.to_numpy())
    return float(ordered[: (len(ordered) + 1) // 2].mean())


def read_results(folder: Path) -> pd.DataFrame:
    """A row a set of weights: error on ImageNet in percent at the smallest side, millions of parameters."""
    table = pd.read_csv(folder / "timm-results-imagenet-real.csv").sort_values("img_size", kind="stable")
    millions = table["param_count"].astype(str).str.replace(",", "").astype(float)
    table = table.assign(error=100 - table["top1"], millions=millions)
    return table.drop_duplicates("model").set_index("model")[["error", "millions"]]


def _result_of(name: str, results: pd.DataFrame) -> pd.Series | None:
    if name not in results.index and "." not in name:
        own = [one for one in results.index if str(one).partition(".")[0] == name]
        usual = [f"{name}.{tag}" for tag in USUAL_TAGS if f"{name}.{tag}" in own]
        name = (usual or sorted(map(str, own)) or [name])[0]
    if name not in results.index:
        return None
    return pd.concat([results.loc[name], pd.Series(_kind(name))])


def _kind(name: str) -> dict[str, float]:
    arch, _, tag = name.partition(".")
    attention = any(part in arch for part in ATTENTION)
    return {"attention": float(attention), "wide": float(any(part in tag for part in WIDE))}


LIKE = {"vit_small_patch16_dinov3": "vit_small_patch16_224"}
"""Networks that were not timed, and one of the same size and kind that was."""

RESULT = ("log_error", "wide", "attention", "log_millions")
SIZE = ("wide", "attention", "log_millions")


def _columns(table: pd.DataFrame, columns: Sequence[str]) -> Floats:
    every = {
        "log_error": np.log(table["error"]) if "error" in table else None,
        "log_millions": np.log(table["millions"]),
        "wide": table["wide"],
        "attention": table["attention"],
    }
    return np.stack(
        [np.ones(len(table)), *(np.asarray(every[name], dtype=float) for name in columns)], axis=1
    )


def _target(sweep: pd.DataFrame, sets: Sequence[str]) -> Floats:
    """The logarithm of each network's error in those of the geometric mean of all, averaged over `sets`."""
    logs = np.log(sweep[list(sets)].to_numpy())
    return np.asarray((logs - logs.mean(axis=0)).mean(axis=1))


def fit(sweep: pd.DataFrame, columns: Sequence[str], sets: Sequence[str] = SETS) -> dict[str, float]:
    """Least squares of the logarithm of the relative error; `spread` is the standard deviation of what is left."""
    target, design = _target(sweep, sets), _columns(sweep, columns)
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    left = target - design @ weights
    names = ("constant", *columns)
    found = dict(zip(names, map(float, weights), strict=True))
    return {**found, "spread": float(np.sqrt((left**2).sum() / (len(left) - len(weights))))}


def predict(table: pd.DataFrame, fitted: Mapping[str, float]) -> Floats:
    """The logarithm of the relative error that is expected."""
    columns = [name for name in fitted if name not in ("constant", "spread")]
    return np.asarray(
        _columns(table, columns) @ np.array([fitted["constant"], *(fitted[c] for c in columns)])
    )


def _formula(fitted: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:+.3f}" for name, value in fitted.items())


def read_seconds(folder: Path) -> pd.DataFrame:
    """A row a network: seconds of an image at 224 px on a processor (answering) and a GPU (training), relative."""
    cpu = pd.read_csv(folder / "timm-infer-cpu-i7_12700h.csv")
    gpu = pd.read_csv(folder / "timm-train-rtx3090.csv")
    found = {}
    for name, table, rate, side in (
        ("processor", cpu, "infer_samples_per_sec", "infer_img_size"),
        ("gpu", gpu, "train_samples_per_sec", "train_img_size"),
    ):
        # As if time went with the pixels; the side nearest to 224 is taken.
        table = table.assign(seconds=(224 / table[side]) ** 2 / table[rate], far=(table[side] - 224).abs())
        own = table.sort_values("far", kind="stable").drop_duplicates("model").set_index("model")["seconds"]
        found[name] = own / own[REFERENCE]
    return pd.DataFrame(found)


def print_known(
    sweep: pd.DataFrame,
    results: pd.DataFrame,
    by_result: Mapping[str, float],
    by_size: Mapping[str, float],
    seconds: pd.DataFrame,
) -> None:
    """The rows of `trainables.models.known`."""
    measured = dict(zip(sweep.index, _target(sweep, SETS), strict=True))
    both = seconds.dropna()
    ratio = float(np.exp(np.mean(np.log(both["gpu"] / both["processor"]))))
    for candidate in CANDIDATES:
        name = ON_IMAGENET.get(candidate.name, candidate.name.removeprefix(TIMM_PREFIX))
        result = None if name is None else _result_of(name, results)
        if result is not None and candidate.name in OWN_MILLIONS:
            result["millions"] = OWN_MILLIONS[candidate.name]
        if candidate.name in MEASURED:
            expected, basis = measured[MEASURED[candidate.name]], "measured"
        elif result is not None:
            expected, basis = float(predict(pd.DataFrame([result]), by_result)[0]), "ImageNet"
        else:
            row = {"millions": candidate.millions, **_kind(name or candidate.name)}
            expected, basis = float(predict(pd.DataFrame([row]), by_size)[0]), "size"
        arch = (name or candidate.name).partition(".")[0]
        arch = LIKE.get(arch, arch)
        cost = seconds.loc[arch] if arch in seconds.index else pd.Series({"processor": np.nan, "gpu": np.nan})
        gpu = cost["gpu"] if cost["gpu"] == cost["gpu"] else ratio * cost["processor"]
        told = [f"{value:.2f}" if value == value else "None" for value in (cost["processor"], gpu)]
        print(f'    "{candidate.name}": Known({np.exp(expected):.2f}, "{basis}", {", ".join(told)}),')


def print_shown(sweep: pd.DataFrame) -> None:
    """Priors fitted on one set of images and shown on the other: errors of the three networks that they put first."""
    print(
        "\n| fitted on | shown on | prior | rank correlation | regret of the best of three | mean error of the three |"
    )
    print("|---|---|---|---|---|---|")
    random = np.random.default_rng(0)
    for one, other in (SETS, SETS[::-1]):
        error = sweep[other].to_numpy()
        expected = {
            "measured on the first set": _target(sweep, [one]),
            "by ImageNet's error, kind and size": predict(sweep, fit(sweep, RESULT, [one])),
            "by kind and size": predict(sweep, fit(sweep, SIZE, [one])),
            "ImageNet's error alone": np.log(sweep["error"].to_numpy()),
        }
        for name, prior in expected.items():
            three = error[np.argsort(prior, kind="stable")[:3]]
            rank = stats.spearmanr(prior, error).statistic
            print(
                f"| {one} | {other} | {name} | {rank:.2f} | {100 * (three.min() - error.min()):.2f} % |"
                f" {100 * three.mean():.2f} % |"
            )
        draws = [error[random.choice(len(error), 3, replace=False)] for _ in range(10_000)]
        best = np.mean([three.min() for three in draws]) - error.min()
        print(f"| | {other} | three at random | 0 | {100 * best:.2f} % | {100 * error.mean():.2f} % |")


def print_weights(results: pd.DataFrame, by_result: Mapping[str, float]) -> None:
    """How much the logarithms of prior and probe weigh: fitted on all sets but one, and shown on that."""
    table = pd.DataFrame([_result_of(name, results) for name in TMLR_MODELS])
    prior = predict(table, by_result)
    prior = prior - prior.mean()
    errors = {name: 1 - np.array(accuracy) for name, (accuracy, _) in TMLR.items()}
    probes = {name: _centred(np.log(score)) for name, (_, score) in TMLR.items()}
    print("\n| shown on | weights of prior, probe by the others | rank correlation: both, prior, probe |")
    print("|---|---|---|")
    left = []
    for shown in TMLR:
        others = [name for name in TMLR if name != shown]
        weights = _weights(prior, [probes[o] for o in others], [errors[o] for o in others])
        both = weights[0] * prior + weights[1] * probes[shown]
        left.append(_centred(np.log(errors[shown])) - both)
        ranks = [stats.spearmanr(one, errors[shown]).statistic for one in (both, prior, probes[shown])]
        print(
            f"| {shown} | {weights[0]:.2f}, {weights[1]:.2f} | {', '.join(f'{rank:.2f}' for rank in ranks)} |"
        )
    weights = _weights(prior, list(probes.values()), list(errors.values()))
    spread = float(np.sqrt(np.mean(np.square(left))))
    print(
        f"\nweights by all: prior {weights[0]:.2f}, probe {weights[1]:.2f}; spread of what is left {spread:.2f}"
    )


def _weights(prior: Floats, probes: Sequence[Floats], errors: Sequence[Floats]) -> Floats:
    design = np.concatenate([np.stack([prior, probe], axis=1) for probe in probes])
    target = np.concatenate([_centred(np.log(one)) for one in errors])
    return np.asarray(np.linalg.lstsq(design, target, rcond=None)[0])


def _centred(values: npt.ArrayLike) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    return found - found.mean()


if __name__ == "__main__":
    main()
