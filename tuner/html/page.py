"""HTML that needs nothing but itself: no network, any screen, light and dark, readable by a screen reader."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.html.escaping import for_html

if TYPE_CHECKING:
    from tuner.html.canvas import Picture

__all__ = ["Small", "bullets", "document", "figure", "section", "table"]

LONG = 25
"""Rows from which a table scrolls in a window of its own."""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d1d1f; --soft: #62626b; --line: #d9d9de;
  --wash: #f5f6f8; --warn: #fff4dc; --link: #005a92; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181c; --ink: #e8e8ea; --soft: #a6a7b0;
  --line: #3c3e46; --wash: #202228; --warn: #3a3018; --link: #7cc0ee; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5; overflow-wrap: anywhere;
  font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK KR", sans-serif; }
main { max-width: 100rem; margin: 0 auto; padding: .5rem 1.5rem 4rem; }
p, main > section > ul, .warnings, figcaption { max-width: 56rem; }
h1 { font-size: 1.3rem; margin: .25rem 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem;
  border-top: 1px solid var(--line); padding-top: 1rem; } h3 { font-size: 1rem; margin: 0; }
nav { line-height: 1.2; }
nav a { color: var(--link); margin-right: 1rem; display: inline-block; padding: .25rem 0; }
a { color: var(--link); }
section:first-of-type h2 { margin-top: .5rem; padding-top: .5rem; }
.conclusion { font-size: 1.1rem; margin: .5rem 0; }
dfn { font-style: normal; text-decoration: underline dotted; text-underline-offset: .2em; cursor: help; }
dfn:hover::after, dfn:focus::after { content: attr(data-tip); position: fixed; z-index: 9; left: 0; right: 0;
  bottom: 0; padding: .75rem 1.5rem; background: var(--ink); color: var(--paper); font-size: 1rem;
  font-weight: normal; white-space: normal; text-align: left; }
dfn:focus-visible { outline: 2px solid var(--link); }
dt { font-weight: 600; margin-top: .75rem; } dd { margin: 0 0 0 1rem; max-width: 56rem; }
td small { display: block; color: var(--soft); font-size: .75rem; }
.warnings { background: var(--warn); border-radius: .5rem; padding: .75rem 1rem; }
.warnings ul { margin: .25rem 0 0; padding-left: 1.2rem; }
.note, figcaption, caption { color: var(--soft); font-size: .875rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0;
  width: fit-content; max-width: 100%; }
.long { max-height: 40rem; }
.scroll:focus-visible, .wide:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; width: 100%;
  overflow-wrap: normal; }
caption { text-align: left; padding: .5rem .75rem; }
th, td { padding: .35rem .75rem; text-align: left; border-top: 1px solid var(--line); vertical-align: top; }
thead th { background: var(--wash); position: sticky; top: 0; white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; }
td { min-width: 11rem; max-width: 26rem; } td.number { min-width: 0; } tbody th { font-weight: 600; }
figure { margin: 1.5rem 0; } figcaption strong { color: var(--ink); display: block; font-size: 1rem; }
.wide { overflow-x: auto; }
.wide img { width: 100%; max-width: 46rem; min-width: 34rem; height: auto; display: block; }
.gallery { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.gallery figure { margin: 0; } .gallery img, .gone { width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: .5rem; background: var(--wash); }
.gone { display: grid; place-items: center; color: var(--soft); }
@media (max-width: 40rem) { main { padding: .25rem 1rem 4rem; } td { min-width: 7rem; }
  th, td { padding: .35rem .5rem; } .wide img { min-width: 0; } .wide:focus img { min-width: 44rem; }
  .wide::after { content: "tap the picture to enlarge it"; color: var(--soft); font-size: .75rem; }
  .first th, .first td { min-width: 0; padding: .3rem .35rem; font-size: .8rem; }
  .first thead th, .first td.number { white-space: normal; } .first td:first-child { width: 46%; }
  .first small { overflow-wrap: anywhere; font-size: .65rem; line-height: 1.3; } }
@media (min-width: 75rem) { .beside { display: grid; gap: 0 2rem; align-items: start;
  grid-template-columns: fit-content(58rem) minmax(20rem, 1fr); } .beside .warnings { margin: 1rem 0; } }
@media print { .long { max-height: none; } }
"""


@dataclass(frozen=True)
class Small:
    """A cell of a table with a line in small print below it."""

    text: str
    small: str


def document(title: str, sections: Sequence[str]) -> str:
    """The whole page; `sections` as `section` makes them."""
    shown = for_html(title)
    names = [part.split("<h2>", 1)[1].split("</h2>", 1)[0] for part in sections]
    links = "".join(f'<a href="#part{number}">{name}</a>' for number, name in enumerate(names))
    body = "".join(f'<section id="part{number}">{part}</section>' for number, part in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown}</title><style>{STYLE}</style></head>"
        f'<body><main><h1>{shown}</h1><nav aria-label="Sections">{links}</nav>{body}</main></body></html>\n'
    )


def section(title: str, *parts: str) -> str:
    """A part of the page under its own heading; `parts` are HTML, `title` is text."""
    return f"<h2>{for_html(title)}</h2>{''.join(parts)}"


def bullets(sentences: Sequence[str]) -> str:
    """A list of texts; nothing where there are none."""
    items = "".join(f"<li>{for_html(one)}</li>" for one in sentences)
    return f"<ul>{items}</ul>" if items else ""


def table(
    header: Sequence[str], rows: Sequence[Sequence[str | Small]], caption: str, *, first: bool = False
) -> str:
    """A table of texts that scrolls by itself on a narrow screen; columns of numbers stand to the right.

    The `first` of a page is small enough to fit a phone whole.
    """
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    head = "".join(f'<th scope="col">{for_html(name)}</th>' for name in header)
    lines = []
    for row in rows:
        cells = []
        for position, cell in enumerate(row):
            kind = ' class="number"' if numeric[position] else ""
            cells.append(f"<td{kind}>{_cell(cell)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    shown, kinds = for_html(caption), (" long" if len(rows) > LONG else "") + (" first" if first else "")
    return (
        f'<div class="scroll{kinds}" role="region" aria-label="{shown}" tabindex="0"><table>'
        f"<caption>{shown}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure(picture: "Picture") -> str:
    """A figure with its caption, its files inlined, dark on dark screens."""
    alt = for_html(f"{picture.title}. {picture.caption}")
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_data(picture.dark)}">'
    image = f'<picture>{dark}<img alt="{alt}" src="{_data(picture.light)}"></picture>'
    caption = f"<strong>{for_html(picture.title)}</strong>{for_html(picture.caption)}"
    return f'<figure><figcaption>{caption}</figcaption><div class="wide" tabindex="0">{image}</div></figure>'


def _data(svg: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.read_bytes()).decode("ascii")


def _cell(cell: str | Small) -> str:
    if isinstance(cell, str):
        return for_html(cell)
    return f"{for_html(cell.text)}<small>{for_html(cell.small)}</small>"


def _is_number(cell: str | Small) -> bool:
    return isinstance(cell, str) and (not cell or cell[0] in "+-0123456789<")
