"""What `inspect --augmentations` draws."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.dataset.reading.scan import Scan

__all__ = ["PICTURE", "draw_augmentations"]

PICTURE = "augmentations.png"


def draw_augmentations(config: "DataConfig", scan: "Scan", out: Path, reporter: "Reporter") -> Path:
    """Draw eight images under every augmentation into `out`; where the picture is.

    Raises DataProblem where none of the images can be read.
    """
    from trainables.errors import DataProblem
    from tuner.evaluation.plots.augmented import every_policy, some_of_each
    from tuner.html.canvas import Names, paint

    names = Names(scan.classes)
    shown = dict(zip(scan.classes, names.drawn, strict=True))
    paths, labels = [one.path for one in scan.images], [shown[one.label] for one in scan.images]
    chosen = some_of_each(paths, labels, config.seed)
    drawing = every_policy(
        scan.folder, chosen, config.side(), scale=scan.scale, fit=config.fit, seed=config.seed
    )
    if drawing is None:
        raise DataProblem(f"{scan.folder} holds no image that can be read any more")
    out.mkdir(parents=True, exist_ok=True)
    size, draw = drawing
    png, *others = paint(out, Path(PICTURE).stem, size, draw, names.families)
    for file in others:
        file.unlink()
    reporter.line(
        f"wrote {png}: eight images, and what each augmentation makes of them; a space chooses by the parameter"
        " augmentation"
    )
    return png
