"""Published names and ours: what fits is taken, what does not is named. NumPy only."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet.weights import NAMED, fit, published_name, whole_names
from erfnet_jobs.errors import BadCheckpoint

FILE = Path("published.pth")
# A network like ERFNet, small: convolutions, BatchNorm, a decoder, a head.
SHAPES = {
    "encoder.initial_block.conv.weight": (2, 3, 3, 3),
    "encoder.initial_block.bn.gamma": (2,),
    "encoder.initial_block.bn.beta": (2,),
    "encoder.initial_block.bn.moving_mean": (2,),
    "encoder.initial_block.bn.moving_variance": (2,),
    "encoder.layers.1.bn2.gamma": (2,),
    "decoder.layers.0.bn.moving_mean": (4,),
    "decoder.layers.0.bn.moving_variance": (4,),
    "decoder.output_conv.weight": (4, 5, 2, 2),
    "head.weight": (5, 2, 1, 1),
    "head.bias": (5,),
}
WHOLE = {name for name in SHAPES if not name.startswith("head.")}
OF_ENCODER = {name for name in SHAPES if not name.startswith("decoder.")}
HEAD = {"encoder.output_conv.weight", "encoder.output_conv.bias"}
PUBLISHED = sorted(map(published_name, SHAPES))


def published(prefix=""):
    """A file's arrays, each number different."""
    arrays, start = {}, 1
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        arrays[prefix + published_name(name)] = np.arange(start, start + count, dtype=np.float32).reshape(shape)
        start += count
    arrays[prefix + "encoder.initial_block.bn.num_batches_tracked"] = np.array(7)
    return arrays


def refused(arrays, network, *words):
    with pytest.raises(BadCheckpoint) as raised:
        fit(FILE, arrays, network, SHAPES)
    for word in (str(FILE), *words):
        assert word in str(raised.value), raised.value


def test_names_of_batch_norm_and_of_the_head():
    assert published_name("encoder.layers.3.bn1.gamma") == "encoder.layers.3.bn1.weight"
    assert published_name("encoder.layers.3.bn1.beta") == "encoder.layers.3.bn1.bias"
    assert published_name("decoder.layers.0.bn.moving_mean") == "decoder.layers.0.bn.running_mean"
    assert published_name("decoder.layers.0.bn.moving_variance") == "decoder.layers.0.bn.running_var"
    assert published_name("decoder.output_conv.bias") == "decoder.output_conv.bias"
    assert published_name("head.weight") == "encoder.output_conv.weight"


@pytest.mark.parametrize(("network", "names"), [(ERFNET, WHOLE), (ENCODER, OF_ENCODER)])
def test_every_number_comes_to_its_place(network, names):
    arrays = published()

    fitted = fit(FILE, arrays, network, SHAPES)

    assert fitted.weights.keys() == names
    assert all((array == arrays[published_name(name)]).all() for name, array in fitted.weights.items())
    assert set(fitted.left_out) == {published_name(name) for name in SHAPES.keys() - names}
    assert fitted.has_head == (network == ENCODER)


@given(st.integers(0, 3), st.sets(st.sampled_from(PUBLISHED), min_size=1))
def test_a_prefix_goes_where_all_names_have_it(depth, names):
    given_names = {"module." * depth + name: name for name in names}

    assert whole_names(given_names) == given_names


@given(st.sets(st.sampled_from(PUBLISHED), min_size=2), st.data())
def test_a_prefix_of_some_names_stays(names, data):
    some = data.draw(st.sets(st.sampled_from(sorted(names)), min_size=1, max_size=len(names) - 1))
    mixed = [f"module.{name}" if name in some else name for name in names]

    assert whole_names(mixed) == {name: name for name in mixed}


@given(st.sets(st.text(max_size=20) | st.sampled_from(PUBLISHED).map(lambda name: f"module.{name}")))
def test_no_two_names_become_one(names):
    whole = whole_names(names)

    assert whole.keys() == names
    assert len(set(whole.values())) == len(names)


@given(st.sampled_from([ERFNET, ENCODER]), st.sets(st.sampled_from(PUBLISHED), max_size=4), st.integers(0, 2))
def test_all_that_is_missing_is_named(network, gone, depth):
    arrays = {
        name: array for name, array in published("module." * depth).items() if name.split("module.")[-1] not in gone
    }
    wanted = {published_name(name) for name in (WHOLE if network == ERFNET else OF_ENCODER)}
    if gone >= HEAD:
        wanted -= HEAD  # an encoder may be without its head
    elif network == ERFNET and not any(name.startswith("decoder.") for name in set(PUBLISHED) - gone):
        return  # told in other words, below
    if missing := gone & wanted:
        refused(arrays, network, f"{len(missing)} missing", *(f"missing: {name}" for name in missing))
    else:
        assert len(fit(FILE, arrays, network, SHAPES).weights) == len(wanted)


