import math

import pytest

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
