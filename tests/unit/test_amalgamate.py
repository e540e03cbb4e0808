"""One C file of several: each included once, what is compiled out left out."""

from __future__ import annotations

import pytest

from farlook.export.amalgamate import amalgamate
from farlook.runtime.errors import ExportError


@pytest.fixture
def join(tmp_path):
    """Joins a text with files, given by name."""

    def run(text, given=None, **files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".h").write_text(content)
        return amalgamate(text, [tmp_path], given=given or {}, defined="SMALL")

    return run


def code(text):
    return [line for line in text.splitlines() if line and not line.startswith("/* ----")]


def test_files_are_put_in_once_where_they_are_included_first(join):
    a = '#ifndef A_H\n#define A_H\n#include "b.h"\nint a;\n#endif\n'
    b = "#ifndef B_H\n#define B_H\n#include <stdint.h>\nint b;\n#endif\n"
    text = join('#include "b.h"\n#include "a.h"\n#include <stdint.h>\nint c;\n', a=a, b=b)
    assert code(text) == ["#include <stdint.h>", "int b;", "int a;", "int c;"]
    assert "/* ---- a.h ---- */" in text


def test_files_are_found_beside_the_including_one_first(join):
    text = join(
        '#include "in/a.h"\n',
        in__a='#include "b.h"\n#include "../b.h"\n',
        in__b="int inner;\n",
        b="int outer;\n",
    )
    assert code(text) == ["int inner;", "int outer;"]


def test_what_is_given_is_put_in_and_what_is_unknown_stays(join):
    text = join('#include "made.h"\n#include "other.h"\n', given={"made.h": "int made;\n"})
    assert code(text) == ["int made;", '#include "other.h"']


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("#ifdef SMALL /* why */\na\n#else\nb\n#endif\n", ["a"]),
        ("#ifndef SMALL\na\n#else\nb\n#endif\n", ["b"]),
        ("#ifndef SMALL\n#if X\na\n#else\nb\n#endif\n#endif\nc\n", ["c"]),
        ("#if X\n#ifdef SMALL\na\n#endif\n#else\nb\n#endif\n", ["#if X", "a", "#else", "b", "#endif"]),
        ("#ifndef SEND\n#define SEND 1\n#endif\n", ["#ifndef SEND", "#define SEND 1", "#endif"]),
        ("#define SMALL\n#define LARGE\n", ["#define LARGE"]),
        ('#ifndef SMALL\n#include "absent.h"\n#endif\n', []),
    ],
)
def test_one_macro_is_decided(join, text, left):
    assert code(join(text)) == left


def test_a_conditional_without_an_end(join):
    with pytest.raises(ExportError, match="no #endif"):
        join("#ifdef SMALL\n")
