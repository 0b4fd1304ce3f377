"""Hypothesis strategies for specs, requests and plans."""

from hypothesis import strategies as st

from erfnet_jobs.choices import (
    EXPORT_FORMATS,
    HEADS,
    LITE,
    MAX_EXPORT_PIXELS,
    NETWORKS,
    PRECISIONS,
    PROTOCOLS,
    SAVES,
    SPLITS,
)
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.specs import EvalSpec, ExportSpec, InferSpec, Spec
from erfnet_jobs.train_spec import TrainSpec

WORDS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
SIDES = st.integers(8, 1024).map(lambda eighth: eighth * 8)
SIZES = st.tuples(SIDES, SIDES)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def train_specs(draw: st.DrawFn) -> TrainSpec:
    first = draw(st.integers(1, 4))
    epochs = st.integers(1, 100_000)
    return TrainSpec(
        data=draw(WORDS),
        cards=draw(st.integers(1, 4096)),
        stages=tuple(range(first, draw(st.integers(first, 4)) + 1)),
        epochs=draw(st.tuples(epochs, epochs, epochs, epochs)),
        batch_size=draw(st.integers(1, 1024)),
        lr=draw(st.none() | st.floats(0, 1, exclude_min=True)),
        size=draw(SIZES),
        seed=draw(st.integers(0, 2**31 - 1)),
        checkpoint=draw(WORDS) if first > 1 else None,
        keep=draw(st.integers(1, 10)),
    )


EVAL_SPECS = st.builds(
    EvalSpec,
    checkpoints=st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    data=WORDS,
    split=st.sampled_from(SPLITS),
    network=st.sampled_from(NETWORKS),
    size=SIZES,
    batch_size=st.integers(1, 1024),
    cards=st.integers(1, 4096),
    protocol=st.sampled_from(PROTOCOLS),
    save_predictions=st.none() | WORDS,
    worst=st.integers(0, 1000),
)


@st.composite
def export_specs(draw: st.DrawFn) -> ExportSpec:
    height, width = size = draw(SIZES.filter(lambda size: size[0] * size[1] <= MAX_EXPORT_PIXELS))
    formats = tuple(draw(st.lists(st.sampled_from(EXPORT_FORMATS), min_size=1, unique=True)))
    most = 1 if LITE in formats else min(1024, MAX_EXPORT_PIXELS // (height * width))
    return ExportSpec(
        checkpoint=draw(WORDS),
        formats=formats,
        size=size,
        batch=draw(st.integers(1, most)),
        head=draw(st.sampled_from(HEADS)),
    )


INFER_SPECS = st.builds(
    InferSpec,
    checkpoint=WORDS,
    images=WORDS,
    split=st.sampled_from(SPLITS),
    size=SIZES,
    limit=st.none() | st.integers(1, 10**6),
    output=st.none() | WORDS,
    logits=st.none() | WORDS,
)


@st.composite
def infer_310_specs(draw: st.DrawFn) -> Infer310Spec:
    weights = draw(st.sampled_from(("checkpoint", "model")))
    images, labels = draw(WORDS), draw(st.none() | WORDS)
    return Infer310Spec(
        images=images,
        labels=labels,
        split=draw(st.sampled_from(SPLITS)),
        size=draw(SIZES),
        save=tuple(draw(st.lists(st.sampled_from(SAVES), unique=True))),
        limit=draw(st.none() | st.integers(1, 10**6)),
        output=draw(st.none() | WORDS.filter(lambda output: output not in (images, labels))),
        precision=draw(st.sampled_from(PRECISIONS)),
        threads=draw(st.none() | st.integers(1, 256)),
        allow_cpu=draw(st.booleans()),
        **{weights: draw(WORDS)},
    )


SPECS: st.SearchStrategy[Spec] = st.one_of(train_specs(), EVAL_SPECS, export_specs(), INFER_SPECS, infer_310_specs())

IDS = st.none() | st.integers(1, 2**53)
CHECKPOINTS = st.builds(
    CheckpointFile, path=WORDS, network=st.none() | WORDS, sha256=st.none() | WORDS, id=IDS, stage=IDS, epoch=IDS
)
PLACES = st.builds(
    RankPlace,
    rank=st.integers(0, 4095),
    host=st.sampled_from(("a", "b", "c")),
    device=st.integers(0, 15),
    local_rank=st.integers(0, 15),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    spec = draw(SPECS)
    return Plan(
        kind=spec.kind,
        spec=spec,
        run_dir=draw(WORDS),
        data_dir=draw(WORDS),
        ranks=tuple(draw(st.lists(PLACES, max_size=4))),
        device_target=draw(st.sampled_from(("CPU", "Ascend"))),
        job=draw(IDS),
        attempt=draw(st.integers(1, 100)),
        inputs=tuple(draw(st.lists(CHECKPOINTS, max_size=3))),
        resume=draw(st.none() | CHECKPOINTS),
        threads=draw(st.integers(1, 64)),
    )
