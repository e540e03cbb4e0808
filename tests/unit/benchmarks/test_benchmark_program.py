"""The command line that benchmarks share."""

from __future__ import annotations

import pytest

from farlook.benchmarks.program import add_processes, each, make_parser, names, positive, run_program
from farlook.runtime.errors import UsageError


@pytest.fixture
def parser(tmp_path):
    made = make_parser("some.py", "What it does.\n\n    an example", str(tmp_path / "page.md"))
    add_processes(made)
    return made


def test_help_shows_the_text_as_it_is(parser, capsys):
    with pytest.raises(SystemExit):
        run_program(parser, lambda *_: None, ["--help"])
    assert "\n    an example\n" in capsys.readouterr().out


def test_the_command_is_as_it_was_given(parser, tmp_path):
    seen = []
    assert (
        run_program(parser, lambda options, command: seen.append((options, command)), ["--processes", "3"])
        == 0
    )
    ((options, command),) = seen
    assert (options.processes, options.output, options.quiet) == (3, tmp_path / "page.md", False)
    assert command == "python benchmarks/some.py --processes 3"


def test_errors_are_one_line_and_a_code(parser, capsys):
    def fail(options, command):
        raise UsageError("that is wrong")

    assert run_program(parser, fail, []) == 2
    assert capsys.readouterr().err == "error: that is wrong\n"


def test_a_missing_folder_is_found_before_anything_runs(parser, tmp_path, capsys):
    ran = []
    arguments = ["--output", str(tmp_path / "none" / "page.md")]
    assert run_program(parser, lambda *given: ran.append(given), arguments) == 2
    assert not ran
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_done_in_order_in_any_number_of_processes(processes):
    assert each(abs, [-3, 1, -2], processes=processes, label="numbers", quiet=True) == [3, 1, 2]


def test_names_and_numbers():
    assert names("jpeg, j2k,,webp") == ["jpeg", "j2k", "webp"]
    assert positive("3") == 3
    with pytest.raises(Exception, match="not above 0"):
        positive("0")
