from tuner.html.canvas import Names, columns, fit, is_dark, lines, paint


def test_text_that_is_too_long_loses_its_middle():
    assert fit("late blight", 20) == "late blight"
    assert fit("a very long name of a class", 11) == "a ver…class"
    assert columns(fit("감자 역병 잎의 병해 분류 이름", 12)) <= 12


def test_long_labels_break_between_their_parts():
    assert lines("full · step", 20) == "full · step"
    assert lines("gradual unfreeze · smoothed · plateau", 28) == "gradual unfreeze · smoothed ·\nplateau"
    assert max(len(line) for line in lines("one · " * 30 + "end", 20).splitlines()) <= 22


def test_a_shared_beginning_is_left_out_of_pictures():
    assert Names(["Potato___healthy", "Potato___Late_blight"]).drawn == ("healthy", "Late_blight")
    assert Names(["apple", "apricot"]).drawn == ("apple", "apricot")
    assert Names(["leaf_", "leaf_b"]).drawn == ("leaf_", "leaf_b")


def test_a_name_that_no_font_can_draw_gets_a_number_and_a_key():
    private = "\U0010fff0"
    names = Names(["healthy", private])
    assert names.drawn == ("healthy", "class 2")
    assert names.key == {"class 2": private}


def _one_word(asked: list[bool] | None = None):
    def draw(figure):
        axes = figure.add_subplot()
        if asked is not None:
            asked.append(is_dark())
        axes.text(0.5, 0.5, "white", color="#ffffff")

    return draw


def test_a_figure_on_dark_paper_has_its_colours_and_keeps_the_drawings_own_white(tmp_path):
    _, light, dark = (path.read_bytes() for path in paint(tmp_path, "one", (2.0, 1.5), _one_word()))
    for paper, others in ((light, (b"#17181c", b"#e8e8ea")), (dark, (b"#fffffe", b"#1d1d20", b"#d9d9df"))):
        assert b"#ffffff" in paper
        assert not any(colour in paper for colour in others)
    assert b"#17181c" in dark
    assert b"#e8e8ea" in dark


def test_only_a_drawing_that_asks_for_its_paper_is_drawn_on_both(tmp_path):
    asked: list[bool] = []
    paint(tmp_path, "asks", (2.0, 1.5), _one_word(asked))
    assert asked == [False, True]
    drawn = []
    paint(tmp_path, "asks-not", (2.0, 1.5), drawn.append)
    assert len(drawn) == 1
