"""Where the chosen model looked when it was wrong, where the package grad-cam is installed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.decode import UnreadableImage, quiet_decoding, read_rgb
from trainables.data.deep import scale_from
from trainables.data.preprocessing import cache_side, picture
from tuner.evaluation.plots.mosaic import mosaic
from tuner.html.canvas import fit
from tuner.runs.directory import fit_of

if TYPE_CHECKING:
    from trainables.data.decode import Pixels
    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.evaluation.plots.mistakes import Mistake
    from tuner.html.canvas import Drawing

__all__ = ["heat_maps"]

SHOWN = 5


def heat_maps(evidence: "Evidence", mistakes: "Sequence[Mistake]", names: Sequence[str]) -> "Drawing | None":
    """Size and drawing of the surest mistakes: the image, what spoke for the answer, what for the true class.

    None without grad-cam, without the model's weights, without an image that can be read, and for a model that
    grad-cam can't explain. `names` are the classes as drawn.
    """
    from trainables.heat_maps import explainer, has_grad_cam

    best = evidence.finalists[0]
    if not mistakes or not has_grad_cam() or best.members:
        return None
    weights = best.run.weights(str(best.row["trial_id"]))
    if not weights.is_file() or not weights.stat().st_size:
        return None
    from trainables.inference import load_classifier

    record = evidence.runs[0].record
    size = int(record["image_size"])
    seen = _seen(record["data"], mistakes, size, fit_of(record))
    try:
        classifier = load_classifier(best.config, len(evidence.classes), weights)
        with explainer(classifier, size, best.config.model) as heated:
            rows = [
                [pixels, heated(pixels, one.predicted), heated(pixels, one.true_class)]
                for one, pixels in seen
            ]
    except Exception:  # whatever grad-cam raises of an odd network, a picture must not cost the report
        return None
    heads = ["image", "for the answer", "for the truth"]
    sides = [
        f"is {fit(names[one.true_class], 16)}\nanswered {fit(names[one.predicted], 16)}" for one, _ in seen
    ]
    return mosaic(rows, heads, sides) if rows else None


def _seen(
    data: Mapping[str, Any], mistakes: "Sequence[Mistake]", size: int, how: str
) -> "list[tuple[Mistake, Pixels]]":
    """The first mistakes whose image can be read, as the model sees them."""
    folder, scale = Path(str(data["folder"])), scale_from(data.get("scale"))
    found: list[tuple[Mistake, Pixels]] = []
    with quiet_decoding():
        for one in mistakes:
            try:
                found.append(
                    (one, picture(read_rgb(folder / one.path, scale), size, cache_side(size, how), how))
                )
            except UnreadableImage:
                continue
            if len(found) == SHOWN:
                break
    return found
