"""The report says how many images judged the best trials, where other folds did."""

from types import SimpleNamespace

import pandas as pd

from tuner.evaluation.report.judged import judged_section


def run(judged):
    return SimpleNamespace(judged=lambda: judged, record={"metric": "val_loss"})


def test_a_run_without_folds_has_no_section():
    assert judged_section([run(None)]) == []


def test_trials_stand_with_the_images_that_judged_them_and_what_is_to_be_expected():
    row = {"trial_id": "t", "images": 1200, "groups": 300, "value": 0.21, "expected": 0.25, "error": 0.02}
    frame = pd.DataFrame([{**row, "chosen": True, "votes": 2}])
    (section,) = judged_section([run(frame)])
    for words in ("How many images judged", "1,200", "0.2500", "chosen, 2 of the ensemble&#x27;s votes"):
        assert words in section
