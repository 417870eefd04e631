"""Drawn leaves for a first run without data. They are drawings, and no measure of anything real.

Three classes as in potato leaves: `early_blight` (brown spots with concentric rings), `late_blight` (large
dark irregular lesions with a pale rim) and `healthy`, which is rare. Each leaf is seen in four pictures.
"""

import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from trainables.data import cache_home
from trainables.data.decode import Pixels
from trainables.errors import DataProblem
from trainables.locks import locked

__all__ = ["LEAVES", "sample_data", "write_sample"]

Canvas = npt.NDArray[np.float32]
_Window = tuple[slice, slice]

LEAVES: Mapping[str, int] = {"early_blight": 58, "late_blight": 58, "healthy": 9}
"""Leaves of each class, in about the ratio 1000 : 1000 : 152."""

VIEWS = 4
SIDE = 256
_DRAWN = 320
_VERSION = 1


@dataclass(frozen=True)
class _Leaf:
    """A leaf from above: colours [h, w, 3] in 0..1 and how much of it covers each pixel [h, w]."""

    colour: Canvas
    cover: Canvas


def sample_data() -> tuple[Path, Path]:
    """The image folder and the groups file of the drawn leaves, in the user's cache directory, drawn once."""
    place = cache_home() / f"sample-v{_VERSION}"
    folder, groups = place / "leaves", place / "leaves-groups.csv"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(f"{place}.lock"):
            if not place.is_dir():
                _write_whole(place)
    except OSError as error:
        raise DataProblem(
            f"the sample pictures can't be written to {place}: {error.strerror or error};"
            " make room there, or set TUNER_CACHE_DIR to another folder"
        ) from error
    return folder, groups


def _write_whole(place: Path) -> None:
    """Draw the sample beside `place`, then rename it."""
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write_sample(temporary / "leaves")
        temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_sample(folder: Path, seed: int = 0) -> Path:
    """The groups file (path, group) of 500 JPEGs of 256 x 256 drawn into `folder`, beside it.

    Every leaf follows from `seed`, its class and its number alone.
    """
    rows = ["path,group"]
    for kind, (label, leaves) in enumerate(LEAVES.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(leaves):
            random = np.random.default_rng((seed, kind, number))
            leaf = _draw_leaf(random, label)
            for view in range(VIEWS):
                name = f"{label}/leaf{number:03d}_{view}.jpg"
                picture = cv2.cvtColor(_photograph(random, leaf), cv2.COLOR_RGB2BGR)
                quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(70, 93))]
                (folder / name).write_bytes(cv2.imencode(".jpg", picture, quality)[1].tobytes())
                rows.append(f"{name},{label}-{number:03d}")
    groups = folder.with_name(f"{folder.name}-groups.csv")
    groups.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return groups


# ---- the leaf


def _draw_leaf(random: np.random.Generator, label: str) -> _Leaf:
    cover, along, across = _outline(random)
    green = np.array([random.uniform(0.2, 0.42), random.uniform(0.42, 0.62), random.uniform(0.12, 0.26)])
    mottle = 0.07 * _noise(random, 10) + 0.05 * _noise(random, 40) + 0.03 * _noise(random, 150)
    colour = (green[None, None, :] * (1.0 + 2.0 * mottle[:, :, None])).astype(np.float32)
    colour = _mix(colour, green * 1.35 + 0.06, 0.6 * _veins(random, along, across))
    if random.random() < 0.4:  # old leaves are yellow in patches, sick or not
        patch = np.clip(1.6 * _noise(random, 3) + random.uniform(-0.6, 0.1), 0, 1)
        colour = _mix(colour, np.array([0.72, 0.68, 0.22]), 0.7 * patch)
    _blemish(random, colour, cover)
    _SYMPTOMS[label](random, colour, cover)
    return _Leaf(np.clip(colour, 0, 1), cover)


def _outline(random: np.random.Generator) -> tuple[Canvas, Canvas, Canvas]:
    """How much leaf covers each pixel, and the coordinates along and across its midrib in -1..1."""
    y, x = np.mgrid[0:_DRAWN, 0:_DRAWN].astype(np.float32) / (_DRAWN / 2) - 1
    length, width = random.uniform(0.78, 0.92), random.uniform(0.42, 0.66)
    along = y / length
    bend = random.uniform(-0.18, 0.18) * (1 - along**2)
    across = (x - bend) / width
    tip = random.uniform(0.75, 1.15)
    half = np.clip(1 - np.abs(along) ** 2.2, 0, None) ** tip * (1 + 0.18 * along)
    ragged = 0.05 * _noise(random, 22) + 0.07 * _noise(random, 7)
    cover = np.clip((half + ragged - np.abs(across)) * 18, 0, 1)
    whole: Canvas = (cover * (np.abs(along) < 1)).astype(np.float32)
    return whole, along, across


