"""The declaration of a graph's inputs and outputs."""

from __future__ import annotations

import pytest
import torch

from farlook.export.spec import Axis, GraphSpec
from farlook.runtime.errors import UsageError

INPUTS = {"latents": ("batch", "12", "rows", "cols"), "image": ("batch", "1", "8*rows", "8*cols")}


def spec(*shapes, inputs=INPUTS, outputs=("result",)):
    tensors = tuple(torch.zeros(shape) for shape in shapes)
    return GraphSpec("synthesis", torch.nn.Identity(), inputs, outputs, lambda _b, _h, _w: tensors)


@pytest.mark.parametrize(
    ("text", "axis"),
    [("64", Axis(None, 64)), ("batch", Axis("batch")), ("8*rows", Axis("rows", 8)), ("1*x_1", Axis("x_1"))],
)
def test_axes_are_read(text, axis):
    assert Axis.parse(text) == axis


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "rows*8", "8rows", "8 * rows", "0*rows", "Rows", "8*8", "h+1"]
)
def test_what_is_not_an_axis_is_refused(text):
    with pytest.raises(UsageError, match="is not an axis; write a size as '64', a name as 'batch', or '8"):
        spec(inputs={"image": (text,)})


def test_an_example_that_fits_is_passed_on():
    shapes = [(2, 12, 3, 5), (2, 1, 24, 40)]
    assert [tuple(tensor.shape) for tensor in spec(*shapes).make_inputs(2, 24, 40)] == shapes


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ((2, 1, 24, 41), "no multiple of 8"),
        ((2, 3, 24, 40), "a fixed axis of another size"),
        ((2, 1, 32, 40), "rows differ between the inputs"),
        ((1, 24, 40), "an axis is missing"),
    ],
)
def test_an_example_that_does_not_fit_is_refused(image, why):
    with pytest.raises(UsageError, match=r"'image' as \(.*\), not batch x 1 x 8\*rows x 8\*cols"):
        spec((2, 12, 3, 5), image).make_inputs(2, 24, 40)


def test_an_example_with_too_few_tensors_is_refused():
    with pytest.raises(UsageError, match="1 tensors for 2 inputs"):
        spec((2, 12, 3, 5)).make_inputs(2, 24, 40)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({}, ("y",), "at least one input and one output"),
        ({"x": ("n",)}, (), "at least one input and one output"),
        ({"x": ("n",)}, ("y", "y"), "its own name; got x, y, y"),
        ({"x": ("n",)}, ("x",), "its own name; got x, x"),
    ],
)
def test_names_are_needed_once(inputs, outputs, message):
    with pytest.raises(UsageError, match=message):
        spec(inputs=inputs, outputs=outputs)
