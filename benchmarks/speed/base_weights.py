"""A file of GoogLeNet weights that stands in for ImageNet's, which can't be downloaded everywhere.

GoogLeNet is trained for a few epochs on images that the benchmark does not use otherwise; all contenders
start from the same file, as they would from torchvision's.
"""

import torch
from torch import nn

from benchmarks.common import Images, chosen_images, say
from benchmarks.speed import plain
from trainables.config import TrialConfig
from trainables.inference import best_device, choose_precision
from tuner.runs.hardware import usable_cores

NUM_IMAGES, EPOCHS, BATCH_SIZE = 300, 15, 16
SEED = 20151
"""No contender's own: a head drawn from the seed of the one that these features grew with would fit them at once."""


def base_weights(images: Images, size: int, quick: bool = False) -> str:
    """A file beside `images` where a plain state dict of torchvision's GoogLeNet with 1000 classes has been written.

    `quick` makes one that has hardly learned anything.
    """
    path = images.folder.parent / "base.pt"
    num_images, epochs = (40, 2) if quick else (NUM_IMAGES, EPOCHS)
    torch.set_num_threads(usable_cores())
    fast = choose_precision("auto", best_device()) == "bf16"
    config = TrialConfig.resolve({"model": "googlenet", "strategy": "full", "batch_size": BATCH_SIZE})
    with chosen_images(num_images, others=True) as others:
        train, val = plain.loaders(others, config, size, workers=usable_cores())
        torch.manual_seed(SEED)
        model = plain.build(config, len(others.classes))
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
        model.transform_input = True  # type: ignore[assignment]
        model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for _ in range(epochs):
            plain.train_epoch(model, train, nn.CrossEntropyLoss(), optimizer, fast)
            schedule.step()
        # So few steps leave the running statistics behind the weights, as no published file of weights has them.
        torch.optim.swa_utils.update_bn(train, model)
        say(
            f"  base weights: validation loss {plain.validate(model, val, fast)[0]:.3f} on images of their own"
        )
    model.fc = nn.Linear(1024, 1000)
    torch.save(model.state_dict(), path)
    return str(path)
