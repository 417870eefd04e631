"""What the documents of `--json` hold: for every command its keys, their types and meanings.

A key's path names objects with dots and lists with []; `*` stands for any name, such as a class's or a column's.
Types are number, text, flag (true or false), list, object, any; `?` allows null.
"""

from collections.abc import Mapping

__all__ = ["KEYS", "Keys"]

Keys = Mapping[str, tuple[str, str]]

_TRIALS: Keys = {
    "trials": ("list", "trials with a row, the best first; keys are the columns of `trials.parquet`"),
    "trials[].*": ("any", ""),
}
_SEARCH: Keys = {
    "run": ("text", "the run directory"),
    "metric": ("text", "the validation metric that the search optimises"),
    "samples": ("number", "number of trials that the search was asked for"),
    "remarks": ("list", "what a reader of the scores has to know"),
    "remarks[]": ("text", ""),
}
_COPIES: Keys = {
    f"{name}.{key}": found
    for name in ("duplicates_within", "duplicates_across", "near_copies")
    for key, found in {
        "count": ("number", "images with the pixels, or nearly the look, of an earlier one"),
        "examples": ("list", "the first of them"),
        "examples[].path": ("text", ""),
        "examples[].same_as": ("text", ""),
    }.items()
}

_INSPECT: Keys = {
    "folder": ("text", "the image folder"),
    "classes": ("list", "one object for each class"),
    "classes[].class": ("text", "its name"),
    "classes[].images": ("number", "its images"),
    "classes[].groups": ("number", "its groups, equal pixels counted as one"),
    "classes[].share": ("number", "share of all images, 0 to 1"),
    "images": ("number", "all images"),
    "groups": ("number", "all groups"),
    "grouped": ("flag", "whether groups were given"),
    "given_split": ("text?", "how the folders of a split were understood; null where there is none"),
    "findings": ("list", "what a search warns of"),
    "findings[]": ("text", ""),
    "scale": (
        "object",
        "of pictures of more than 8 bits: the values that are black and white, by kind of samples",
    ),
    "scale.*": ("list", "black and white of int16, int32 or float32"),
    "scale.*[]": ("number", ""),
    "scale_in_words": ("list", "the same in sentences"),
    "scale_in_words[]": ("text", ""),
    "several_frames": ("number", "files of several frames or pages, of which only the first is used"),
    **{f"{name}[]": ("number", "") for name in ("smallest", "median", "largest")},
    **dict.fromkeys(("smallest", "median", "largest"), ("list", "width and height in pixels")),
    "imbalance": ("number", "images of the largest class over those of the smallest"),
    **dict.fromkeys(("duplicates_within", "duplicates_across"), ("object", "exact duplicates")),
    "near_copies": ("object", "pairs of another size, quality or light, by a perceptual hash"),
    **_COPIES,
    **dict.fromkeys(("corrupt", "passed_over"), ("list", "files with the reason")),
    **{f"{name}[].{key}": ("text", "") for name in ("corrupt", "passed_over") for key in ("path", "reason")},
    "empty_classes": ("list", "folders without an image"),
    "empty_classes[]": ("text", ""),
    "test_images": ("number", "images in the test part of a split by image"),
    "expected_leaks": ("number", "how many of these would have another image of their group in training"),
    "split_problem": ("text?", "why a search would refuse to split the folder"),
    "photographed": (
        "list",
        "for each class, how well size, brightness, border, JPEG quality and camera alone tell it from the others",
    ),
    "photographed[].class": ("text", "its name"),
    "photographed[].auc": ("number", "area under the ROC curve, out of fold; 0.5 is chance"),
    "photographed[].low": ("number", "lower end of its 95 % interval"),
    "photographed[].kinds": ("object", "the areas of each kind alone"),
    "photographed[].kinds.*": ("number", ""),
    "judges": ("object?", "how many groups test a model; null if the folder can't be split"),
    "judges.groups": ("number", "groups of the test part"),
    "judges.needed": (
        "number",
        "fewest test groups with which a difference between five finalists can be significant",
    ),
    "judges.every": ("number", "groups of all parts"),
    "judges.advised": (
        "object?",
        "a split with enough test groups, which tuner has tried out; null if none was needed, or none has enough",
    ),
    "judges.advised.split": ("text", "its shares, as --split takes them"),
    "judges.advised.groups": ("number", "its test groups"),
    "advice": ("list", "what to do, the warnings first"),
    "advice[].do": ("text", ""),
    "advice[].why": ("text", "the reason"),
    "advice[].warning": ("flag", "whether scores mean little before it is done"),
    "similar": ("object?", "with --similar: what it found"),
    "similar.features": ("text", "the backbone, or the perceptual hash, that tells what looks alike"),
    "similar.threshold": (
        "number?",
        "a pair counts as similar if its similarity is this many standard deviations above the usual one",
    ),
    "similar.pairs": ("number", "similar pairs of images"),
    "similar.groups": ("number", "proposed groups of more than one image"),
    "similar.grouped_images": ("number", "images in these groups"),
    "similar.largest_group": ("number", "images of the largest group"),
    "similar.pairs_across_classes": ("number", "pairs with different labels"),
    "similar.seconds": ("number", "seconds that finding them took"),
    "similar.test_images": (
        "number?",
        "test images of the split that a search would make now, if it can make one",
    ),
    "similar.test_images_near_training": ("number?", "number of these that look like a training image"),
    "similar.within_given": (
        "number?",
        "similar pairs within one of the given groups; null if no groups were given",
    ),
    "similar.across_given": ("number?", "similar pairs whose images are in two of the given groups"),
    "similar.groups_file": ("text?", "the proposal; null where nothing stands out, or groups were given"),
    "similar.page": ("text?", "thumbnails to look through; null where nothing stands out"),
    "suspects": ("object?", "with --suspects: what it found"),
    "suspects.features": ("text", "the backbone that the probe reads"),
    "suspects.method": ("text", "the ranking method: cleanlab or self-confidence"),
    "suspects.judged": ("number", "images that the probe answered"),
    "suspects.likely_differs": ("number", "images that the probe gives to another class than their label"),
    "suspects.flagged": ("number?", "labels that cleanlab takes for wrong, where it is installed"),
    "suspects.first": ("list", "the 20 most doubtful"),
    "suspects.first[].path": ("text", ""),
    "suspects.first[].given": ("text", "its label"),
    "suspects.first[].likely": ("text", "the most probable class by the probe"),
    "suspects.first[].probability_of_given": ("number", "out of fold"),
    "suspects.first[].probability_of_likely": ("number", "out of fold"),
    "suspects.seconds": ("number", "seconds that the ranking took"),
    "suspects.table": ("text", "all images, ranked"),
    "suspects.page": ("text", "thumbnails to look through and mark"),
    "augmentations": ("text?", "with --augmentations: the picture"),
}

