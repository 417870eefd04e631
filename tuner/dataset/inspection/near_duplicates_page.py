"""The page of a proposal of groups: the distribution that the threshold is from, and thumbnails to look through."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.wording import some
from tuner.dataset.near_duplicates import sentences, sentences_against
from tuner.html.escaping import for_html
from tuner.html.page import document, section
from tuner.html.thumbnails import image_tag, thumbnails
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    from trainables.data.deep import Scale
    from tuner.dataset.near_duplicates import Against, Similar

__all__ = ["write_similar_page"]

GROUPS_SHOWN = 100
OF_A_GROUP = 12
PAIRS_SHOWN = 8
"""Pairs beside the threshold, and pairs with different labels, of each."""

CROSSING_SHOWN = 48
"""Pairs that lie in two of the groups given."""

SIDE = 112

STYLE = """<style>
.pairs { grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); }
.pair { display: flex; gap: .25rem; } .pair img, .pair .gone { width: 50%; }
svg { color: var(--ink); width: 100%; max-width: 46rem; height: auto; }
h3 small { color: var(--soft); font-weight: normal; }
.gallery { margin: .5rem 0 1.5rem; }
</style>"""


def write_similar_page(
    found: "Similar",
    folder: Path,
    page: Path,
    scale: "Scale | None" = None,
    against: "Against | None" = None,
) -> None:
    """Write the page of `found`, whose images lie below `folder` and are read at `scale`.

    Given groups are compared with it, `against`, and then none are proposed.
    """
    members = found.members if against is None else []
    crossing = [] if against is None else [(a, b) for a, b in against.pairs_across.tolist()][:CROSSING_SHOWN]
    shown = [places[:OF_A_GROUP] for places in members[:GROUPS_SHOWN]]
    across = _across(found)
    above, below = _beside_threshold(found)
    wanted = [place for places in shown for place in places]
    wanted += [place for pair in (*across, *above, *below, *crossing) for place in pair]
    pictures = thumbnails(folder, (found.paths[place] for place in wanted), SIDE, scale)
    sections = [
        section(
            "What was found",
            STYLE,
            *(f"<p>{for_html(one)}.</p>" for one in sentences(found)),
            *(f"<p>{for_html(one)}.</p>" for one in ([] if against is None else sentences_against(against))),
            _advice() if against is None else "",
            _chart(found),
        ),
        *([] if against is None else [section("In two of your groups", _pairs(found, crossing, pictures))]),
        section(
            "At the threshold",
            "<p>Pairs just above the threshold; tuner takes them for pictures of one object:</p>",
            _pairs(found, above, pictures),
            "<p>Pairs just below the threshold; tuner takes them for different objects:</p>",
            _pairs(found, below, pictures),
        ),
    ]
    if across:
        remark = (
            "<p>Different objects that look alike, or one object with two labels; the most similar first.</p>"
        )
        sections.append(section("Different labels", remark, _pairs(found, across, pictures)))
    if against is None:
        sections.append(section("Proposed groups", _groups(found, members, shown, pictures)))
    text = document(f"Similar pictures in {folder.name}", sections)
    write_atomically(page, lambda file: file.write_text(text, encoding="utf-8"))


def _advice() -> str:
    return (
        "<p>Look at the pairs at the threshold and at the groups. If the groups are right, or merely join more than"
        " they must, use them: <code>--groups groups.csv</code>. A group too large costs little; a group that is missed"
        " lets two pictures of one object stand on both sides of the split. Edit the file where you know better.</p>"
    )


def _across(found: "Similar") -> list[tuple[int, int]]:
    torn = [(a, b) for a, b in found.pairs.tolist() if found.labels[a] != found.labels[b]]
    return torn[: 2 * PAIRS_SHOWN]


def _beside_threshold(found: "Similar") -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs just above and just below the threshold; where there is none, the most alike stand below."""
    from tuner.dataset.neighbours import linked

    close = linked(found.neighbours, -math.inf)
    count = len(found.pairs)
    above = [(a, b) for a, b in close[max(0, count - PAIRS_SHOWN) : count].tolist()]
    return above, [(a, b) for a, b in close[count : count + PAIRS_SHOWN].tolist()]


