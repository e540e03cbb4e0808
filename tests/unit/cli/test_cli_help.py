"""Help: every verb has examples, and every example works."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest
from PIL import Image
from typer.main import get_command

import farlook
from farlook.cli.app import app
from farlook.runtime.block8.stream import split_packets
from farlook.runtime.bundle import shipped_decoders
from farlook.runtime.files import write_packets


def commands(command=None, path=()):
    """Every verb: its words to its command."""
    command = get_command(app) if command is None else command
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {
        words: found
        for name, child in inner.items()
        for words, found in commands(child, (*path, name)).items()
    }


VERBS = commands()


def examples(command):
    return [line for line in (command.epilog or "").splitlines() if line.startswith("farlook ")]


EXAMPLES = [example for command in VERBS.values() for example in examples(command)]
RUNNABLE = [
    example
    for example in EXAMPLES
    if example.split()[1]
    not in ("train", "export", "build", "calibrate", "sensitivity", "verify", "bench", "report")
]


@pytest.fixture
def sandbox(tmp_path, monkeypatch, crop, photo, stream, block8_stream, make_bundle):
    """The working directory, with every file that the examples read."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(crop).convert("L").resize((400, 300)).save("frame.tif")
    bundle = make_bundle(lambda manifest: manifest["coding"].update(mine=1), name="mine.bundle")
    mine = farlook.Codec.load(bundle, threads=1).encode(crop)
    write_packets(tmp_path / "packets", split_packets(block8_stream)[1:])
    (tmp_path / "received.flk").write_bytes(block8_stream[:400])
    for folder in ("pictures", "streams"):
        (tmp_path / folder).mkdir()
    shutil.copy(shipped_decoders()["block8-ground-fast"], "ground.bundle")
    (tmp_path / "pass.flk").write_bytes(block8_stream)
    for name, data in (("photo.flk", stream), ("streams/a.flk", stream), ("mine.flk", mine)):
        (tmp_path / name).write_bytes(data)
    shutil.copy(photo, "pictures/a.png")
    return tmp_path


def plain(text):
    """Help without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_the_verbs_are_these():
    names = {" ".join(words) for words in VERBS}
    assert names >= {"encode", "decode", "info", "compare", "doctor", "export block8", "export block8-paper"}


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_help_shows_every_example_whole(cli, words):
    result = cli(*words, "--help")
    assert (result.code, result.err) == (0, "")
    lines = [line.strip() for line in plain(result.out).splitlines()]
    assert any(line.startswith(f"Usage: farlook {' '.join(words)} ") for line in lines)
    assert "Examples:" in lines
    assert examples(VERBS[words])
    for example in examples(VERBS[words]):
        assert example in lines
    assert cli(*words, "-h").out == result.out


def test_the_first_help_lists_every_verb_in_80_columns(cli):
    result = cli("--help")
    assert (result.code, result.err) == (0, "")
    lines = plain(result.out).splitlines()
    assert max(map(len, lines)) <= 80
    for words in VERBS:
        assert any(line.startswith(f"│ {words[0]} ") for line in lines)


def test_help_names_no_path_of_this_machine(cli):
    for words in VERBS:
        assert "kodim23" not in cli(*words, "--help").out


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_accepted(example):
    words = shlex.split(example)[1:]
    path = next(path for path in VERBS if words[: len(path)] == list(path))
    VERBS[path].make_context(path[-1], words[len(path) :])


@pytest.mark.parametrize("example", RUNNABLE)
def test_every_example_runs(cli, sandbox, tree, example):
    def stamps():
        return {name: (sandbox / name).stat().st_ino for name in tree(sandbox)}

    words = shlex.split(example)[1:]
    if "--packets" in words:
        shutil.rmtree("packets")
    before = stamps()
    result = cli(*words)
    assert result.code == 0, result.err
    written = [name for name, stamp in stamps().items() if before.get(name) != stamp]
    outputs = (words[0] in ("encode", "decode", "compare")) + ("--mask" in words)
    outputs += words[0] == "profile" and ("--csv" in words or "--json" in words)
    assert len(written) == outputs or ("--packets" in words and len(written) > 1)


def test_the_version(cli):
    result = cli("--version")
    assert (result.code, result.out, result.err) == (0, f"farlook {farlook.__version__}\n", "")


def test_no_verb_at_all_shows_the_help(cli):
    result = cli()
    assert result.code in (0, 2)  # typer's versions differ
    assert "Compress a picture" in result.out
