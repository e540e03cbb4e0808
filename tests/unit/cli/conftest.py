"""The command line, run in this process, and a folder with what it works on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from farlook.cli import run as cli_run
from farlook.runtime.codec import Codec

MAIN = "from farlook.cli import main; main()"
SETTINGS = {"COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and the lines it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self):
        """The one line that a failing command prints, and nothing else."""
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("farlook: ")
        return lines[0]


@pytest.fixture(scope="session")
def command():
    """The parsed command; making it takes longer than running it."""
    return cli_run.get_command(cli_run.app)


@pytest.fixture
def cli(command, codec, block8, capsys, monkeypatch):
    """A runner: cli("info", path) -> Result. It opens the codecs that ship with farlook only once."""
    load = Codec.load
    opened = {("block8", "auto", 0): block8, ("block8-paper", "auto", 0): codec}

    def load_once(name, backend="auto", threads=0, precision="fp32"):
        known = opened.get((name, backend, threads)) if precision == "fp32" else None
        return known or load(name, backend, threads, precision)

    monkeypatch.setattr(Codec, "load", load_once)
    monkeypatch.setattr(cli_run, "get_command", lambda app: command)

    def run(*arguments):
        capsys.readouterr()
        code = cli_run.run([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def start(tmp_path):
    """A starter of the command as a process of its own; what still runs at the end is killed."""
    started = []

    def popen(*arguments, code=MAIN, environment=None, **options):
        settings = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
            "cwd": tmp_path,  # not the repository, whose folder "farlook" is a part of the package
            "env": os.environ | SETTINGS | (environment or {}),
        }
        process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **settings | options)
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def finish():
    """Wait for a started process: Result."""

    def wait(process, timeout=60):
        out, err = process.communicate(timeout=timeout)
        return Result(process.returncode, out, err)

    return wait


@pytest.fixture(scope="session")
def crop(kodim):
    """A piece of the photograph: uint8 [80, 120, 3]."""
    return np.ascontiguousarray(kodim[200:280, 300:420])


@pytest.fixture
def photo(tmp_path, crop):
    """The piece as photo.png, alone in a folder."""
    path = tmp_path / "photo.png"
    Image.fromarray(crop).save(path)
    return path


@pytest.fixture(scope="session")
def stream(codec, crop):
    """The piece as a stream of block8-paper."""
    return codec.encode(crop)


@pytest.fixture(scope="session")
def block8_stream(block8, crop):
    """The piece as a stream of block8, in packets of at most 250 bytes."""
    return block8.encode(crop, mtu=250)


@pytest.fixture(scope="session")
def small_stream(codec, crop):
    """24 x 16 grey pixels as a stream of block8-paper."""
    return codec.encode(np.ascontiguousarray(crop[:16, :24, 0]))


@pytest.fixture(scope="session")
def tree():
    """A lister of the files below a folder, hidden ones included."""

    def files(folder):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    return files
