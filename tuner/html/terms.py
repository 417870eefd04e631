"""Terms that a page explains: each on hover and on tap, without a script, and all of them in a list at its end.

An explanation is an attribute that the style sheet shows at the foot of the screen, so that no table cuts it off and
the sentence itself stays as it is. The list is for who prints the page or hears it read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from tuner.html.escaping import for_html
from tuner.html.page import section

__all__ = ["TITLE", "explained", "with_terms"]

TITLE = "Glossary"

_TAG = re.compile(r"(<[^>]*>)")
_BLOCKS = ("p", "li", "th", "caption", "figcaption", "h3")
"""Elements of prose, in which terms are explained; cells hold names and numbers of a person's own."""

_SPARED = ("small", "code", "dfn", "a", "nav", "style", "svg", "dl", "tbody")


def explained(sections: Sequence[str], terms: Mapping[str, str]) -> list[str]:
    """The sections with their terms marked, and one more that lists the terms that occur."""
    marked, seen = [], set()
    for part in sections:
        text, found = with_terms(part, terms)
        marked.append(text)
        seen |= found
    if not seen:
        return marked
    return [*marked, section(TITLE, _listed({term: terms[term] for term in terms if term in seen}))]


def with_terms(html: str, terms: Mapping[str, str]) -> tuple[str, set[str]]:
    """`html` with every term in its prose marked, and the terms that were found."""
    # Reports write the names of strategies and hyperparameters with spaces.
    by_word = {word: term for term in terms for word in (term.lower().replace("_", " "), term.lower())}
    pattern = _pattern(by_word)
    found: set[str] = set()

    def marked(match: re.Match[str]) -> str:
        term = by_word[_single(match[0].lower(), by_word)]
        found.add(term)
        return f'<dfn tabindex="0" data-tip="{for_html(f"{term}: {terms[term]}")}">{match[0]}</dfn>'

    parts, open_tags = [], list[str]()
    for piece in _TAG.split(html):
        if piece.startswith("<"):
            _follow(piece, open_tags)
        elif any(tag in _BLOCKS for tag in open_tags) and not any(tag in _SPARED for tag in open_tags):
            piece = pattern.sub(marked, piece)
        parts.append(piece)
    return "".join(parts), found


def _follow(tag: str, open_tags: list[str]) -> None:
    """Keep account of the elements that are open."""
    name = re.match(r"</?([a-zA-Z0-9]+)", tag)
    if name is None or tag.endswith("/>") or name[1] in ("br", "img", "source", "meta"):
        return
    if tag.startswith("</"):
        if open_tags and open_tags[-1] == name[1]:
            open_tags.pop()
    else:
        open_tags.append(name[1])


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    """Any of `terms` as a whole word, in the plural too, the longest first."""
    words = "|".join(re.escape(for_html(term)) for term in sorted(terms, key=lambda term: (-len(term), term)))
    return re.compile(rf"(?<![\w-])(?:{words})s?(?![\w-])", re.IGNORECASE)


def _single(word: str, known: Mapping[str, str]) -> str:
    return word if word in known else word.removesuffix("s")


def _listed(terms: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{for_html(term)}</dt><dd>{for_html(what)}</dd>" for term, what in terms.items())
    return f'<dl id="glossary">{rows}</dl>'
