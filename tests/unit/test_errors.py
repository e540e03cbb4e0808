"""The tree of errors, as the module's text draws it."""

from __future__ import annotations

import inspect
import re

import pytest

from farlook.runtime import errors

CLASSES = {
    name: cls
    for name, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.FarlookError)
}
DRAWN = re.findall(r"^(.*?)(\w+Error) +(\d+) ", errors.__doc__, flags=re.MULTILINE)


def test_the_drawing_names_every_error_and_no_other():
    assert {name for _, name, _ in DRAWN} == set(CLASSES)


@pytest.mark.parametrize(("name", "code"), [(name, int(code)) for _, name, code in DRAWN])
def test_exit_codes_are_as_drawn(name, code):
    assert CLASSES[name].exit_code == code


def test_parents_are_as_drawn():
    above = []
    for lead, name, _ in DRAWN:
        depth = len(lead.rstrip("|-` ")) // 4 if not lead.strip() else len(lead) // 4
        above = [*above[: depth - 1], name]
        if len(above) > 1:
            assert issubclass(CLASSES[name], CLASSES[above[-2]])


def test_exit_codes_tell_the_branches_apart():
    codes = [cls.exit_code for cls in errors.FarlookError.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert not {0, errors.FarlookError.exit_code, 130} & set(codes)


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_every_error_says_what_it_is_for(cls):
    assert cls.__doc__


def test_a_usage_error_is_a_value_error():
    with pytest.raises(ValueError, match="quality"):
        raise errors.UsageError("quality")


def test_a_missing_extra_says_how_to_install_it():
    error = errors.MissingExtraError("onnxruntime", "cpu", "to run ONNX graphs")
    assert str(error) == (
        "onnxruntime is needed to run ONNX graphs; install it with: pip install 'farlook[cpu]'"
    )
    assert isinstance(error, errors.BackendError)