def _veins(random: np.random.Generator, along: Canvas, across: Canvas) -> Canvas:
    slant, spacing = random.uniform(0.5, 0.9), random.uniform(0.16, 0.24)
    phase = (along + slant * np.abs(across)) / spacing
    side = np.exp(-((np.abs(phase - np.round(phase)) / 0.09) ** 2)) * 0.6
    return np.asarray(np.maximum(np.exp(-((across / 0.035) ** 2)), side), dtype=np.float32)


def _blemish(random: np.random.Generator, colour: Canvas, cover: Canvas) -> None:
    """Specks, holes and scars that any leaf may have, so that a brown dot alone proves nothing."""
    for _ in range(int(random.integers(0, 9))):
        window, depth = _blob(random, cover, random.uniform(2.0, 8.0), 0.35)
        tone = random.choice([0.12, 0.3, 0.75]) * np.array([1.0, 0.85, 0.6])
        _paint(colour, window, tone, random.uniform(0.4, 0.9) * _inside(depth, 3))
    if random.random() < 0.35:
        window, depth = _blob(random, cover, random.uniform(14, 28), 0.5)
        _paint(colour, window, _lesion_tone(random), random.uniform(0.3, 0.7) * _inside(depth, 2.5))


def _early_blight(random: np.random.Generator, colour: Canvas, cover: Canvas) -> None:
    """Brown spots with concentric rings and a thin yellow halo."""
    brown = _lesion_tone(random)
    for _ in range(int(random.integers(2, 10))):
        radius = random.uniform(7, 26)
        window, depth = _blob(random, cover, radius, random.uniform(0.15, 0.45))
        rings = 0.5 + 0.5 * np.cos(2 * np.pi * depth * radius / random.uniform(4.0, 7.0))
        _paint(
            colour, window, np.array([0.72, 0.68, 0.28]), random.uniform(0.2, 0.6) * _inside(depth + 0.3, 5)
        )
        _paint(colour, window, brown, _inside(depth, 8))
        _paint(colour, window, brown * 0.4, random.uniform(0.3, 0.9) * rings * _inside(depth, 8))


def _late_blight(random: np.random.Generator, colour: Canvas, cover: Canvas) -> None:
    """Dark irregular lesions, blotched inside, with a pale rim."""
    dark = _lesion_tone(random) * random.uniform(0.6, 1.0)
    for i in range(int(random.integers(2, 6))):
        radius = random.uniform(10, 40) if i else random.uniform(26, 48)
        window, depth = _blob(random, cover, radius, random.uniform(0.5, 1.1))
        blotch = 0.85 + 0.35 * _noise(random, 9)[: depth.shape[0], : depth.shape[1]]
        rim = _inside(depth + random.uniform(0.12, 0.35), 5)
        _paint(colour, window, np.array([0.62, 0.68, 0.46]), random.uniform(0.4, 0.8) * rim)
        _paint(colour, window, dark[None, None, :] * blotch[:, :, None], _inside(depth, 6))


def _healthy(random: np.random.Generator, colour: Canvas, cover: Canvas) -> None:
    """Nothing but the blemishes of every leaf."""


_SYMPTOMS: Mapping[str, Callable[[np.random.Generator, Canvas, Canvas], None]] = {
    "early_blight": _early_blight,
    "late_blight": _late_blight,
    "healthy": _healthy,
}


def _lesion_tone(random: np.random.Generator) -> npt.NDArray[np.float64]:
    # one range for all diseases: the tone must not give the class away
    return random.uniform(0.26, 0.46) * np.array(
        [1.0, random.uniform(0.68, 0.82), random.uniform(0.35, 0.55)]
    )