def _pairs(found: "Similar", pairs: Sequence[tuple[int, int]], pictures: dict[str, bytes | None]) -> str:
    if not pairs:
        return "<p>There are none.</p>"
    cards = []
    for pair in pairs:
        names = [found.paths[place] for place in pair]
        drawn = "".join(image_tag(name, pictures[name]) for name in names)
        labels = " and ".join(dict.fromkeys(found.labels[place] for place in pair))
        caption = f"{for_html(labels)}<br><small>{'<br>'.join(map(for_html, names))}</small>"
        cards.append(f'<figure><div class="pair">{drawn}</div><figcaption>{caption}</figcaption></figure>')
    return f'<div class="gallery pairs">{"".join(cards)}</div>'


def _groups(
    found: "Similar",
    members: Sequence[Sequence[int]],
    shown: Sequence[Sequence[int]],
    pictures: dict[str, bytes | None],
) -> str:
    if not members:
        return "<p>No groups: no image looks like another one.</p>"
    parts = []
    if len(members) > len(shown):
        parts.append(f"<p>The {len(shown)} largest of {len(members):,}; all are in groups.csv.</p>")
    for number, places in enumerate(shown, start=1):
        count = len(members[number - 1])
        labels = some(dict.fromkeys(for_html(found.labels[place]) for place in members[number - 1]))
        more = f", {count - len(places)} of them not shown" if count > len(places) else ""
        parts.append(f"<h3>similar-{number:04d} <small>{count} images{more}: {labels}</small></h3>")
        cards = [
            f"<figure>{image_tag(found.paths[place], pictures[found.paths[place]])}"
            f"<figcaption><small>{for_html(found.paths[place])}</small></figcaption></figure>"
            for place in places
        ]
        parts.append(f'<div class="gallery">{"".join(cards)}</div>')
    return "".join(parts)


def _chart(found: "Similar") -> str:
    """How alike pairs of one label are, on a logarithmic scale, the normal curve of their bulk, and the threshold."""
    from scipy import special

    from tuner.dataset.neighbours import BINS

    usual, step = found.neighbours.usual, 5
    edges = BINS[::step]
    counts = np.add.reduceat(usual, np.arange(0, len(usual), step))[: len(edges) - 1]
    total = max(int(counts.sum()), 1)
    ends = special.ndtr((edges - found.neighbours.centre) / found.neighbours.width)
    expected = np.diff(ends) * total
    last = int(np.flatnonzero(counts)[-1]) + 2 if counts.any() else 40
    right = min(max(edges[min(last, len(edges) - 1)], (found.threshold or 0) + 1), edges[-1])
    left, width, height, top = -4.0, 640.0, 200.0, math.log10(max(counts.max(), 10)) + 0.1

    def x(value: float) -> float:
        return float(40 + (value - left) / (right - left) * width)

    def y(count: float) -> float:
        return float(10 + height * (1 - max(math.log10(max(count, 1e-9)), 0.0) / top))

    bars = [
        f'<rect x="{x(low):.1f}" y="{y(count + 0.5):.1f}" width="{max(x(high) - x(low) - 1, 1):.1f}"'
        f' height="{10 + height - y(count + 0.5):.1f}" fill="currentColor" opacity=".35"/>'
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count and left <= low and high <= right
    ]
    points = [
        f"{x((low + high) / 2):.1f},{y(count):.1f}"
        for low, high, count in zip(edges[:-1], edges[1:], expected.tolist(), strict=True)
        if left <= low and high <= right and count >= 1
    ]
    line = f'<polyline points="{" ".join(points)}" fill="none" stroke="#0072b2" stroke-width="2"/>'
    marks = "".join(
        f'<text x="{x(value):.1f}" y="228" font-size="12" text-anchor="middle" fill="currentColor">{value:g}</text>'
        for value in np.arange(math.ceil(left), right + 0.5, 2)
    )
    cut = ""
    if found.threshold is not None:
        place = x(found.threshold)
        cut = (
            f'<line x1="{place:.1f}" x2="{place:.1f}" y1="10" y2="210" stroke="#d55e00" stroke-width="2"/>'
            f'<text x="{place + 5:.1f}" y="22" font-size="12" fill="currentColor">threshold'
            f" {found.threshold:.1f}</text>"
        )
    caption = (
        "How alike two images of one label are, in standard deviations above what is usual for both: pairs among up to"
        " 2,000 images, on a logarithmic scale. Blue line: the normal distribution of most pairs. Pairs to the right of"
        " the threshold are taken for pictures of one object."
    )
    return (
        f'<figure><svg viewBox="0 0 700 240" role="img" aria-label="{for_html(caption)}">{"".join(bars)}{line}{cut}'
        f"{marks}</svg><figcaption>{for_html(caption)}</figcaption></figure>"
    )
