import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from erfnet_jobs.erfnet.metrics_text import metrics_text, tensor_text

# What `repr(torch.tensor(values, dtype=torch.float64))` gives (torch 2.x).
IOUS = [0.9689, 0.7735, 0.8976, 0.4123, 0.4511, 0.5566, 0.5987, 0.6876, 0.9054, 0.5678]


def test_nine_to_a_line_and_the_type_at_the_end():
    assert tensor_text(IOUS * 2) == (
        "tensor([0.9689, 0.7735, 0.8976, 0.4123, 0.4511, 0.5566, 0.5987, 0.6876, 0.9054,\n"
        "        0.5678, 0.9689, 0.7735, 0.8976, 0.4123, 0.4511, 0.5566, 0.5987, 0.6876,\n"
        "        0.9054, 0.5678], dtype=torch.float64)"
    )


def test_absent_classes_are_nan_and_zeros_stay():
    assert tensor_text([0.5, math.nan, 0.0]) == "tensor([0.5000,    nan, 0.0000], dtype=torch.float64)"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.0, 0.0], "tensor([0., 0.], dtype=torch.float64)"),
        ([1.0, 0.0], "tensor([1., 0.], dtype=torch.float64)"),
        ([0.5, 0.00001], "tensor([5.0000e-01, 1.0000e-05], dtype=torch.float64)"),
    ],
)
def test_whole_and_tiny_numbers(values, text):
    assert tensor_text(values) == text


def test_three_lines():
    lines = metrics_text(0.25, 1.5, [0.5, None]).splitlines()

    assert lines == ["mean_iou 0.25", "mean_loss 1.5", "iou_class tensor([0.5000,    nan], dtype=torch.float64)"]


IOU = st.one_of(
    st.floats(0, 1, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, math.nan]),
    st.floats(0, 0.01, allow_subnormal=False),
    st.integers(0, 2**20).map(lambda pixels: pixels / 2**20),
    # What a rounding of the last digit decides, and the edges between plain and scientific.
    st.integers(0, 20_000).map(lambda step: step / 20_000),
    st.sampled_from([0.0001, 0.001, 0.99995, 0.9999499999, 1e-5, 9.9999e-5, 1e-300]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(IOU, min_size=19, max_size=19))
def test_any_ious_are_printed_as_torch_prints_them(values):
    assert tensor_text(values) == repr(torch.tensor(values, dtype=torch.float64))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=19, max_size=19) | st.lists(IOU, max_size=25))
def test_whole_ones_and_other_lengths_too(values):
    assert tensor_text(values) == repr(torch.tensor(values, dtype=torch.float64))