_RANGE = ("low", "middle", "high")
_PLAN: Keys = {
    "combinations": ("list", "one object for each combination of model and strategy"),
    "combinations[].model": ("text", ""),
    "combinations[].strategy": ("text", ""),
    "combinations[].*": (
        "number?",
        "seconds an image (`*_s`), bytes (`*_bytes`), expected trials and epochs",
    ),
    "samples": ("number", "trials asked for"),
    "concurrent": ("number", "trials at once"),
    "trials": ("number", "trials expected within the time budget"),
    "epochs": ("object", "epochs expected"),
    **{f"epochs.{name}": ("number", "") for name in _RANGE},
    "whole_epochs": ("number", "epochs if no trial is stopped early"),
    "seconds": ("object", "seconds expected"),
    **{f"seconds.{name}": ("number", "") for name in _RANGE},
    "similar_s": (
        "number?",
        "seconds of these for finding similar pictures; null without --groups-from-similar",
    ),
    "folds": ("number", "folds that judge the best trials, the validation images one; 0: none"),
    "folds_s": ("number", "seconds of these for the folds"),
    "budget_s": ("number?", "the time budget; null without one"),
    "images": ("object", "number of training and of validation images"),
    **{f"images.{name}": ("number", "") for name in ("train", "val")},
    "disk": ("object", "bytes by what they hold, at most"),
    "disk.*": ("number", ""),
    "memory_bytes": ("number", "at most"),
    "warnings": ("list", "what the search can't find out, and why"),
    "warnings[]": ("text", ""),
}

