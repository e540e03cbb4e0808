"""Every farlook command in the guides is one that this farlook takes, and every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from farlook.cli.app import app

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))
PROGRAM = get_command(app)

pytestmark = pytest.mark.skipif(not GUIDES, reason="the guides are not part of an installed package")


def commands(text):
    """Lines of code blocks, and code in tables, that call farlook."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(farlook [a-z]+ [^`]+)`", text)
    for line in lines:
        words = shlex.split(line.partition("#")[0])
        if words and words[0].split("/")[-1] == "farlook":
            yield words[1:]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_commands_have_the_options_that_are_shown(guide):
    found = list(commands(guide.read_text(encoding="utf-8")))
    assert found
    for verb, *arguments in found:
        command = PROGRAM.commands[verb]
        takes_value = {
            option: not getattr(parameter, "is_flag", False)
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        words = iter(arguments)
        for word in words:
            if word.startswith("-"):
                assert word in takes_value, f"{guide.name}: farlook {verb} has no {word}"
                if takes_value[word]:
                    next(words)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_links_lead_somewhere(guide):
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", guide.read_text(encoding="utf-8")):
        if target and not target.startswith("http"):
            assert (guide.parent / target).exists(), target
