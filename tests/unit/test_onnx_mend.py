"""Small graphs spoilt as MindSpore 2.10 spoils them, and mended: they are what they were, and ONNX Runtime agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erfnet_jobs.errors import ErfnetJobsError
from tests.optional import optional

onnx = optional("onnx")
onnxruntime = optional("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from erfnet_jobs.erfnet.onnx_mend import described, fault_of, mended, onnx_pads, renamed, same_pads  # noqa: E402

PADS = st.lists(st.integers(0, 3), min_size=4, max_size=4)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDE = 9


def graph(kind, true_pads, kernel, strides, dilations, **more):
    """One convolution of 2 x SIDE x SIDE to 3 channels, and the output's shape."""
    outs = []
    for axis in (0, 1):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        both = true_pads[axis] + true_pads[axis + 2]
        if kind == "Conv":
            outs.append((SIDE + both - reach) // strides[axis] + 1)
        else:
            outs.append((SIDE - 1) * strides[axis] + reach - both)
    shape = (2, 3) if kind == "ConvTranspose" else (3, 2)
    weights = np.random.default_rng(1).normal(size=(*shape, *kernel)).astype(np.float32)
    node = helper.make_node(
        kind, ["x", "w"], ["y"], kernel_shape=kernel, strides=strides, dilations=dilations, group=1, **more
    )
    made = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, *outs])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 11)], ir_version=4), outs


def as_mindspore(pads):
    """Top, left, bottom, right as top, bottom, left, right."""
    return [pads[0], pads[2], pads[1], pads[3]]


def output(model):
    image = np.random.default_rng(2).normal(size=(1, 2, SIDE, SIDE)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {model.graph.input[0].name: image})[0]


def attributes(model):
    return {entry.name: helper.get_attribute_value(entry) for entry in model.graph.node[0].attribute}


@given(PADS)
def test_the_order_of_pads(pads):
    assert onnx_pads(as_mindspore(pads)) == pads


@settings(deadline=None, max_examples=30)
@given(PADS, PAIR, PAIR, PAIR)
def test_a_convolution(pads, kernel, strides, dilations):
    right, _ = graph("Conv", pads, kernel, strides, dilations, pads=pads)
    spoilt, _ = graph("Conv", pads, kernel, strides, dilations, pads=as_mindspore(pads))
    before = spoilt.SerializeToString()
    assert attributes(mended(spoilt)) == attributes(right)
    assert spoilt.SerializeToString() == before
    np.testing.assert_array_equal(output(mended(spoilt)), output(right))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 1), min_size=4, max_size=4), PAIR, PAIR, PAIR)
def test_a_transposed_convolution(pads, kernel, strides, dilations):
    right, (height, width) = graph("ConvTranspose", pads, kernel, strides, dilations, pads=pads)
    more = {"pads": as_mindspore(pads), "output_shape": [1, 3, height, width]}
    spoilt, _ = graph("ConvTranspose", pads, kernel, strides, dilations, **more)
    assert fault_of(spoilt)
    assert attributes(mended(spoilt)) == attributes(right)
    np.testing.assert_array_equal(output(mended(spoilt)), output(right))


@given(PAIR, st.integers(1, 2), st.integers(1, 2))
def test_pad_mode_same(kernel, stride, dilation):
    if any(dilation * (side - 1) + 1 < stride for side in kernel):
        with pytest.raises(ErfnetJobsError, match="no padding fits"):
            same_pads(kernel, (stride, stride), (dilation, dilation))
        return
    pads = same_pads(kernel, (stride, stride), (dilation, dilation))
    spoilt, outs = graph("ConvTranspose", pads, kernel, (stride, stride), (dilation, dilation), auto_pad="SAME_LOWER")
    assert outs == [SIDE * stride] * 2
    assert all(0 <= end - begin <= 1 for begin, end in zip(pads[:2], pads[2:], strict=True))
    found = attributes(mended(spoilt))
    assert (found["pads"], "auto_pad" in found) == (pads, False)


def test_what_is_right_stays():
    model, _ = graph("ConvTranspose", [0] * 4, (2, 2), (2, 2), (1, 1), auto_pad="VALID", output_shape=[18, 18])
    assert mended(model) == model


def test_what_cannot_be_mended_is_refused():
    model, _ = graph("Conv", [0] * 4, (3, 3), (1, 1), (1, 1), pads=[1, 0, 0, 0])
    with pytest.raises(ErfnetJobsError, match="no valid ONNX model: "):
        mended(model)


def test_names_producer_and_properties():
    model, _ = graph("Conv", [0] * 4, (3, 3), (1, 1), (1, 1), pads=[0] * 4)
    named = described(renamed(model, "images", "logits"), ("us", "1.2"), {"size": "9x9"})
    assert fault_of(named) is None
    assert [named.graph.input[0].name, named.graph.output[0].name] == ["images", "logits"]
    assert (named.producer_name, named.producer_version) == ("us", "1.2")
    assert {entry.key: entry.value for entry in named.metadata_props} == {"size": "9x9"}
    np.testing.assert_array_equal(output(named), output(model))