def test_everything_that_does_not_fit_is_told_at_once():
    arrays = published()
    del arrays["encoder.initial_block.bn.bias"]
    arrays["decoder.output_conv.weight"] = np.zeros((4, 27, 2, 2), np.float32)
    arrays["encoder.initial_block.bn.running_mean"] = np.array([1, np.nan], np.float32)
    arrays["encoder.initial_block.bn.running_var"] = np.array([1, 2])
    arrays["encoder.extra\x1b[2J"] = np.zeros(1, np.float32)

    refused(
        arrays,
        ERFNET,
        "1 missing, 1 unknown, 1 of another shape, 1 not of floating point, 1 not finite",
        "missing: encoder.initial_block.bn.bias",
        "unknown: 'encoder.extra\\x1b[2J'",
        "of another shape: decoder.output_conv.weight is (4, 27, 2, 2), not (4, 5, 2, 2)",
        "not of floating point: encoder.initial_block.bn.running_var is int64",
        "not finite: encoder.initial_block.bn.running_mean",
        "nothing was written",
    )


def test_a_negative_variance_is_refused():
    arrays = published()
    arrays["encoder.initial_block.bn.running_var"] = np.array([1, -1e-4], np.float32)
    refused(arrays, ERFNET, "1 negative", "negative: encoder.initial_block.bn.running_var, a variance")
    arrays["encoder.initial_block.bn.running_var"] = np.array([1, 0], np.float32)
    arrays["encoder.initial_block.bn.running_mean"] = np.array([1, -1], np.float32)
    assert fit(FILE, arrays, ERFNET, SHAPES).weights.keys() == WHOLE


def test_of_another_network_the_first_names_are_told():
    arrays = {f"layer.{number}": np.zeros(1, np.float32) for number in range(100)}
    refused(arrays, ERFNET, "100 unknown", "unknown: layer.0", f"unknown: and {100 - NAMED} more")
    refused({}, ENCODER, "missing")


@pytest.mark.parametrize("bare", [True, False])
def test_an_encoder_alone(bare):
    arrays = {name: array for name, array in published().items() if name.startswith("encoder.")}
    arrays = {name.removeprefix("encoder.") if bare else name: array for name, array in arrays.items()}

    fitted = fit(FILE, arrays, ENCODER, SHAPES)

    assert fitted.weights.keys() == OF_ENCODER
    assert fitted.has_head
    refused(arrays, ERFNET, "encoder without its decoder", "--encoder")


def imagenet():
    arrays = {
        f"module.features.{name}": array
        for name, array in published().items()
        if name.startswith("encoder.") and "output_conv" not in name
    }
    classifier = {"weight": (1000, 128), "bias": (1000,)}
    return arrays | {
        f"module.classifier.linear.{name}": np.zeros(shape, np.float32) for name, shape in classifier.items()
    }


def test_the_encoder_of_imagenet_has_no_head_of_ours():
    fitted = fit(FILE, imagenet(), ENCODER, SHAPES)

    assert fitted.weights.keys() == OF_ENCODER - {"head.weight", "head.bias"}
    assert not fitted.has_head
    assert set(fitted.left_out) == {"classifier.linear.weight", "classifier.linear.bias"}
    refused(imagenet(), ERFNET, "encoder without its decoder", "--encoder")


def test_half_a_head_is_none():
    arrays = published()
    del arrays["encoder.output_conv.bias"]
    refused(arrays, ENCODER, "missing: encoder.output_conv.bias")
    assert fit(FILE, arrays, ERFNET, SHAPES).weights.keys() == WHOLE


def fresh(arrays, part):
    for name in arrays:
        if name.startswith(part):
            if name.endswith("running_mean"):
                arrays[name] = np.zeros_like(arrays[name])
            if name.endswith("running_var"):
                arrays[name] = np.ones_like(arrays[name])
    return arrays


def test_a_decoder_that_never_ran_is_doubted():
    saved_with_the_encoder = fresh(published(), "decoder.")
    doubts = fit(FILE, saved_with_the_encoder, ERFNET, SHAPES).doubts

    assert len(doubts) == 1
    assert "never run" in doubts[0]
    assert "--encoder" in doubts[0]
    assert fit(FILE, saved_with_the_encoder, ENCODER, SHAPES).doubts == ()


def test_a_head_that_stayed_behind_is_doubted():
    doubts = fit(FILE, published(), ENCODER, SHAPES).doubts

    assert len(doubts) == 1
    assert "its own head was not" in doubts[0]
    assert fit(FILE, published(), ERFNET, SHAPES).doubts == ()
    untrained = fresh(fresh(published(), "decoder."), "encoder.")
    assert fit(FILE, untrained, ERFNET, SHAPES).doubts == ()
