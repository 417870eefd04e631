"""What the card says of the images: warnings of `tuner inspect`, and test images that look like training images."""

from tuner.dataset.inspection.carried import Pictures, image_warnings
from tuner.dataset.near_duplicates import near_copies
from tuner.evaluation.comparison.doubts import near_training
from tuner.html.escaping import for_markdown
from tuner.retraining.images import Images

__all__ = ["about_images"]


def about_images(images: Images, *, tested: bool) -> list[str]:
    """Lines of the card in Markdown; `tested` says whether it has scores of the test images."""
    if images.data.sample:
        return []
    # Who releases a trial while it is searched for has not scanned the images anew.
    found = list(image_warnings(_pictures(images), look=images.scan is not None))
    copies = near_copies(images.scan) if tested and images.scan is not None else None
    if copies is not None:
        close, of = copies.near_training(images.split)
        if close:
            found.append(near_training(close, of, copies.source))
    return [f"- **{for_markdown(line[0].upper() + line[1:])}.**" for line in found]


def _pictures(images: Images) -> Pictures:
    """The images as the split has them; nobody scans them anew for what a search already saw."""
    split = images.split
    groups = dict(zip(split["path"], split["group"], strict=True))
    if images.scan is not None:
        return Pictures.of(images.scan, groups)
    labels = dict(zip(split["path"], split["label"], strict=True))
    return Pictures(images.folder, images.data.fingerprint, labels, groups, images.data.scale or {})
