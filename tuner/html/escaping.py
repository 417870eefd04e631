"""Names as they are written into pictures, Markdown, HTML and Prometheus' labels: any name, and nothing but the name.

A class or a run may be called anything that a folder may. One function here for each place to write to; all of
them show as signs what would not be seen: control characters, spaces at an end, letters that turn the line round.
"""

import html
import re

__all__ = ["for_html", "for_markdown", "for_picture", "for_prometheus", "markdown_code", "visible"]

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_SPACES = re.compile("^ +| +$|(?<= ) | (?= )")
_MARKDOWN = re.compile(r"[\\`*|~$]|<(?=[A-Za-z/!?])|(?<!\w)_+|_+(?!\w)|\](?=\()|&(?=[#\w]+;)")

LONGEST_LABEL = 200
"""Letters of a label's value; Ray's older collectors refuse more than 255."""


def visible(text: str) -> str:
    """`text` in one line without anything that can't be seen: a line break as its escape, a space at an end as ␣."""
    shown = _INVISIBLE.sub(lambda found: _code(found[0]), text)
    return _SPACES.sub(lambda found: "␣" * len(found[0]), shown)


def for_picture(text: str) -> str:
    """`text`, maybe of several lines, as matplotlib draws it letter by letter: no mathematics between two $."""
    return text.replace("$", r"\$")


def for_markdown(text: str) -> str:
    """`text` as Markdown shows it letter by letter, in a table's cell too; plain names stay as they are."""
    return _MARKDOWN.sub(lambda found: "".join(f"\\{sign}" for sign in found[0]), visible(text))


def markdown_code(text: str) -> str:
    """`text` as code within a line of Markdown, not within a table."""
    shown = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    gap = " " if "`" in (shown[:1], shown[-1:]) else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def for_html(text: str) -> str:
    """`text` as HTML shows it letter by letter, within an element or an attribute in quotes."""
    return html.escape(visible(text))


def for_prometheus(text: str) -> str:
    """`text` as the value of a label: Ray takes ASCII only, and the exposition escapes quotes by itself."""
    shown = _INVISIBLE.sub(lambda found: _code(found[0]), text)
    return shown.encode("ascii", "backslashreplace").decode("ascii")[:LONGEST_LABEL]


def _code(letter: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter) or letter.encode("unicode_escape").decode(
        "ascii"
    )
