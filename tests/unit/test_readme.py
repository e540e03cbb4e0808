"""What the README shows works as shown."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from farlook.cli.run import run

README = Path(__file__).parents[2] / "README.md"


def blocks(language):
    """The README's code blocks in a language ("" for none)."""
    text = README.read_text(encoding="utf-8")
    return [
        body
        for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if kind == language
    ]


@pytest.fixture
def desk(tmp_path, monkeypatch, kodim, shipped):
    """A folder with the files that the README's commands name."""
    (tmp_path / "pictures").mkdir()
    Image.fromarray(kodim[:96, :160]).save(tmp_path / "photo.png")
    Image.fromarray(kodim[200:300, :200]).save(tmp_path / "pictures" / "one.png")
    shutil.copy(shipped, tmp_path / "mine.bundle")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_example_runs(desk, kodim):
    [example] = blocks("python")
    exec(compile(example, "README.md", "exec"), {"image": kodim})


def test_commands_run(desk):
    lines = [line.partition("#")[0] for block in blocks("") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.strip()]
    assert len(commands) >= 8
    # Training and export have tests of their own, which need torch.
    for name, *arguments in commands:
        assert name == "farlook"
        if arguments[0] not in ("train", "export"):
            assert run(arguments) == 0, arguments


@pytest.mark.parametrize("heading", ["Try it", "Test it"])
def test_each_heading_has_exactly_one_command_line(heading):
    section = README.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(block.splitlines()) == 1
