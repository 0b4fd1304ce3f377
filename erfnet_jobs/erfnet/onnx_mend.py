"""What MindSpore's ONNX exporter writes wrongly, put right; pure functions of an ONNX model.

MindSpore 2.10 writes the `pads` of Conv and ConvTranspose as top, bottom, left, right, where ONNX wants top, left,
bottom, right (onnx.ai/onnx/operators/onnx__Conv.html), gives ConvTranspose an `output_shape` with batch and channels in
it, and calls its pad mode `same` SAME_LOWER although it crops at the end.

The order of pads cannot be told from the pads, and the checker cannot tell it either: a 3x1 convolution with wrong pads
and the 1x3 one after it shift the image, and give the right shape. So all pads are taken for MindSpore 2.10's. A
MindSpore that writes them right would have them spoilt here: that shows only when the model is run and compared with
the network, which `export` does with every file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from onnx import ModelProto, NodeProto, checker, helper, shape_inference

from erfnet_jobs.errors import ErfnetJobsError


def mended(model: ModelProto) -> ModelProto:
    """The model with these faults put right; the model given is not changed.

    Raises ErfnetJobsError where onnx's checker refuses the result.
    """
    result = ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            _mend(node)
    if fault := fault_of(result):
        raise ErfnetJobsError(f"what MindSpore wrote, mended, is no valid ONNX model: {fault}")
    return result


def fault_of(model: ModelProto) -> str | None:
    """What onnx's checker, shapes included, says against a model; None where it accepts it."""
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        return str(error).strip().splitlines()[0]
    return None


def onnx_pads(pads: Sequence[int]) -> list[int]:
    """Top, bottom, left, right as top, left, bottom, right."""
    top, bottom, left, right = pads
    return [top, left, bottom, right]


def same_pads(kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """What a ConvTranspose crops for an output of input x stride: top, left, bottom, right, the odd one at the end.

    Raises ErfnetJobsError for a kernel smaller than its stride, which crops nothing and leaves gaps.
    """
    totals = [
        dilation * (side - 1) + 1 - stride for side, stride, dilation in zip(kernel, strides, dilations, strict=True)
    ]
    if min(totals) < 0:
        raise ErfnetJobsError(f"a transposed convolution has kernel {kernel} and strides {strides}: no padding fits")
    return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]


def _mend(node: NodeProto) -> None:
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if "pads" in attributes:
        attributes["pads"] = onnx_pads(attributes["pads"])
    if len(attributes.get("output_shape", ())) > len(attributes["kernel_shape"]):
        del attributes["output_shape"]
    if node.op_type == "ConvTranspose" and attributes.get("auto_pad") in (b"SAME_LOWER", b"SAME_UPPER"):
        del attributes["auto_pad"]
        attributes["pads"] = _same_pads_of(attributes)
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def _same_pads_of(attributes: Mapping[str, Any]) -> list[int]:
    kernel = attributes["kernel_shape"]
    ones = [1] * len(kernel)
    return same_pads(kernel, attributes.get("strides", ones), attributes.get("dilations", ones))


def described(model: ModelProto, producer: tuple[str, str], properties: Mapping[str, str]) -> ModelProto:
    """The model with its producer's name and version, and properties (`metadata_props`)."""
    result = ModelProto()
    result.CopyFrom(model)
    result.producer_name, result.producer_version = producer
    helper.set_model_props(result, dict(properties))
    return result


def renamed(model: ModelProto, input_name: str, output_name: str) -> ModelProto:
    """The model with its one input and its one output called so."""
    result = ModelProto()
    result.CopyFrom(model)
    (given,), (made,) = result.graph.input, result.graph.output
    names = {given.name: input_name, made.name: output_name}
    given.name, made.name = input_name, output_name
    for node in result.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    return result
