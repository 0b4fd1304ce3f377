"""Exports with real MindSpore, onnx and ONNX Runtime: the whole network, and small ones that are spoilt on the way."""

import sys
from dataclasses import replace
from pathlib import Path

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn

from erfnet_jobs.choices import ENCODER, ERFNET
from erfnet_jobs.erfnet import checkpoints, export, inference
from erfnet_jobs.erfnet.blocks import Downsampler, FactorizedResidual, Upsampler
from erfnet_jobs.erfnet.checkpoints import Position
from erfnet_jobs.erfnet.initialise import initialise
from erfnet_jobs.erfnet.model import OUTPUTS, make_network
from erfnet_jobs.errors import BadCheckpoint, ErfnetJobsError, MissingDependency
from erfnet_jobs.files import sha256_of
from erfnet_jobs.plan import CheckpointFile, Plan, RankPlace
from erfnet_jobs.reports import ArtifactWritten, Phase, Progress
from erfnet_jobs.specs import ExportSpec
from erfnet_jobs.states import JobKind
from tests.optional import optional
from tests.tiny import in_graphs

onnx = optional("onnx")
onnxruntime = optional("onnxruntime")

from erfnet_jobs.erfnet import onnx_mend  # noqa: E402

pytestmark = pytest.mark.mindspore
in_graphs()
SIZE = (64, 128)
BOTH = ("mindir", "onnx")


class Small(nn.Cell):
    """ERFNet's blocks, one of each: logits at 1/2 of the resolution, and of all of it with an upsampler."""

    def __init__(self, whole):
        super().__init__()
        self.down = Downsampler(inputs=3, outputs=8)
        self.block = FactorizedResidual(channels=8, dilation=2)
        self.up = Upsampler(inputs=8, outputs=8) if whole else None
        self.head = nn.Conv2d(in_channels=8, out_channels=OUTPUTS, kernel_size=1, pad_mode="valid", has_bias=True)

    def construct(self, x):
        y = self.block(self.down(x))
        if self.up is not None:
            y = self.up(y)
        return self.head(y)


def make_small(name):
    return Small(whole=name == ERFNET)


def randomized(network):
    """The network with all weights and statistics random, so that no two can change places unseen."""
    initialise(network, 1)
    chance = np.random.default_rng(1)
    for parameter in network.get_parameters():
        if len(parameter.shape) == 1:
            values = chance.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
            around = 0 if parameter.name.endswith(("bias", "beta", "moving_mean")) else 1
            parameter.set_data(Tensor(values - 1 + around))
    return network


