"""`farlook.export` without the packages that exporting needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code):
    return subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, farlook.export; print({'torch', 'onnx', 'onnxruntime'} & sys.modules.keys())"
    assert python(code).strip() == "set()"


NEEDED = [
    (name, package)
    for name in ("export_graph", "verify_graph")
    for package in ("torch", "onnx", "onnxscript")
]


@pytest.mark.parametrize(("name", "package"), [*NEEDED, ("verify_graph", "onnxruntime")])
def test_a_missing_package_is_named_with_what_installs_it(name, package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from farlook.runtime.errors import MissingExtraError\n"
        f"try: from farlook.export import {name}\n"
        "except MissingExtraError as error: print(error)"
    )
    message = python(code)
    assert message.startswith(f"{package} is needed ")
    assert "pip install 'farlook[train]'" in message


def test_a_name_that_does_not_exist_is_an_attribute_error():
    code = "import farlook.export as e\ntry: e.nothing\nexcept AttributeError as error: print(error)"
    assert python(code).strip() == "module 'farlook.export' has no attribute 'nothing'"
