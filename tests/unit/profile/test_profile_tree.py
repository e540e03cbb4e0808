"""Files of /sys that are missing or odd are no reason to stop."""

from pathlib import Path

from farlook.runtime.profile.tree import Tree


def test_text_and_numbers(make_tree):
    tree = make_tree({"sys/a": "12", "sys/b": "MAXN", "proc/device-tree/model": "Board\0"})
    assert tree.number("sys/a") == 12
    assert tree.number("sys/b") is None
    assert tree.text("sys/b") == "MAXN"
    assert tree.text("proc/device-tree/model") == "Board"
    assert tree.text("sys/none") is tree.number("sys/none") is None
    assert tree.text("sys") is None  # a folder


def test_found_paths_can_be_read(make_tree):
    tree = make_tree({"sys/x0/v": "1", "sys/x1/v": "2"})
    assert [tree.number(path) for path in tree.glob("sys/x*/v")] == [1, 2]
    assert tree.glob("sys/y*") == []


def test_the_machine_itself():
    assert Tree().root == Path("/")
    assert Tree("/nowhere").glob("sys/*") == []
