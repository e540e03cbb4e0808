"""The command as a process: Ctrl-C, closed pipes, full disks, missing packages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

import farlook

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from farlook.cli import main
main()
"""

TELL_WHEN_ENCODING = """
from farlook.runtime.block8.codec import Block8Codec
encode = Block8Codec.encode

def tell(self, *arguments, **options):
    print("encoding", flush=True)
    return encode(self, *arguments, **options)

Block8Codec.encode = tell
from farlook.cli import main
main()
"""

INTERRUPT_WHILE_IMPORTING = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "rich.progress":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from farlook.cli import main
main()
"""


def wait_for(condition, seconds=60):
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)


def write_bmp(path, pixels):
    """An 8-bit grey BMP, faster than pillow writes one."""
    height, width = pixels.shape
    offset = 14 + 40 + 1024
    palette = np.repeat(np.arange(256, dtype=np.uint8), 4).reshape(256, 4)
    palette[:, 3] = 0
    sizes = [40, width, height, 1 | 8 << 16, 0, 0, 0, 0, 256, 0]
    head = b"BM" + np.array([offset + pixels.size, 0, offset], "<u4").tobytes()
    path.write_bytes(head + np.array(sizes, "<u4").tobytes() + palette.tobytes() + pixels.tobytes())


def test_the_console_script_is_installed():
    script = Path(sysconfig.get_path("scripts")) / "farlook"
    result = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == f"farlook {farlook.__version__}\n"


def test_ctrl_c_in_a_folder_leaves_whole_files_only(start, finish, block8, photo, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(200):
        shutil.copy(photo, tmp_path / "in" / f"{index:03}.png")
    process = start("encode", tmp_path / "in", tmp_path / "out")
    wait_for(lambda: list((tmp_path / "out").glob("*.flk")) or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.out) == (130, "")
    lines = result.err.splitlines()
    assert lines[-1] == "farlook: interrupted; nothing half-written was left behind"
    assert [line for line in lines if line.startswith("farlook:")] == lines[-1:]
    files = list((tmp_path / "out").iterdir())
    assert 1 <= len(files) < 200
    for file in files:
        assert file.suffix == ".flk"
        assert block8.decode(file.read_bytes()).shape == (80, 120, 3)


def test_ctrl_c_in_a_large_picture_leaves_nothing(start, finish, tmp_path, tree):
    pixels = np.random.default_rng(1).integers(0, 256, (6000, 6000), dtype=np.uint8)
    write_bmp(tmp_path / "large.bmp", pixels)
    process = start("encode", tmp_path / "large.bmp", tmp_path / "large.flk", code=TELL_WHEN_ENCODING)
    assert process.stdout.readline() == "encoding\n"
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 130
    assert result.err == "farlook: interrupted; nothing half-written was left behind\n"
    assert tree(tmp_path) == ["large.bmp"]


def test_ctrl_c_before_anything_is_loaded(start, finish):
    result = finish(start("doctor", code=INTERRUPT_WHILE_IMPORTING))
    assert (result.code, result.out) == (130, "")
    assert result.err == "farlook: interrupted; nothing was begun\n"


def test_an_output_that_nobody_reads_gives_no_traceback(start, tmp_path, photo, stream):
    (tmp_path / "a.flk").write_bytes(stream)
    commands = [
        ["info", tmp_path / "a.flk"],
        ["info", tmp_path / "a.flk", "--json"],
        ["doctor"],
        ["--help"],
        ["compare", photo, "-o", tmp_path / "c.png"],
    ]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        processes = [start(*command, stdout=writer) for command in commands]
    finally:
        os.close(writer)
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert err == ""
        assert process.returncode == 1


def test_messages_that_nobody_reads_stop_a_folder_quietly(start, tmp_path, photo, tree):
    (tmp_path / "in").mkdir()
    for index in range(20):
        shutil.copy(photo, tmp_path / "in" / f"{index}.png")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = start("encode", tmp_path / "in", tmp_path / "out", stderr=writer)
    finally:
        os.close(writer)
    assert process.wait(60) == 1
    assert all(name.endswith(".flk") for name in tree(tmp_path / "out"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line(start, finish, tmp_path, photo, stream):
    (tmp_path / "a.flk").write_bytes(stream)
    with Path("/dev/full").open("w") as full:
        commands = [["info", tmp_path / "a.flk"], ["info", tmp_path / "a.flk", "--json"], ["--help"]]
        processes = [start(*command, stdout=full) for command in commands]
    processes.append(start("encode", photo, "/dev/full"))
    for process in processes:
        result = finish(process)
        assert result.code == 7
        assert len(result.err.splitlines()) == 1
        assert result.err.startswith("farlook: cannot write ")
        assert "No space left on device" in result.err


def test_closed_outputs_do_no_harm(start, tmp_path, photo, stream):
    def close(descriptor):
        return lambda: os.close(descriptor)

    (tmp_path / "a.flk").write_bytes(stream)
    processes = [
        start("info", tmp_path / "a.flk", preexec_fn=close(1)),
        start("encode", photo, tmp_path / "b.flk", "-c", "block8-paper", preexec_fn=close(2)),
        start("encode", tmp_path / "gone.png", tmp_path / "c.flk", preexec_fn=close(2)),
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 3]
    assert (tmp_path / "b.flk").read_bytes() == stream


def test_a_stream_goes_through_a_pipe(start, finish, tmp_path, photo, stream):
    process = start("encode", photo, "/dev/stdout", "-c", "block8-paper", encoding=None)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, stream)
    assert b"photo.png -> /dev/stdout: 120x80" in err


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_the_command_line_without_its_packages(start, finish, package):
    result = finish(start("doctor", code=BLOCKED.format(package=package)))
    assert (result.code, result.out) == (6, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith(f"farlook: {package}")
    assert result.err.endswith("install it with: pip install 'farlook[cli]'\n")


def test_an_installation_that_is_not_whole_says_so(start, finish):
    result = finish(start("doctor", code=BLOCKED.format(package="numpy")))
    assert (result.code, result.out) == (6, "")
    assert (
        result.err
        == "farlook: numpy is not there: the installation is not whole; run pip install farlook again\n"
    )


def test_another_missing_module_is_not_blamed_on_the_extra(start, finish):
    result = finish(start("doctor", code=BLOCKED.format(package="json")))
    assert result.code == 1
    assert "ModuleNotFoundError" in result.err


def test_sigterm_leaves_nothing_half_written(start, finish, tmp_path, tree):
    pixels = np.random.default_rng(1).integers(0, 256, (6000, 6000), dtype=np.uint8)
    write_bmp(tmp_path / "large.bmp", pixels)
    process = start("encode", tmp_path / "large.bmp", tmp_path / "large.flk", code=TELL_WHEN_ENCODING)
    assert process.stdout.readline() == "encoding\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == 143
    assert tree(tmp_path) == ["large.bmp"]


def test_without_onnxruntime(start, finish, tmp_path, photo, stream, tree):
    (tmp_path / "a.flk").write_bytes(stream)
    code = BLOCKED.format(package="onnxruntime")
    encode, decode, info, doctor, as_json = (
        start(*command, code=code)
        for command in (
            ["encode", photo, tmp_path / "x.flk", "-c", "block8-paper"],
            ["decode", tmp_path / "a.flk", tmp_path / "x.png"],
            ["info", tmp_path / "a.flk"],
            ["doctor"],
            ["doctor", "--json"],
        )
    )
    for process in (encode, decode):
        result = finish(process)
        assert result.code == 6
        assert "pip install 'farlook[cpu]'" in result.complaint
    assert finish(info).code == 0
    table = finish(doctor)
    assert (table.code, table.err) == (0, "")  # block8 needs no onnxruntime
    lines = table.out.splitlines()
    for start_of_line in ("ok  core python", "ok  backend native", "--  backend ort", "ok  extra cli"):
        assert any(line.startswith(start_of_line) for line in lines)
    findings = finish(as_json)
    assert findings.code == 0
    assert {"group": "backend", "name": "ort", "works": False}.items() <= next(
        finding for finding in json.loads(findings.out) if finding["name"] == "ort"
    ).items()
    assert tree(tmp_path) == ["a.flk", "photo.png"]


def test_the_command_line_needs_no_torch(start, finish, tmp_path, photo):
    code = BLOCKED.format(package="torch")
    assert finish(start("encode", photo, tmp_path / "a.flk", code=code)).code == 0


def test_no_verb_imports_torch_unasked(start, finish):
    code = "from farlook.cli.run import run; run(['doctor']); import sys; print('torch' in sys.modules)"
    assert finish(start(code=code)).out.splitlines()[-1] == "False"
