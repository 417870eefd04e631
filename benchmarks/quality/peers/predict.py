"""What a peer's model says of images: a CSV with a row an image and a column a class.

python -m benchmarks.quality.peers.predict model.pt DIR answers.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np
from torchvision.datasets import ImageFolder

from benchmarks.quality.peers.images import for_answering, read_pictures
from benchmarks.quality.peers.network import load, outputs


def predict(model: Path, folder: Path, out: Path) -> None:
    """Write the probability of each class for every image below `folder`."""
    network, classes, image_size = load(model)
    pictures, _ = read_pictures(folder, None)
    shown = pictures.only(np.arange(len(pictures)), for_answering(network, image_size))
    probabilities = outputs(network, shown).double().softmax(1).tolist()
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *classes])
        for (path, _), row in zip(ImageFolder(str(folder)).samples, probabilities, strict=True):
            writer.writerow([path, *row])


if __name__ == "__main__":
    predict(*map(Path, sys.argv[1:]))
