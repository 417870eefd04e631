import pytest

from tuner.html.escaping import for_html, for_markdown, for_picture, for_prometheus, markdown_code, visible


@pytest.mark.parametrize(
    "name",
    ["Late_blight", "Potato___healthy", "감자 역병", "😀", "a-b (c)", "R & D", "95 %", "-3.1", "< 0.001"],
)
def test_plain_names_stay_as_they_are(name):
    assert visible(name) == for_markdown(name) == for_picture(name) == name
    assert markdown_code(name) == f"`{name}`"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("line\nbreak", r"line\nbreak"), ("a\tb\x00", r"a\tb\x00"), ("  padded ", "␣␣padded␣"), ("a  b", "a␣␣b"),
        ("abc\u202edef", r"abc\u202edef"), ("x\udce9", r"x\udce9"), ("a\u2028b", r"a\u2028b"), (" ", "␣"), ("", ""),
    ],
)  # fmt: skip
def test_what_can_not_be_seen_is_shown_as_a_sign(name, shown):
    assert visible(name) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("name", "markdown"),
    [
        ("a|b", r"a\|b"), ("<b>c_d", r"\<b>c_d"), ("*x*", r"\*x\*"), ("__init__", r"\_\_init\_\_"),
        ("a`b", r"a\`b"), ("[a](b)", r"[a\](b)"), ("$5$", r"\$5\$"), ("a\\|b", r"a\\\|b"), ("&amp;", r"\&amp;"),
        ("line\nbreak", r"line\\nbreak"), ("~~a~~", r"\~\~a\~\~"),
    ],
)  # fmt: skip
def test_markdown_shows_a_name_letter_by_letter(name, markdown):
    assert for_markdown(name) == markdown


def test_code_in_markdown_is_fenced_by_more_ticks_than_it_holds():
    assert markdown_code("a`b") == "``a`b``"
    assert markdown_code("``") == "``` `` ```"


def test_html_and_labels():
    assert for_html("<b>\"a\" & 'b'\n") == r"&lt;b&gt;&quot;a&quot; &amp; &#x27;b&#x27;\n"
    assert for_prometheus('감"\n') == r"\uac10" + '"' + r"\n"
    assert len(for_prometheus("x" * 999)) < 255


def test_a_picture_takes_dollars_as_they_are():
    from matplotlib.text import Text

    for name in ("price_$5_to_$9", r"a\$b$", "$", "$$", "no"):
        assert Text()._preprocess_math(for_picture(name)) == (name, False)
