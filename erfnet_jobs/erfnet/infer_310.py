"""What a rank of a 310-infer job does: the model for its device, then the C++ program, and what that says as reports.

MindSpore is imported only where a checkpoint has to be exported first.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from erfnet_jobs.ascend.environment import RankEnvironment
from erfnet_jobs.erfnet.disk import make_folder
from erfnet_jobs.erfnet.infer_310_reports import Infer310Reports, Ran
from erfnet_jobs.erfnet.lite_cache import lite_model
from erfnet_jobs.erfnet.lite_file import device_name
from erfnet_jobs.erfnet.measured_files import MeasuredFiles, measured_files
from erfnet_jobs.erfnet.versions import versions
from erfnet_jobs.errors import BadCheckpoint, BadData, UsageError
from erfnet_jobs.files import sha256_of
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.lite.infer import Inference, run_infer, version_of
from erfnet_jobs.lite.programs import INFER, find_infer, given_program
from erfnet_jobs.plan import CPU, PICTURES_FOLDER, Plan
from erfnet_jobs.reports import Hello, Phase, Report

Write = Callable[[Report], None]


def infer_310(plan: Plan, environment: RankEnvironment, write: Write) -> None:
    """Segment the spec's pictures with the C++ program, and measure them where labels are given.

    Raises UsageError, MissingDependency and BadCheckpoint before a picture is read, what the program ends with, and
    BadData where pictures were skipped, when all others are done and reported.
    """
    spec = plan.spec
    if not isinstance(spec, Infer310Spec):
        raise UsageError(f"a 310-infer job needs its own spec, not one of {spec.kind}")
    if plan.device_target == CPU:
        spec.check_cpu()
    program = find_infer(given_program())
    version = version_of(program)
    write(_hello(plan, environment, version))
    write(Phase("read data"))
    files = _measured_files(spec, Path(plan.data_dir))
    folder = make_folder(Path(spec.output) if spec.output else Path(plan.run_dir, PICTURES_FOLDER), "--output")
    model, sha256 = _model(plan, spec, version, environment, write)
    write(Phase("load the model"))
    inference = Inference(
        model=model,
        images=[Path(spec.images)],
        output=folder,
        labels=Path(spec.labels) if spec.labels else None,
        split=spec.split,
        limit=spec.limit,
        device=device_name(plan),
        threads=spec.threads or environment.threads,
        precision=spec.precision,
        save=spec.save,
    )
    checkpoint = plan.inputs[0] if plan.inputs else None
    ran = Ran(spec, folder, checkpoint, model, sha256, files)
    reports = Infer310Reports(ran, write)
    try:
        run_infer(program, inference, reports.take)
    except BadData as error:
        raise (reports.skipped_some() or error) from error


def _hello(plan: Plan, environment: RankEnvironment, version: str) -> Hello:
    host = environment.host or socket.gethostname()
    return Hello(0, 1, host, plan.ranks[0].device, os.getpid(), {**versions(), INFER: version})


def _measured_files(spec: Infer310Spec, cache_dir: Path) -> MeasuredFiles | None:
    if spec.labels is None:
        return None
    return measured_files(Path(spec.images), Path(spec.labels), spec.split, cache_dir)


def _model(
    plan: Plan, spec: Infer310Spec, version: str, environment: RankEnvironment, write: Write
) -> tuple[Path, str]:
    """The model's file and its hash: the one that is given, or that of the checkpoint."""
    if spec.model is None:
        made = lite_model(plan, spec, version, environment, write)
        return Path(made.path), made.sha256
    model = Path(spec.model)
    try:
        return model, sha256_of(model)
    except OSError as error:
        raise BadCheckpoint(f"{model} cannot be read ({error.strerror}): name another --model") from error
