from benchmarks.quality.probe_advice import IMPOSTOR, print_tables


def row(model, prior, probe, tuned, case):
    return {
        "set": case,
        "split": 0,
        "size": 96,
        "model": model,
        "prior": prior,
        "probe": probe,
        "tuned": tuned,
    }


def test_regret_is_that_of_what_each_way_puts_first(capsys):
    rows = [
        one
        for case in ("leaves", "objects")
        for one in (
            row("known", 0.7, 0.5, 0.30, case),
            row("seen", 1.3, 0.2, 0.20, case),
            row("both", 0.8, 0.21, 0.10, case),
            row(IMPOSTOR, 1.0, 0.9, 0.80, case),
        )
    ]
    print_tables(rows)
    ways = {
        cells[1].strip(): [cell.strip() for cell in cells[2:6]]
        for line in capsys.readouterr().out.splitlines()
        if len(cells := line.split("|")) == 7 and "---" not in line
    }
    assert ways["prior alone"] == ["0.2000", "0.0000", "0.00", "3.0 of 4"]
    assert ways["probe alone"] == ["0.1000", "0.0000", "0.80", "4.0 of 4"]
    assert ways["both, as `auto`"] == ["0.0000", "0.0000", "1.00", "4.0 of 4"]
    # Of one at random the mean of all four; of three at random the best one is left out once in four times.
    assert ways["at random"] == ["0.2500", "0.0250", "0", ""]
