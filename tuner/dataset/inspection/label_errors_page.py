"""The page of doubtful labels: thumbnails to look through, and boxes to mark what a run shall leave out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.dataset.inspection.label_errors import sentences
from tuner.html.escaping import for_html
from tuner.html.page import document, section
from tuner.html.thumbnails import image_tag, thumbnails
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    from trainables.data.deep import Scale
    from tuner.dataset.inspection.label_errors import Suspects

__all__ = ["write_suspects_page"]

SHOWN = 200
SIDE = 144

STYLE = """<style>
.gallery { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
.gallery label { display: block; cursor: pointer; }
.gallery figure:has(input:checked) { outline: 3px solid #d55e00; outline-offset: 3px; border-radius: .5rem; }
button { font: inherit; padding: .5rem 1rem; position: sticky; bottom: 1rem; }
.swap { color: var(--ink); font-weight: 600; }
</style>"""

SCRIPT = """<script>
document.getElementById("save").addEventListener("click", () => {
  const marked = [...document.querySelectorAll("input:checked")].map(box => names[Number(box.value)]);
  const quoted = name => '"' + name.replaceAll('"', '""') + '"';
  const text = ["path,leave_out", ...marked.map(name => quoted(name) + ",yes")].join("\\n") + "\\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "marked.csv";
  link.click();
});
</script>"""


def write_suspects_page(found: "Suspects", folder: Path, page: Path, scale: "Scale | None" = None) -> None:
    """Write the page of the first `SHOWN` of `found`, whose images lie below `folder` and are read at `scale`."""
    places = found.order[:SHOWN].tolist()
    pictures = thumbnails(folder, (found.paths[place] for place in places), SIDE, scale)
    cards = []
    for number, place in enumerate(places):
        row = found.row(place)
        same = row["given"] == row["likely"]
        words = (
            "also likeliest" if same else f'looks like <span class="swap">{for_html(row["likely"])}</span>'
        )
        figures = f"{100 * row['probability_of_given']:.1f} % {for_html(row['given'])}"
        if not same:
            figures += f", {100 * row['probability_of_likely']:.1f} % {for_html(row['likely'])}"
        cards.append(
            f"<figure><label>{image_tag(row['path'], pictures[row['path']])}"
            f'<figcaption><input type="checkbox" value="{number}"> {number + 1}. labelled'
            f' <span class="swap">{for_html(row["given"])}</span>, {words}<br>{figures}'
            f"<br><small>{for_html(row['path'])}</small></figcaption></label></figure>"
        )
    names = json.dumps([found.paths[place] for place in places]).replace("<", "\\u003c")
    how = (
        "cleanlab made the ranking"
        if found.flagged is not None
        else "the image whose given label has the lowest probability comes first"
    )
    sections = [
        section(
            "What was found",
            STYLE,
            *(f"<p>{for_html(one)}.</p>" for one in sentences(found)),
            f"<p>Below are the first {len(places)} of {len(found.order):,}; {how}. Mark the images that a run shall"
            " leave out and save the list, or write <code>yes</code> into the column <code>leave_out</code> of"
            " suspects.csv; then <code>tuner run --without marked.csv</code>. No file is deleted. To correct a label,"
            " move the image, or edit your labels file.</p>",
        ),
        section(
            "Possible label errors",
            f'<div class="gallery">{"".join(cards)}</div>',
            '<p><button id="save" type="button">Save what is marked</button></p>',
            f"<script>const names = {names};</script>",
            SCRIPT,
        ),
    ]
    text = document(f"Doubtful labels in {folder.name}", sections)
    write_atomically(page, lambda file: file.write_text(text, encoding="utf-8"))