class Exported:
    """An export in a folder: what it reported, and the error that it ended with."""

    def __init__(self, folder: Path, network: str, make, **values):
        stage = {ERFNET: 4, ENCODER: 2}[network]
        self.folder, self.reports, self.error = folder / "run", [], None
        self.folder.mkdir()
        self.network = randomized(make(network))
        self.network.set_train(False)
        path = folder / f"{network}_stage{stage}-1_2.ckpt"
        written = checkpoints.save(path, self.network.get_parameters(), Position(network, stage, 1, 2, 1))
        self.sha256, self.checkpoint = written.sha256, str(path)
        self.spec = ExportSpec("7", **{"size": SIZE, **values})
        given = CheckpointFile(str(path), network, None, 7)
        run = (str(self.folder), str(self.folder), (RankPlace(0, "here", 0, 0),))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inference, "make_network", make)
            self._export(Plan(JobKind.EXPORT, self.spec, *run, inputs=(given,)))

    def _export(self, plan):
        try:
            export.export(plan, self.reports.append)
        except ErfnetJobsError as error:
            self.error = error

    @property
    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    @property
    def artifacts(self):
        return [report for report in self.reports if isinstance(report, ArtifactWritten)]

    @property
    def progress(self):
        return [report for report in self.reports if isinstance(report, Progress)]

    def outputs(self, images):
        """What the network says, and each file by its format."""
        logits = self.network(Tensor(images)).asnumpy()
        name = next(path.partition(".")[0] for path in self.files)
        graph = nn.GraphCell(mindspore.load(str(self.folder / f"{name}.mindir")))
        session = onnxruntime.InferenceSession(self.folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        return logits, {"mindir": graph(Tensor(images)).asnumpy(), "onnx": session.run(None, {"images": images})[0]}


def noise(batch):
    return np.random.default_rng(5).random((batch, 3, *SIZE), np.float32)


@pytest.mark.parametrize(
    ("network", "names"), [(ERFNET, ["ERFNet.mindir", "ERFNet.onnx"]), (ENCODER, ["Encoder.mindir", "Encoder.onnx"])]
)
def test_the_whole_network_s_logits(tmp_path, network, names):
    batch = 2 if network == ENCODER else 1
    made = Exported(tmp_path, network, make_network, formats=BOTH, batch=batch)

    assert made.error is None
    assert made.files == names
    assert [report.format for report in made.artifacts] == ["mindir", "onnx"]
    for artifact in made.artifacts:
        path = made.folder / artifact.path
        assert (artifact.sha256, artifact.size, artifact.checkpoint_id) == (sha256_of(path), path.stat().st_size, 7)
        assert (artifact.checkpoint_path, artifact.checkpoint_sha256) == (made.checkpoint, made.sha256)
        assert (artifact.checkpoint_size, artifact.network) == (Path(made.checkpoint).stat().st_size, network)
        assert 0 <= artifact.difference <= export.TOLERANCE
        assert path.stat().st_mode & 0o777 == 0o644
    wanted, found = made.outputs(noise(batch))
    assert wanted.shape == (batch, OUTPUTS, *(side // (8 if network == ENCODER else 1) for side in SIZE))
    for logits in found.values():
        assert np.abs(logits - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert made.progress == [Progress(0.5, 1, 2), Progress(1.0, 2, 2)]
    assert made.reports[-1] == Phase("export", 2, 2)


def test_the_whole_network_s_classes(tmp_path):
    made = Exported(tmp_path, ERFNET, make_network, formats=BOTH, head="argmax")

    assert made.error is None
    logits, found = made.outputs(noise(1))
    for classes in found.values():
        assert (classes.shape, classes.dtype) == ((1, *SIZE), np.int32)
        assert np.mean(classes == logits.argmax(1)) > 0.999


def test_batches_of_classes(tmp_path):
    made = Exported(tmp_path, ENCODER, make_small, formats=BOTH, head="argmax", batch=5)

    assert made.error is None
    logits, found = made.outputs(noise(5))
    for classes in found.values():
        assert classes.shape == (5, SIZE[0] // 2, SIZE[1] // 2)
        assert np.mean(classes == logits.argmax(1)) > 0.999


def test_what_an_onnx_file_says_of_itself(tmp_path):
    made = Exported(tmp_path, ERFNET, make_small, formats=("onnx",), batch=2)

    model = onnx.load(made.folder / "ERFNet.onnx")
    onnx.checker.check_model(model, full_check=True)
    ends = [*model.graph.input, *model.graph.output]
    shapes = [[dim.dim_value for dim in end.type.tensor_type.shape.dim] for end in ends]
    assert [end.name for end in ends] == ["images", "logits"]
    assert shapes == [[2, 3, *SIZE], [2, OUTPUTS, *SIZE]]
    assert model.producer_name == "erfnet-jobs"
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert (told["checkpoint_sha256"], told["size"], told["batch"]) == (made.sha256, "64x128", "2")
    assert told["classes"].split(",")[:2] == ["road", "sidewalk"]
    assert len(told["classes"].split(",")) == OUTPUTS - 1
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" in kinds
    assert not kinds & {"Dropout", "RandomUniform", "RandomUniformLike"}


@pytest.mark.parametrize(
    ("network", "said"), [(ENCODER, "differs from the network by"), (ERFNET, "is no valid ONNX model")]
)
def test_what_is_not_mended_is_not_kept(tmp_path, monkeypatch, network, said):
    monkeypatch.setattr(onnx_mend, "onnx_pads", list)
    name = {ENCODER: "Encoder", ERFNET: "ERFNet"}[network]
    made = Exported(tmp_path, network, make_small, formats=("onnx", "mindir"))

    assert f"{name}.onnx was not written: " in str(made.error)
    assert said in str(made.error)
    assert ".mindir" not in str(made.error)
    # The other format is whole, and the export is not.
    assert made.progress == [Progress(0.5, 1, 2)]
    assert made.files == [f"{name}.mindir"]
    assert [report.format for report in made.artifacts] == ["mindir"]


@pytest.mark.parametrize("head", ["logits", "argmax"])
@pytest.mark.parametrize("kind", BOTH)
def test_weights_that_changed_on_the_way_fail_the_export(tmp_path, monkeypatch, kind, head):
    def spoiling(write):
        def spoilt(network, *arguments, **options):
            parameter = next(one for one in network.get_parameters() if one.name.endswith("head.bias"))
            right = parameter.asnumpy().copy()
            parameter.set_data(Tensor(np.roll(right, 1)))
            write(network, *arguments, **options)
            parameter.set_data(Tensor(right))

        return spoilt

    place = mindspore if kind == "mindir" else mindspore.onnx
    monkeypatch.setattr(place, "export", spoiling(place.export))
    made = Exported(tmp_path, ENCODER, make_small, formats=(kind,), head=head)

    assert "differs from the network by" in str(made.error)
    assert (made.files, made.artifacts) == ([], [])


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_packages_nothing_begins(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(export, "inference_network", lambda name: pytest.fail("a network was made"))
    made = Exported(tmp_path, ENCODER, make_small, formats=BOTH)

    assert isinstance(made.error, MissingDependency)
    assert package in str(made.error)
    assert "pip install 'erfnet-jobs[worker,onnx]'" in str(made.error)
    assert (made.files, made.reports) == ([], [])


def test_mindir_needs_no_packages(tmp_path, monkeypatch):
    for package in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)

    assert Exported(tmp_path, ENCODER, make_small).files == ["Encoder.mindir"]


def test_a_failure_leaves_the_syntax_level(tmp_path, monkeypatch):
    monkeypatch.setattr(mindspore.train.serialization, "_export", lambda *_, **__: (_ for _ in ()).throw(OSError("no")))
    before = mindspore.get_context("jit_syntax_level")

    with pytest.raises(OSError, match="no"):
        Exported(tmp_path, ENCODER, make_small)

    assert mindspore.get_context("jit_syntax_level") == before
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("kind", BOTH)
def test_what_mindspore_cannot_export_does_not_cost_the_other_format(tmp_path, monkeypatch, kind):
    def export_it(*_, **__):
        raise RuntimeError("Unsupported operator: Wonder\n\n- C++ Call Stack:")

    monkeypatch.setattr(mindspore if kind == "mindir" else mindspore.onnx, "export", export_it)
    made = Exported(tmp_path, ENCODER, make_small, formats=(kind, *(each for each in BOTH if each != kind)))

    assert f"/run/Encoder.{kind} was not written: MindSpore does not export the network (RuntimeError: Unsup" in str(
        made.error
    )
    assert "C++" not in str(made.error)
    assert "report this with the checkpoint" in str(made.error)
    (other,) = made.artifacts
    assert made.files == [other.path]
    assert other.format != kind


@pytest.mark.parametrize("call", ["load", "run"])
def test_what_mindspore_does_not_take_back(tmp_path, monkeypatch, call):
    class Odd(nn.Cell):
        def construct(self, x):
            return x @ x  # of no shape that fits

    def refuse(path):
        raise ValueError("magic number")

    monkeypatch.setattr(mindspore, "load", refuse if call == "load" else lambda path: None)
    monkeypatch.setattr(nn, "GraphCell", lambda graph: Odd())
    made = Exported(tmp_path, ENCODER, make_small, formats=BOTH)

    assert f"Encoder.mindir was not written: MindSpore does not {call} what it wrote (" in str(made.error)
    assert made.files == ["Encoder.onnx"]


def test_a_checkpoint_that_is_gone(tmp_path):
    given = CheckpointFile(str(tmp_path / "gone.ckpt"), ENCODER)
    plan = Plan(JobKind.EXPORT, ExportSpec("1"), str(tmp_path), str(tmp_path), (RankPlace(0, "here", 0, 0),))
    with pytest.raises(BadCheckpoint, match=r"gone\.ckpt cannot be read \(No such file"):
        export.export(replace(plan, inputs=(given,)), print)
