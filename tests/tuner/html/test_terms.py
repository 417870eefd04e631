"""Terms are explained where they stand, and the sentence around them stays as it is."""

import re
from html.parser import HTMLParser

from tuner.html.glossary import TERMS
from tuner.html.terms import explained, with_terms


class Text(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.text, self.tips = "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "dfn":
            self.tips.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def test_a_term_is_explained_and_the_words_around_it_stay():
    html, found = with_terms("<p>A log loss of 0.2 &amp; two groups</p>", TERMS)
    page = Text(html)
    assert page.text == "A log loss of 0.2 & two groups"
    assert found == {"log loss", "group"}
    assert page.tips[0]["data-tip"].startswith("log loss: how little probability")
    assert {tip["tabindex"] for tip in page.tips} == {"0"}


def test_the_longest_term_wins_and_parts_of_words_are_none():
    html, found = with_terms("<li>calibration error, epochal, val_loss</li><li>95 % interval</li>", TERMS)
    assert found == {"calibration error", "val_loss", "95 % interval"}
    assert html.count("<dfn") == 3


def test_a_name_that_a_page_writes_with_spaces_is_explained_whole():
    html, found = with_terms(
        "<p>lite1 · probe then full, a linear probe, gradual_unfreeze and a full one</p>", TERMS
    )
    assert found == {"probe_then_full", "linear_probe", "gradual_unfreeze", "full"}
    assert html.count("<dfn") == 4


def test_names_in_cells_small_print_and_links_are_left_alone():
    html = '<table><tbody><tr><td>fold</td></tr></tbody></table><p><small>fold</small><a href="#">fold</a></p>fold'
    assert with_terms(html, TERMS) == (html, set())


def test_the_terms_that_occur_are_listed_at_the_end():
    *_, last = explained(["<h2>Rung</h2><p>a rung, a fold</p>"], TERMS)
    assert re.findall(r"<dt>(.*?)</dt>", last) == ["fold", "rung"]
    assert explained(["<h2>Rung</h2>"], TERMS) == ["<h2>Rung</h2>"]


def test_every_explanation_is_one_line_in_the_order_of_the_alphabet():
    assert list(TERMS) == sorted(TERMS, key=lambda term: re.sub(r"[^a-z0-9]", "", term.lower()))
    for term, what in TERMS.items():
        assert "\n" not in what, term
        assert 20 < len(what) < 140, term
        assert not what.endswith("."), term
