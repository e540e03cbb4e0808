"""Records that survive a kill."""

import pytest

from farlook.benchmarks.journal import open_journal, read_journal
from farlook.runtime.errors import FarlookError, OutputError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "points.jsonl"


def test_what_is_appended_is_read_back(path):
    for number in range(3):
        with open_journal(path) as journal:
            journal.append({"number": number})
    assert read_journal(path) == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_a_torn_last_line_is_left_out_and_cut_off(path):
    path.write_bytes(b'{"a":1}\n{"b":')
    assert read_journal(path) == [{"a": 1}]
    with open_journal(path) as journal:
        journal.append({"c": 3})
    assert read_journal(path) == [{"a": 1}, {"c": 3}]


def test_a_file_that_is_not_there_has_no_records(path):
    assert read_journal(path) == []


def test_a_damaged_line_is_an_error_that_names_it(path):
    path.write_bytes(b'{"a":1}\nnonsense\n{"b":2}\n')
    with pytest.raises(FarlookError, match="line 2, is damaged"):
        read_journal(path)
    path.write_bytes(b"[1]\n")
    with pytest.raises(FarlookError, match="line 1"):
        read_journal(path)


def test_two_cannot_write_at_once(path):
    with open_journal(path), pytest.raises(UsageError, match="another benchmark"), open_journal(path):
        pass


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write"), open_journal(tmp_path / "none" / "a.jsonl"):
        pass


def test_what_json_has_no_number_for_is_refused(path):
    with open_journal(path) as journal, pytest.raises(ValueError, match="JSON"):
        journal.append({"psnr": float("inf")})
