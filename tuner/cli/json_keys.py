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
    "metric": ("text", "what the search optimises"),
    "samples": ("number", "trials that the search is to have"),
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
    "classes": ("list", "one object a class"),
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
        "how well nuisance alone tells each class: size, brightness, border, JPEG quality, camera",
    ),
    "photographed[].class": ("text", "its name"),
    "photographed[].auc": ("number", "area under the ROC curve, out of fold; 0.5 is chance"),
    "photographed[].low": ("number", "lower end of its 95 % interval"),
    "photographed[].kinds": ("object", "the areas of each kind alone"),
    "photographed[].kinds.*": ("number", ""),
    "judges": ("object?", "the groups that test; null where the folder can't be split"),
    "judges.groups": ("number", "groups of the test part"),
    "judges.needed": ("number", "the fewest with which five finalists can be told apart"),
    "judges.every": ("number", "groups of all parts"),
    "judges.advised": (
        "object?",
        "a split with more test groups, which was made; null where none was looked for",
    ),
    "judges.advised.split": ("text", "as --split takes it"),
    "judges.advised.groups": ("number", "its test groups"),
    "advice": ("list", "what to do, the warnings first"),
    "advice[].do": ("text", ""),
    "advice[].why": ("text", "the reason"),
    "advice[].warning": ("flag", "whether scores mean little before it is done"),
    "similar": ("object?", "with --similar: what it found"),
    "similar.features": ("text", "the backbone, or the perceptual hash, that tells what looks alike"),
    "similar.threshold": ("number?", "standard deviations above what is usual, from which on pairs count"),
    "similar.pairs": ("number", "pairs of images that do"),
    "similar.groups": ("number", "proposed groups of more than one image"),
    "similar.grouped_images": ("number", "images in these"),
    "similar.largest_group": ("number", "images of the largest"),
    "similar.pairs_across_classes": ("number", "pairs with different labels"),
    "similar.seconds": ("number", "that finding them took"),
    "similar.test_images": (
        "number?",
        "test images of the split that a search would make now, if it can make one",
    ),
    "similar.test_images_near_training": ("number?", "how many of these look like a training image"),
    "similar.within_given": ("number?", "similar pairs within one of the groups given, if some were"),
    "similar.across_given": ("number?", "similar pairs in two of these"),
    "similar.groups_file": ("text?", "the proposal; null where nothing stands out, or groups were given"),
    "similar.page": ("text?", "thumbnails to look through; null where nothing stands out"),
    "suspects": ("object?", "with --suspects: what it found"),
    "suspects.features": ("text", "the backbone that the probe reads"),
    "suspects.method": ("text", "what ranks: cleanlab or self-confidence"),
    "suspects.judged": ("number", "images that a probe was asked about"),
    "suspects.likely_differs": ("number", "those that look more like another class"),
    "suspects.flagged": ("number?", "labels that cleanlab takes for wrong, where it is installed"),
    "suspects.first": ("list", "the 20 most doubtful"),
    "suspects.first[].path": ("text", ""),
    "suspects.first[].given": ("text", "its label"),
    "suspects.first[].likely": ("text", "the class that it looks most like"),
    "suspects.first[].probability_of_given": ("number", "out of fold"),
    "suspects.first[].probability_of_likely": ("number", "out of fold"),
    "suspects.seconds": ("number", "that ranking took"),
    "suspects.table": ("text", "all images, ranked"),
    "suspects.page": ("text", "thumbnails to look through and mark"),
    "augmentations": ("text?", "with --augmentations: the picture"),
}

_RANGE = ("low", "middle", "high")
_PLAN: Keys = {
    "combinations": ("list", "one object a model x strategy"),
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
    "whole_epochs": ("number", "epochs if nobody were stopped"),
    "seconds": ("object", "seconds expected"),
    **{f"seconds.{name}": ("number", "") for name in _RANGE},
    "similar_s": ("number?", "seconds of these for finding similar pictures, where that is asked for"),
    "images": ("object", "images that train and that validate"),
    **{f"images.{name}": ("number", "") for name in ("train", "val")},
    "disk": ("object", "bytes by what they hold, at most"),
    "disk.*": ("number", ""),
    "memory_bytes": ("number", "at most"),
    "warnings": ("list", "what the search can't find out, and why"),
    "warnings[]": ("text", ""),
}