def _blob(random: np.random.Generator, cover: Canvas, radius: float, rough: float) -> tuple[_Window, Canvas]:
    """A place on the leaf, and the depth below an irregular spot's edge there: 1 amid it, 0 at its edge."""
    ys, xs = np.nonzero(cover > 0.8)
    chosen = int(random.integers(len(ys)))
    reach = int(radius * (1.5 + rough)) + 2
    top, left = int(ys[chosen]) - reach, int(xs[chosen]) - reach
    y, x = np.mgrid[-reach:reach, -reach:reach].astype(np.float32)
    turn, flat = random.uniform(0, np.pi), random.uniform(0.65, 1.0)
    u, v = np.cos(turn) * x + np.sin(turn) * y, (np.cos(turn) * y - np.sin(turn) * x) / flat
    edge = rough * (0.7 * _noise(random, 6, 2 * reach) + 0.3 * _noise(random, 14, 2 * reach))
    depth = np.asarray(1 - np.sqrt(u * u + v * v) / radius + edge, dtype=np.float32)
    inner = depth[max(-top, 0) : max(_DRAWN - top, 0), max(-left, 0) : max(_DRAWN - left, 0)]
    top, left = max(top, 0), max(left, 0)
    return (slice(top, top + inner.shape[0]), slice(left, left + inner.shape[1])), inner


def _inside(depth: Canvas, sharpness: float) -> Canvas:
    return np.asarray(np.clip(depth * sharpness, 0, 1), dtype=np.float32)


def _paint(colour: Canvas, window: _Window, tone: npt.NDArray[np.floating], amount: Canvas) -> None:
    colour[window] = _mix(colour[window], tone, amount)


# ---- the photograph


def _photograph(random: np.random.Generator, leaf: _Leaf) -> Pixels:
    """One view of the leaf: its own angle, ground, light, focus and grain; uint8 [256, 256, 3]."""
    turn = cv2.getRotationMatrix2D(
        (_DRAWN / 2, _DRAWN / 2), random.uniform(0, 360), random.uniform(0.68, 1.0)
    )
    matrix = np.vstack([np.asarray(turn, dtype=np.float64), [0.0, 0.0, 1.0]])
    matrix[:2, 2] += (SIDE - _DRAWN) / 2 + random.uniform(-16, 16, 2)
    matrix[2, :2] = random.uniform(-5e-4, 5e-4, 2)
    colour = cv2.warpPerspective(leaf.colour, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    cover = cv2.warpPerspective(leaf.cover, matrix, (SIDE, SIDE))
    ground = _ground(random)
    shift = np.array([[1, 0, random.uniform(-9, 9)], [0, 1, random.uniform(-9, 9)]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (SIDE, SIDE)), (0, 0), random.uniform(2, 6))
    scene = ground * (1 - random.uniform(0.2, 0.7) * shadow[:, :, None])
    scene = _mix(scene.astype(np.float32), np.asarray(colour, dtype=np.float32), np.asarray(cover))
    scene = scene * _light(random)[:, :, None] * random.uniform(0.88, 1.12, 3)
    if (blur := random.uniform(0, 1.3)) > 0.4:
        scene = cv2.GaussianBlur(scene, (0, 0), blur)
    grain = random.standard_normal((SIDE, SIDE, 3), dtype=np.float32) * random.uniform(0.01, 0.05)
    gamma = random.uniform(0.8, 1.25)
    return np.asarray(np.clip(np.clip(scene, 0, 1) ** gamma + grain, 0, 1) * 255, dtype=np.uint8)


def _ground(random: np.random.Generator) -> Canvas:
    """Cloth, soil or foliage: a tone with structure of its own, sometimes in the colours of a lesion."""
    tones = [(0.55, 0.53, 0.56), (0.36, 0.27, 0.18), (0.3, 0.4, 0.2), (0.75, 0.72, 0.68), (0.15, 0.14, 0.13)]
    tone = np.array(tones[int(random.integers(len(tones)))]) * random.uniform(0.8, 1.2, 3)
    coarse, fine = random.uniform(0, 0.6), random.uniform(0.05, 0.35)
    texture = coarse * _noise(random, int(random.integers(4, 24)), SIDE) + fine * _noise(random, 128, SIDE)
    return np.asarray(tone[None, None, :] * (1 + texture[:, :, None]), dtype=np.float32)


def _light(random: np.random.Generator) -> Canvas:
    """Brightness of each pixel: a gradient, and often the shadow of something."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE - 0.5
    angle = random.uniform(0, 2 * np.pi)
    light = random.uniform(0.65, 1.2) * (1 + random.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y))
    if random.random() < 0.5:
        light = light * (1 - random.uniform(0.1, 0.45) * np.clip(4 * _noise(random, 3, SIDE), 0, 1))
    return np.asarray(light, dtype=np.float32)


def _noise(random: np.random.Generator, cells: int, side: int = _DRAWN) -> Canvas:
    """Smooth noise about 0, mostly within -1..1, with `cells` bumps across."""
    coarse = random.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _mix(under: Canvas, over: npt.NDArray[np.floating], amount: Canvas) -> Canvas:
    return np.asarray(under + (over - under) * amount[:, :, None], dtype=np.float32)
