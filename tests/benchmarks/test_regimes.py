import numpy as np

from benchmarks.quality.regimes import RECIPES, _unbalanced, greedy, print_tables


def test_recipes_are_chosen_one_after_the_other_by_what_they_add():
    regrets = np.array([[0.1, 0.1, 0.1], [0.0, 0.9, 0.9], [0.9, 0.0, 0.0], [0.2, 0.2, 0.2]])
    assert greedy(regrets, 3) == [0, 2, 1]
    assert greedy(regrets, 9) == [0, 2, 1, 3]


def test_every_second_class_is_cut():
    from benchmarks.quality.anytime_sets import ImageSet

    count = 300
    labels = np.array([f"class{number % 3}" for number in range(count)])
    names = tuple(f"{label}/{number}.png" for number, label in enumerate(labels))
    images = ImageSet("drawn", None, names, labels, np.array(names), grouped=False)
    found = images.labels[_unbalanced(images, 0).learned].tolist()
    counts = {label: found.count(label) for label in sorted(set(found))}
    assert counts["class1"] < 0.3 * counts["class0"]
    assert counts["class2"] == counts["class0"]


def test_the_tables_show_every_recipe_and_what_is_chosen_without_a_regime(capsys):
    rows = [
        {"regime": regime, "split": 0, "recipe": recipe, "calibrated": 0.1 + 0.1 * place, "learned": 100}
        for regime in ("few", "many")
        for place, recipe in enumerate(RECIPES)
    ]
    print_tables(rows)
    out = capsys.readouterr().out
    first = next(iter(RECIPES))
    assert f"| {first} | 1 | 0.1000 | 0.1000 |" in out
    assert f"| few | {first} | 1.00 | 1.00 | 1.00 |" in out
