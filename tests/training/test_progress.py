from __future__ import annotations

from farlook.models.progress import progress_bars, silent


def test_bars_go_to_standard_error(capsys):
    with progress_bars() as report:
        report("images", 4, 4)
        report("g1", 9, 10, 3.25)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "images" in shown.err
    assert "9/10" in shown.err
    assert "loss 3.25" in shown.err


def test_disabled_bars_say_nothing(capsys):
    with progress_bars(enabled=False) as report:
        report("g1", 9, 10, 3.25)
    assert report is silent
    assert capsys.readouterr() == ("", "")