_SPACES: Keys = {
    "spaces": ("list", "one object for each space"),
    "spaces[].space": ("text", "its name"),
    "spaces[].summary": ("text", ""),
    "spaces[].grid": ("flag", "whether it is a list of configurations"),
    "spaces[].samples": ("number?", "trials by default; of a grid its list"),
    "spaces[].max_epochs": ("number?", "epochs by default"),
}

_SPACE: Keys = {
    "space": ("text", "its name"),
    "summary": ("text", ""),
    "grid": ("flag", "whether it is a list of configurations"),
    "samples": ("number?", "trials by default; of a grid its list"),
    "max_epochs": ("number", "epochs for which the ranges hold"),
    "parameters": ("list", "one object for each sampled parameter"),
    "parameters[].parameter": ("text", "its name"),
    "parameters[].choices": ("list?", ""),
    "parameters[].choices[]": ("any", ""),
    "parameters[].low": ("number?", ""),
    "parameters[].high": ("number?", ""),
    "parameters[].step": ("number?", ""),
    "parameters[].log": ("flag?", "whether it is drawn logarithmically"),
    "parameters[].only_with": ("text?", "under which choices it is sampled"),
    "parameters[].prior": ("object?", "what the space expects: centre and width, or the choices' weights"),
    "parameters[].prior.*": ("number", ""),
    "fixed": ("object", "hyperparameters that every trial shares"),
    "fixed.*": ("any", ""),
    "first_trials": ("list", "tried first, parameters by name"),
    "first_trials[].*": ("any", ""),
}

_KNOWN: Keys = {
    "prior": (
        "number?",
        "errors after fine-tuning that published results let expect, in those of an average network; null if unknown",
    ),
    "basis": ("text?", "what that follows from: measured, ImageNet or size"),
    "processor_seconds": ("number?", "seconds of an image on a processor, in those of ResNet-50"),
    "gpu_seconds": ("number?", "the same in training on a GPU"),
}

_MODELS: Keys = {
    "models": ("list", "one object for each model"),
    "models[].model": ("text", "its name"),
    "models[].family": ("text?", "family of the network; null if tuner does not know it"),
    "models[].parameters": ("number", "of the backbone"),
    "models[].features": ("number", "number of features that the head reads"),
    "models[].image_size": (
        "number?",
        "width in pixels of the images that it was trained on; null if tuner does not know it",
    ),
    "models[].licence": ("text?", "licence of its pretrained weights; null if tuner does not know it"),
    **{f"models[].{name}": told for name, told in _KNOWN.items()},
    "models[].stages": ("list", "from the input up"),
    "models[].stages[]": ("text", ""),
}

_MODEL: Keys = {
    "model": ("text", "its name"),
    "classes": ("number", "number of classes for which the heads are counted"),
    "image_size": ("number", "image size in pixels for which the outputs are given"),
    **dict.fromkeys(("mean", "std"), ("list", "of the normalisation, one number for each channel")),
    **{f"{name}[]": ("number", "") for name in ("mean", "std")},
    **_KNOWN,
    "stages": ("list", "from the input up, the heads last"),
    "stages[].stage": ("text", ""),
    "stages[].output": ("list", "shape of its output"),
    "stages[].output[]": ("number", ""),
    "stages[].parameters": ("number", ""),
    "strategies": ("list", "one object for each strategy that fits the model"),
    "strategies[].strategy": ("text", ""),
    "strategies[].trainable_first": ("number", "parameters that train in epoch 1"),
    "strategies[].trainable_last": ("number", "parameters that train in the last epoch"),
    "strategies[].everything_from_epoch": (
        "number",
        "first epoch in which everything trains that the strategy trains",
    ),
    "strategies[].unfreeze_at": ("number?", "the `unfreeze_at` for which this epoch holds"),
}

