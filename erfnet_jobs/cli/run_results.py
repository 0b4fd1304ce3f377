"""What `run` prints at its end: files first, the figures last of all but where everything is."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from erfnet_jobs.choices import MEASURED_PART
from erfnet_jobs.cli.live import Course
from erfnet_jobs.cli.measures import evaluation_lines
from erfnet_jobs.cli.output import difference_text, file_size
from erfnet_jobs.infer_310_spec import Infer310Spec
from erfnet_jobs.plan import PICTURES_FOLDER, Plan
from erfnet_jobs.specs import EvalSpec
from erfnet_jobs.states import JobKind

# What a 310-infer leaves of each picture: many files, which lie in one folder.
EACH_PICTURE = ("labels", "prediction", "overlay", "logits")


def result_lines(plan: Plan, course: Course) -> Iterator[str]:
    """What came of a run that succeeded."""
    for checkpoint in course.checkpoints.values():
        yield f"checkpoint  {Path(plan.run_dir, checkpoint.path)}  {file_size(checkpoint.size)}"
    yield from _files(plan, course)
    if course.images_per_second is not None and plan.kind == JobKind.INFER_310:
        yield f"speed       {course.images_per_second:.2f} images/s, from file to file"
    for evaluation in course.evaluations:
        yield from evaluation_lines(asdict(evaluation))
    if course.phase.startswith(MEASURED_PART):
        yield course.phase
    what = "plan and logs are" if pictures_of_310(plan) else "everything is"
    yield f"done: {what} in {plan.run_dir}"


def _files(plan: Plan, course: Course) -> Iterator[str]:
    for artifact in course.artifacts:
        if plan.kind != JobKind.INFER_310 or artifact.format not in EACH_PICTURE:
            told = difference_text(artifact.difference)
            yield f"{artifact.format:<10}  {Path(plan.run_dir, artifact.path)}  {file_size(artifact.size)}{told}"
    if isinstance(plan.spec, EvalSpec) and plan.spec.save_predictions:
        yield f"predictions {plan.spec.save_predictions}"
    if folder := pictures_of_310(plan):
        yield f"files       {folder}  ({course.step} picture{'' if course.step == 1 else 's'})"


def stopped_line(plan: Plan, course: Course) -> str | None:
    """What is done of a 310-infer that was ended; None of other kinds, and where nothing is."""
    folder = pictures_of_310(plan)
    return f"{course.step} of {course.steps} pictures are done, in {folder}" if folder and course.step else None


def pictures_of_310(plan: Plan) -> str | None:
    """Where a 310-infer writes its files; None where it writes none, or is another kind."""
    spec = plan.spec
    if not isinstance(spec, Infer310Spec) or not (spec.save or spec.labels):
        return None
    return spec.output or str(Path(plan.run_dir, PICTURES_FOLDER))
