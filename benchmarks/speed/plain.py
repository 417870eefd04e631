"""The study's loop, as its notebook and torchvision's documentation have it: ImageFolder, PIL transforms, DataLoader.

With `precision` "bf16" it is the same loop after an afternoon of work on its speed: autocast and channels_last.
"""

import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, WeightedRandomSampler
from torchvision import datasets, models, transforms

from trainables import augmentations
from trainables.config import TrialConfig

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Epoch = tuple[float, float]


class Images(Protocol):
    """Folders as ImageFolder wants them, and the names of their classes."""

    @property
    def train(self) -> Path:
        """The training images."""

    @property
    def val(self) -> Path:
        """The validation images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""


def loaders(
    images: Images, config: TrialConfig, size: int, workers: int
) -> "tuple[DataLoader[tuple[Tensor, Tensor]], DataLoader[tuple[Tensor, Tensor]]]":
    """Training batches, augmented by the policy of `config` in single steps, and validation batches."""
    policy = augmentations.get(config.augmentation)
    colours = policy.brightness, policy.contrast, policy.saturation, policy.hue
    augmented = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=policy.crop_scale, ratio=policy.crop_ratio),
            transforms.RandomHorizontalFlip(policy.flip),
            transforms.RandomRotation(policy.rotation),
            transforms.RandomApply([transforms.ColorJitter(*colours)], p=policy.jitter),
            transforms.RandomAffine(policy.affine_rotation, (policy.translate,) * 2, policy.affine_scale),
            transforms.GaussianBlur(3, sigma=policy.sigma),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    middle = transforms.Compose(
        [
            transforms.Resize(round(size * 8 / 7)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train = datasets.ImageFolder(str(images.train), augmented)
    sampler = None
    if config.sampler == "weighted":
        counts = torch.bincount(torch.tensor(train.targets))
        sampler = WeightedRandomSampler((1.0 / counts[train.targets]).tolist(), len(train))
    shuffle = sampler is None
    # Linux's default in a script; here the script itself was spawned, and its children would be so too.
    forked = "fork" if workers else None
    return (
        DataLoader(
            train,
            config.batch_size,
            shuffle=shuffle,
            sampler=sampler,
            num_workers=workers,
            multiprocessing_context=forked,
        ),
        DataLoader(
            datasets.ImageFolder(str(images.val), middle),
            64,
            num_workers=workers,
            multiprocessing_context=forked,
        ),
    )


def build(config: TrialConfig, num_classes: int, weights: str | None = None) -> nn.Module:
    """Torchvision's or timm's network with a new last layer, on the weights in a file where one is given."""
    if config.model.startswith("timm:"):
        import timm

        network: nn.Module = timm.create_model(config.model.removeprefix("timm:"), num_classes=num_classes)
        return network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if config.model == "googlenet":
            model: nn.Module = models.googlenet(weights=None, aux_logits=False, init_weights=False)
        else:
            model = models.get_model(config.model, weights=None)
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
        # As torchvision does for its own pretrained weights of GoogLeNet.
        model.transform_input = config.model == "googlenet"  # type: ignore[assignment]
    width: int = model.fc.in_features  # type: ignore[assignment, union-attr]
    model.fc = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, num_classes))
    return model


def class_weights(train: "DataLoader[tuple[Tensor, Tensor]]", power: float) -> Tensor | None:
    """Count ** -power a class, with a mean of 1 over the images."""
    if power == 0:
        return None
    counts = torch.bincount(torch.tensor(train.dataset.targets)).double()  # type: ignore[attr-defined]
    raw = counts**-power
    return (raw * counts.sum() / (raw * counts).sum()).float()


def fit(
    images: Images,
    config: TrialConfig,
    size: int,
    *,
    workers: int,
    precision: str = "fp32",
    weights: str | None = None,
    device: str = "cpu",
) -> Iterator[Epoch]:
    """(validation loss, accuracy) of each epoch of `config`.

    Strategies full, full_aux with untrained heads, feature_extractor, gradual_unfreeze, study_unfreeze.
    """
    torch.manual_seed(config.seed)
    train, val = loaders(images, config, size, workers)
    model = build(config, len(images.classes), weights).to(device)
    fast = precision == "bf16"
    if fast:
        model = model.to(memory_format=torch.channels_last)
    criterion = nn.CrossEntropyLoss(
        weight=class_weights(train, config.class_weight_power), label_smoothing=config.label_smoothing
    ).to(device)
    frozen_for = {"full": 0, "full_aux": 0, "feature_extractor": config.max_epochs}.get(
        config.strategy, config.unfreeze_at or 0
    )
    optimizer, scheduler = _optimizer(model, config, frozen=frozen_for > 0)
    for epoch in range(config.max_epochs):
        if epoch == frozen_for and epoch > 0:
            kept = scheduler
            optimizer, scheduler = _optimizer(model, config, frozen=False)
            if config.strategy == "study_unfreeze":
                # The study's schedule stayed with the optimizer that it had left.
                optimizer = torch.optim.Adam(model.parameters(), lr=config.backbone_rate)
                scheduler = kept
        train_epoch(model, train, criterion, optimizer, fast)
        loss, accuracy = validate(model, val, fast)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss)
        else:
            scheduler.step()
        yield loss, accuracy


def _optimizer(
    model: nn.Module, config: TrialConfig, frozen: bool
) -> "tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]":
    last = model.fc if hasattr(model, "fc") else model.get_classifier()  # type: ignore[operator]
    head = list(last.parameters())  # type: ignore[union-attr]
    own = {id(parameter) for parameter in head}
    backbone = [parameter for parameter in model.parameters() if id(parameter) not in own]
    for parameter in backbone:
        parameter.requires_grad = not frozen
    groups: list[dict[str, object]] = [{"params": head, "lr": config.learning_rate}]
    if not frozen:
        groups.append({"params": backbone, "lr": config.backbone_rate})
    optimizer = torch.optim.Adam(groups, weight_decay=config.weight_decay)
    schedulers = torch.optim.lr_scheduler
    if config.schedule == "plateau":
        return optimizer, schedulers.ReduceLROnPlateau(
            optimizer, factor=config.plateau_factor or 0.1, patience=config.plateau_patience or 0
        )
    if config.schedule == "cosine":
        return optimizer, schedulers.CosineAnnealingLR(optimizer, config.max_epochs)
    return optimizer, schedulers.StepLR(optimizer, config.step_size or 7, config.gamma or 0.1)


def train_epoch(
    model: nn.Module,
    batches: "DataLoader[tuple[Tensor, Tensor]]",
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    fast: bool = False,
) -> float:
    """Train on every batch once; the mean loss."""
    model.train()
    device = next(model.parameters()).device
    running = 0.0
    for on_disk, true in batches:
        pictures, labels = on_disk.to(device), true.to(device)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16) if fast else nullcontext():
            outputs = model(_laid_out(pictures, fast))
        loss = criterion(outputs.float(), labels)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(labels)
    images: int = len(batches.dataset)  # type: ignore[arg-type]
    return running / images


@torch.no_grad()
def validate(
    model: nn.Module, batches: "DataLoader[tuple[Tensor, Tensor]]", fast: bool = False
) -> tuple[float, float]:
    """Cross-entropy in nats per image, and accuracy."""
    model.eval()
    device = next(model.parameters()).device
    loss, correct = 0.0, 0
    for on_disk, true in batches:
        pictures, labels = on_disk.to(device), true.to(device)
        with torch.autocast(device.type, torch.bfloat16) if fast else nullcontext():
            logits = model(_laid_out(pictures, fast)).float()
        loss += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(1) == labels).sum().item())
    images = len(batches.dataset)  # type: ignore[arg-type]
    return loss / images, correct / images


def _laid_out(pictures: Tensor, fast: bool) -> Tensor:
    return pictures.contiguous(memory_format=torch.channels_last) if fast else pictures