_STATUS: Keys = {
    **_SEARCH,
    "state": ("text", "running, stopping, finished, interrupted or dead"),
    "running": ("number", "number of trials that are running"),
    **dict.fromkeys(
        ("completed", "stopped", "failed"), ("number", "number of trials that ended in this way")
    ),
    "driver": ("object?", "the process that searches; times are seconds since 1970"),
    "driver.host": ("text", ""),
    "driver.doing": ("text", "what is done where no trial is trained, else empty"),
    **{f"driver.{name}": ("number", "") for name in ("pid", "since", "seen")},
    "driver.pages": (
        "object",
        "addresses by name; `token` says how to get the token that the dashboard asks for",
    ),
    "driver.pages.*": ("text", ""),
    "live": ("list", "one object for each running trial, with the columns of its last row in `epochs/`"),
    "live[].trial_id": ("text", ""),
    "live[].*": ("number?", ""),
    "unsent": ("object", "for each log, the number of entries that it did not accept"),
    "unsent.*": ("number", ""),
    **_TRIALS,
}

_COMPARE: Keys = {
    "conclusion": ("text", "what the table says, in words"),
    "warnings": ("list", "what a reader must know before believing the conclusion"),
    "warnings[]": ("text", ""),
    "report": ("text", "the page"),
    "table": ("list", "one object for each finalist; keys are the columns of `comparison.parquet`"),
    "table[].*": ("any", ""),
    "pairs": ("list", "one object for each pair; keys are the columns of `pairs.parquet`"),
    "pairs[].*": ("any", ""),
    "folds": ("object?", "the same over all images, each answered out of fold; null unless asked for"),
    "folds.count": ("number", "number of folds"),
    "folds.conclusion": ("text", "what their table says"),
    "folds.remarks": ("list", "what the folds estimate, and how this compares with the test images"),
    "folds.remarks[]": ("text", ""),
    "folds.table": ("list", "one object for each finalist; keys are the columns of `folds.parquet`"),
    "folds.table[].*": ("any", ""),
    "folds.pairs": ("list", "one object for each pair; keys are the columns of `fold_pairs.parquet`"),
    "folds.pairs[].*": ("any", ""),
}

_PROBE: Keys = {
    "backbones": ("list", "one object for each backbone that was probed, the lowest loss first"),
    "backbones[].model": ("text", "its name"),
    "backbones[].family": ("text?", "family of the network; null if tuner does not know it"),
    "backbones[].licence": ("text?", "licence of its pretrained weights; null if tuner does not know it"),
    "backbones[].parameters": ("number", "without the classifier"),
    "backbones[].megabytes": ("number", "size of these parameters in millions of bytes"),
    "backbones[].features": ("number", "number of features that the probe reads"),
    "backbones[].milliseconds": ("number", "of one image on one thread of this machine's processor"),
    "backbones[].gpu_milliseconds": ("number?", "of one image in a batch on the GPU"),
    "backbones[].step_milliseconds": (
        "number?",
        "of one image in a training step on one thread of the processor",
    ),
    "backbones[].views": ("number", "2 where the head was solved on mirror images as well, else 1"),
    "backbones[].l2": ("number", "the penalty that grouped cross-validation chose"),
    "backbones[].log_loss": (
        "number?",
        "in nats, of training and validation images, each answered by a head that has not seen its group",
    ),
    "backbones[].low": ("number?", "lower end of its 95 % interval over groups"),
    "backbones[].high": ("number?", "upper end"),
    "backbones[].accuracy": ("number", "of the same answers"),
    "backbones[].balanced_accuracy": ("number", "of the same answers"),
    "backbones[].seconds": ("number", "seconds that its probe took"),
    "backbones[].image_size": ("number", "side in pixels at which it was probed"),
    "backbones[].tied_with_best": ("flag", "whether its loss is the lowest, or not significantly higher"),
    "sizes": ("list", "the same for every image size that was probed, if there were several"),
    "sizes[].*": ("any", "as of `backbones[]`"),
    "size_reason": ("text?", "why tuner chose this size; null if --image-size named it"),
    "backbones[].outlook": (
        "object?",
        "what is expected of it after fine-tuning; null for one that was probed at another size",
    ),
    "backbones[].outlook.model": ("text", "the backbone"),
    "backbones[].outlook.prior": (
        "number",
        "errors after fine-tuning that published results let expect on any images, in those of an average network",
    ),
    "backbones[].outlook.basis": ("text", "what the prior follows from: measured, ImageNet or size"),
    "backbones[].outlook.epochs": ("number", "epochs that there is time for, 12 at most"),
    "backbones[].outlook.expected": ("number", "expected log loss in nats"),
    "backbones[].outlook.low": ("number", "lower end of its 90 % interval"),
    "backbones[].outlook.high": ("number", "upper end"),
    "advised": (
        "list",
        "backbones to fine-tune, the most promising first: three, or as many as there is time for",
    ),
    "advised[]": ("text", ""),
    "passed_over": ("list", "candidates that were not probed"),
    "passed_over[].model": ("text", ""),
    "passed_over[].reason": ("text", ""),
    "images.train": ("number", "training images"),
    "images.val": ("number", "validation images"),
    "images": ("object", ""),
    "image_size": ("number", "side in pixels that was asked for or chosen"),
    "fit": ("text", "how pictures become squares: crop, squash or pad"),
    "precision": ("text", "number format of the networks"),
    "seconds": ("number", "seconds that the whole probe took"),
}