_SPACES: Keys = {
    "spaces": ("list", "one object a space"),
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
    "parameters": ("list", "one object a sampled parameter"),
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

_MODELS: Keys = {
    "models": ("list", "one object a model"),
    "models[].model": ("text", "its name"),
    "models[].family": ("text?", "of networks that differ in size; known of candidates"),
    "models[].parameters": ("number", "of the backbone"),
    "models[].features": ("number", "that the head reads"),
    "models[].image_size": (
        "number?",
        "side in pixels of the images that it was trained on; known of candidates",
    ),
    "models[].licence": ("text?", "of its pretrained weights; known of candidates"),
    "models[].stages": ("list", "from the input up"),
    "models[].stages[]": ("text", ""),
}

_MODEL: Keys = {
    "model": ("text", "its name"),
    "classes": ("number", "for which the heads are counted"),
    "image_size": ("number", "at which the outputs are given"),
    **dict.fromkeys(("mean", "std"), ("list", "of the normalisation, a channel")),
    **{f"{name}[]": ("number", "") for name in ("mean", "std")},
    "stages": ("list", "from the input up, the heads last"),
    "stages[].stage": ("text", ""),
    "stages[].output": ("list", "the shape of what it puts out"),
    "stages[].output[]": ("number", ""),
    "stages[].parameters": ("number", ""),
    "strategies": ("list", "one object a strategy that fits the model"),
    "strategies[].strategy": ("text", ""),
    "strategies[].trainable_first": ("number", "parameters that train in epoch 1"),
    "strategies[].trainable_last": ("number", "parameters that train in the last"),
    "strategies[].everything_from_epoch": ("number", "when all that will train does"),
    "strategies[].unfreeze_at": ("number?", "for which that holds"),
}

_STATUS: Keys = {
    **_SEARCH,
    "state": ("text", "running, stopping, finished, interrupted or dead"),
    "running": ("number", "living trials"),
    **dict.fromkeys(("completed", "stopped", "failed"), ("number", "trials that ended so")),
    "driver": ("object?", "the process that searches; times are seconds since 1970"),
    "driver.host": ("text", ""),
    **{f"driver.{name}": ("number", "") for name in ("pid", "since", "seen")},
    "driver.pages": ("object", "addresses by name; token: how to get what the dashboard asks for"),
    "driver.pages.*": ("text", ""),
    "live": ("list", "one object a living trial, with the columns of its last row in `epochs/`"),
    "live[].trial_id": ("text", ""),
    "live[].*": ("number?", ""),
    "unsent": ("object", "entries that a log did not take, by log"),
    "unsent.*": ("number", ""),
    **_TRIALS,
}

_COMPARE: Keys = {
    "conclusion": ("text", "what the table says, in words"),
    "warnings": ("list", "what a reader must know before believing it"),
    "warnings[]": ("text", ""),
    "report": ("text", "the page"),
    "table": ("list", "one object a finalist; keys are the columns of `comparison.parquet`"),
    "table[].*": ("any", ""),
    "pairs": ("list", "one object a pair; keys are the columns of `pairs.parquet`"),
    "pairs[].*": ("any", ""),
    "folds": ("object?", "the same over all images, each answered out of fold; null unless asked for"),
    "folds.count": ("number", "of folds"),
    "folds.conclusion": ("text", "what their table says"),
    "folds.remarks": ("list", "what they estimate, and how it compares"),
    "folds.remarks[]": ("text", ""),
    "folds.table": ("list", "one object a finalist; keys are the columns of `folds.parquet`"),
    "folds.table[].*": ("any", ""),
    "folds.pairs": ("list", "one object a pair; keys are the columns of `fold_pairs.parquet`"),
    "folds.pairs[].*": ("any", ""),
}

_PROBE: Keys = {
    "backbones": ("list", "one object a backbone that was probed, the lowest loss first"),
    "backbones[].model": ("text", "its name"),
    "backbones[].family": ("text?", "of networks that differ in size; known of candidates"),
    "backbones[].licence": ("text?", "of its pretrained weights; known of candidates"),
    "backbones[].parameters": ("number", "without the classifier"),
    "backbones[].megabytes": ("number", "of these, in millions of bytes"),
    "backbones[].features": ("number", "that the probe reads"),
    "backbones[].milliseconds": ("number", "of one image on one thread of this machine's processor"),
    "backbones[].gpu_milliseconds": ("number?", "of one image in a batch on the GPU"),
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
    "backbones[].seconds": ("number", "that probing it took"),
    "backbones[].image_size": ("number", "side in pixels at which it was probed"),
    "backbones[].tied_with_best": ("flag", "whether its loss can't be told from the lowest, or is that"),
    "sizes": ("list", "the same of every side that was looked at, where there were several"),
    "sizes[].*": ("any", "as of `backbones[]`"),
    "size_reason": ("text?", "why this side; null where it was asked for"),
    "advised": ("list", "what to fine-tune: the best two and the cheapest that is tied with the best"),
    "advised[]": ("text", ""),
    "passed_over": ("list", "candidates that were not probed"),
    "passed_over[].model": ("text", ""),
    "passed_over[].reason": ("text", ""),
    "images.train": ("number", "training images"),
    "images.val": ("number", "validation images"),
    "images": ("object", ""),
    "image_size": ("number", "side in pixels that was asked for or chosen"),
    "fit": ("text", "how pictures become squares: crop, squash or pad"),
    "precision": ("text", "of the networks"),
    "seconds": ("number", "that all of it took"),
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
    "weights": ("list", "one object a backbone"),
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
        "the likeliest, or that of least expected cost; unsure if none is likely enough",
    ),
    "images[].probability": ("number?", "that of the class which is named, or would be"),
    "images[].set": ("list", "with `--alpha`, the classes in its set"),
    "images[].set[]": ("text", ""),
    "images[].error": ("text?", "why the image could not be read"),
    "images[].strangeness": (
        "number?",
        "how unlike the training images it is; 1 is the limit of 99 % of validation",
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
