from benchmarks.quality.small_sets import CONTENDERS, moving, print_tables
from trainables import strategies
from trainables.config import TrialConfig
from trainables.inference import build_classifier

HEAD, _, LOW, *_ = CONTENDERS
HIGH = "still BatchNorms, 1e-3"
LOSSES = {"leaves": (0.2, 0.1, 0.02), "objects": (1.0, 0.9, 0.95), "characters": (0.4, 0.2, 0.1)}


def test_two_sets_choose_and_the_third_shows(capsys):
    rows = [
        {"set": one, "split": split, "name": name, "plain": loss, "calibrated": loss, "accuracy": 0.9}
        | {"learned": 400, "tested": 100}
        for one, losses in LOSSES.items()
        for name, loss in zip((HEAD, LOW, HIGH), losses, strict=True)
        for split in range(2)
    ]
    print_tables(rows)
    said = capsys.readouterr().out
    assert f"| {HEAD} | 0.200, 0.200, 0.900 | 1.000, 1.000, 0.900 | 0.400, 0.400, 0.900 | 1.00 |" in said
    assert f"| objects | {HIGH} | 0.95 | 0.90, {LOW} |" in said
    assert f"| leaves | {HIGH} | 0.10 | 0.10, {HIGH} |" in said
    assert "leaves: 400 learned, 100 tested" in said


def test_batch_norms_move_only_for_the_contender_that_says_so():
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "probe_then_full", "probe_l2": 0.01})
    classifier = build_classifier(config, 3, "none", 0)
    assert any(group.still for group in strategies.plan(config, classifier))
    with moving():
        assert not any(group.still for group in strategies.plan(config, classifier))
    assert any(group.still for group in strategies.plan(config, classifier))