_GAIN = {"mean": "expected", "low": "lower end of the 90 % interval", "high": "upper end"}
_ADVISE: Keys = {
    "run": ("text", "the run directory"),
    "of": ("text?", "the trial, or the probe's head, that is meant by the model as it is"),
    "log_loss": ("number?", "its log loss in nats, on images that it has not seen"),
    "accuracy": ("number?", "of the same answers"),
    "images": ("number", "that gave these answers"),
    "groups": ("number", "of these"),
    "frozen": ("text?", "the backbone whose frozen features were read"),
    "lines": ("list", "one object a thing to do, the largest expected gain in log loss first"),
    "lines[].kind": (
        "text",
        "images, class, labels, pixels, backbones, hours, ensemble, folds, flips or floor",
    ),
    "lines[].do": ("text", "what to do"),
    "lines[].why": ("text", "where the figures come from"),
    "lines[].log_loss": ("object?", "by how many nats the log loss falls; null where that can't be told"),
    "lines[].accuracy": ("object?", "by how much the share of right answers rises"),
    **{
        f"lines[].{name}.{key}": ("number", meaning)
        for name in ("log_loss", "accuracy")
        for key, meaning in _GAIN.items()
    },
    "lines[].cost": (
        "object",
        "what it takes, as far as known: images, looks (images to look at), seconds, milliseconds more an image",
    ),
    "lines[].cost.*": ("number", ""),
    "unknown": ("list", "kinds of which nothing can be said"),
    "unknown[].kind": ("text", "as of `lines[]`, or fit"),
    "unknown[].reason": ("text", "why"),
    "seconds": ("number", "that all of it took"),
}

_WEIGHTS: Keys = {
    "weights": ("list", "one object for each backbone"),
    "weights[].model": ("text", "its name"),
    "weights[].megabytes": ("number", "in millions of bytes, with the 1000-class head"),
    "weights[].state": ("text", "in the folder, cached or not here"),
    "weights[].source": ("text", "the file, or the address that they are fetched from"),
}

_PREDICT: Keys = {
    "classes": ("list", "the classes, in the order of the model's outputs"),
    "classes[]": ("text", ""),
    "images": ("list", "one object an image"),
    "images[].path": ("text", ""),
    "images[].class": (
        "text?",
        "the most probable class, or with costs that of least expected cost; `unsure` below --min-confidence",
    ),
    "images[].probability": (
        "number?",
        "probability of the class that is named, or of the most probable class if the answer is unsure",
    ),
    "images[].set": ("list", "only with `--alpha`: the classes of its set"),
    "images[].set[]": ("text", ""),
    "images[].error": ("text?", "why the image could not be read"),
    "images[].strangeness": (
        "number?",
        "how unlike the training images it is; 99 % of the validation images are below 1",
    ),
    "images[].*": ("number?", "a class's probability, under its name"),
}

KEYS: Mapping[str, Keys] = {
    "inspect": _INSPECT,
    "plan": _PLAN,
    "spaces": _SPACES,
    "spaces NAME": _SPACE,
    "models": _MODELS,
    "models NAME": _MODEL,
    "status": _STATUS,
    "leaderboard": {**_SEARCH, **_TRIALS},
    "compare": _COMPARE,
    "predict": _PREDICT,
    "probe": _PROBE,
    "advise": _ADVISE,
    "weights": _WEIGHTS,
}
"""By command; the first pattern that fits a path holds."""
