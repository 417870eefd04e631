"""Small pictures for pages that hold all they show."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from trainables.data.decode import UnreadableImage, quiet_decoding, read_rgb
from trainables.data.deep import Scale
from trainables.data.parallel import in_threads, num_workers
from tuner.html.escaping import for_html

__all__ = ["image_tag", "thumbnail", "thumbnails"]


def thumbnail(path: Path, side: int, quality: int = 82, scale: Scale | None = None) -> bytes | None:
    """A JPEG of the picture as the model's own reader decodes it, `side` pixels at most; None if it can't be read.

    `scale` is that of the data set.
    """
    from PIL import Image

    try:
        small = Image.fromarray(read_rgb(path, scale))
    except UnreadableImage:
        return None
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def thumbnails(
    folder: Path, paths: Iterable[str], side: int, scale: Scale | None = None
) -> dict[str, bytes | None]:
    """The thumbnails of the images `paths` below `folder`, which are read at `scale`."""
    wanted = list(dict.fromkeys(paths))
    with quiet_decoding():
        made = in_threads(lambda path: thumbnail(folder / path, side, 75, scale), wanted, num_workers(None))
        return dict(zip(wanted, made, strict=True))


def image_tag(path: str, jpeg: bytes | None) -> str:
    """The picture in HTML, or a grey field where there is none."""
    if jpeg is None:
        return '<div class="gone">image not found</div>'
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img alt="{for_html(path)}" src="data:image/jpeg;base64,{data}">'
