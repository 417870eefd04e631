"""A fixed recipe: EfficientNet-Lite2, AdamW, cosine, 15 epochs, light augmentation, all images.

python -m benchmarks.quality.peers.recipe --learning-rate 3e-4 --data DIR --weights-dir DIR --out model.pt
"""

import numpy as np

from benchmarks.quality.peers.images import for_training, read_pictures
from benchmarks.quality.peers.network import pretrained, save
from benchmarks.quality.peers.options import Options, read_options
from benchmarks.quality.peers.training import Settings, seed_all, train

BACKBONE = "tf_efficientnet_lite2"


def fit(options: Options) -> None:
    """Train, and write the model of the last epoch."""
    pictures, classes = read_pictures(options.data, options.groups)
    settings = Settings(BACKBONE, options.learning_rate)
    seed_all(options.seed)
    network = pretrained(BACKBONE, options.weights_dir, len(classes))
    transform = for_training(network, options.image_size, settings.crop, settings.flip)
    for epoch in train(network, pictures.only(np.arange(len(pictures)), transform), settings):
        print(f"epoch {epoch} of {settings.epochs}", flush=True)
    save(options.out, network, BACKBONE, classes, options.image_size)


if __name__ == "__main__":
    fit(read_options(__doc__))
