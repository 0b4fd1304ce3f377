"""The demo's steps, one line each: what was done, what came of it, how long it took."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from erfnet_jobs.cli import demo_recipe as recipe
from erfnet_jobs.cli.best import best_lines
from erfnet_jobs.cli.job_details import ENDED, details_lines
from erfnet_jobs.cli.live import LiveLine
from erfnet_jobs.cli.output import Document, duration, file_size, number, seconds_since, warn
from erfnet_jobs.cli.progress import progress_line
from erfnet_jobs.cli.status import job_table
from erfnet_jobs.cli.wait import show_job
from erfnet_jobs.client import Client
from erfnet_jobs.client.data_folders import data_fault
from erfnet_jobs.erfnet.disk import writing_to
from erfnet_jobs.erfnet.scenes import Scenes, make_scenes
from erfnet_jobs.errors import ErfnetJobsError, JobFailed, RegistryNotMigrated
from erfnet_jobs.files import make_private_folder
from erfnet_jobs.jobs import Request
from erfnet_jobs.local.down import Running, take_down
from erfnet_jobs.local.marks import marked_processes
from erfnet_jobs.local.up import bring_up
from erfnet_jobs.settings import Settings
from erfnet_jobs.states import TERMINAL, JobKind, JobState
from erfnet_jobs.train_spec import TrainSpec

STEPS = 7
THEN = (JobKind.EXPORT, JobKind.INFER)
LOOK_INTERVAL = 0.5


def _nothing(_text: str) -> None:
    """The demo tells it in its own words."""


class Demo:
    """Runs the steps one after another; `data` of None means made-up scenes, of which a mean IoU is expected."""

    def __init__(self, settings: Settings, data: Path | None) -> None:
        self.settings = settings
        self.data = data
        self.scenes = settings.home / "scenes"
        self._step = 0
        self._ended: dict[int, Document] = {}

    def run(self) -> None:
        """The whole way; raises JobFailed where a job fails or the network learned less than expected."""
        began = time.monotonic()
        click.echo(f"ERFNet from data to pictures, in {self.settings.home}")
        end_leftovers(self.settings)
        with writing_to(self.settings.home):
            make_private_folder(self.settings.home)
        self._make_scenes()
        self._bring_up()
        with Client(self.settings, warn=warn) as client:
            jobs = self._submit(client)
            self._follow(client, jobs)
            missed = self._tell_results(client, jobs)
        take_down(self.settings, Running.CANCEL, _nothing)
        click.echo(f"\nAll stopped after {duration(time.monotonic() - began)}. To go on from here:")
        click.echo("\n".join(f"  {line}" for line in self._next()))
        if missed is not None:
            raise JobFailed(missed)

    @contextmanager
    def _told(self, title: str) -> Iterator[Callable[[str], None]]:
        """A step: its line is printed at its end, with what it said and how long it took."""
        self._step += 1
        began = time.monotonic()
        said: list[str] = []
        yield said.append
        self._line(title, "; ".join(said), time.monotonic() - began)

    def _line(self, title: str, text: str, seconds: float) -> None:
        head = click.style(f"[{self._step}/{STEPS}] {title:<9}", bold=True)
        click.echo(f"{head} {text}  ({duration(seconds)})")

    def _make_scenes(self) -> None:
        with self._told("Data") as say:
            if self.data is not None:
                if fault := data_fault(self._request().spec, evaluate=True, then=THEN):
                    raise fault
                say(f"{self.data}")
                return
            wanted = Scenes(recipe.TRAIN_SCENES, recipe.VAL_SCENES, recipe.SCENE_SIZE, recipe.SCENES_SEED)
            with progress_line("scenes") as progress:
                made = make_scenes(self.scenes, wanted, progress=progress)
            size = f"{recipe.SCENE_SIZE[0]}x{recipe.SCENE_SIZE[1]}"
            how = "made" if made else "found from the last time"
            say(f"{recipe.TRAIN_SCENES} street scenes to train on, {recipe.VAL_SCENES} to validate on, {size}, {how}")

    def _request(self) -> Request:
        spec = TrainSpec(
            data=str(self.data or self.scenes),
            cards=recipe.CARDS,
            epochs=recipe.EPOCHS,
            batch_size=recipe.BATCH_SIZE,
            lr=recipe.LEARNING_RATE,
            size=recipe.SIZE,
            seed=recipe.SEED,
        )
        return Request(spec, name="demo", max_attempts=2)

    def _bring_up(self) -> None:
        with self._told("Servers") as say:
            servers = bring_up(self.settings, recipe.CARDS, _nothing)
            say(f"Redis, registry and a worker with {len(servers.host.usable)} devices are up")

    def _submit(self, client: Client) -> Sequence[Document]:
        with self._told("Submit") as say:
            jobs = client.submit(self._request(), then=THEN)
            train, *others = [f"{job['id']} {job['kind']}" for job in jobs]
            say(", ".join([f"jobs {train} on {recipe.CARDS} cards", *others]))
            return jobs

    def _follow(self, client: Client, jobs: Sequence[Document]) -> None:
        """Show the job that runs until all have ended; each end is a step."""
        line = LiveLine()
        left = [job["id"] for job in jobs]
        while left:
            current = client.job(left[0])
            if current["state"] not in ENDED:
                show_job(line, current)
                time.sleep(LOOK_INTERVAL)
                continue
            line.end()
            self._job_ended(client, current)
            left.pop(0)

    def _job_ended(self, client: Client, job: Document) -> None:
        if job["state"] != "succeeded":
            click.echo("\n".join(details_lines(client.details(job["id"]))))
            raise JobFailed(f"the demo's {job['kind']} job {job['id']} {job['state']}: {job['reason']}")
        self._step += 1
        self._ended[job["id"]] = client.details(job["id"])
        titles = {"train": "Train", "eval": "Evaluate", "export": "Export", "infer": "Infer"}
        # The last two run side by side, so their own times count and not when their ends were seen.
        took = seconds_since(job["started_at"], job["ended_at"]) or 0.0
        self._line(titles[job["kind"]], _outcome(self._ended[job["id"]]), took)

    def _tell_results(self, client: Client, jobs: Sequence[Document]) -> str | None:
        """Print table, best and picture; what was missed, if anything was expected."""
        click.echo("\n$ erfnet-jobs status")
        click.echo("\n".join(job_table(client.jobs())))
        best = client.best("mean_iou", job=jobs[0]["id"])[0]
        click.echo("\n$ erfnet-jobs best --metric mean_iou")
        click.echo("\n".join(best_lines(best)))
        pictures = _pictures(self._ended[jobs[-1]["id"]])
        if pictures:
            click.echo(f"\nInput, ground truth and prediction side by side:\n{pictures[0]}")
        return None if self.data else _judgement(best["value"])

    def _next(self) -> list[str]:
        height, width = recipe.SIZE
        return [
            f"export ERFNET_JOBS_HOME={self.settings.home}",
            f"erfnet-jobs status {min(self._ended)}",
            "erfnet-jobs up",
            f"erfnet-jobs submit train --data {self.data or self.scenes} --cards 2 --size {height}x{width} "
            "--epochs 2,2,4,4",
            "erfnet-jobs down",
        ]


def _outcome(job: Document) -> str:
    if job["kind"] == "train":
        epochs = sum(recipe.EPOCHS)
        kept = [row for row in job["checkpoints"] if not row["removed_at"]]
        return f"{epochs} epochs in four stages, loss {number(job['loss'], 2)}, {_count(kept, 'checkpoint')} kept"
    if job["kind"] == "eval":
        best = max((row["mean_iou"] for row in job["evaluations"]), default=0.0)
        return f"{_count(job['evaluations'], 'checkpoint')} measured, best mean IoU {best:.3f}"
    if job["kind"] == "export":
        models = [row for row in job["artifacts"] if row["format"] == "mindir"]
        return f"{models[0]['path']}, {file_size(models[0]['size'])}" if models else "nothing was written"
    pictures = _pictures(job)
    return f"{_count(pictures, 'picture')} in {Path(pictures[0]).parent}" if pictures else "no pictures"


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _pictures(job: Document) -> list[str]:
    """The pictures, the sheet of several first; input, ground truth and prediction stand side by side in it."""
    found = [(row["format"] != "preview", row["artifact"], row["path"]) for row in job["artifacts"]]
    return [path for _, _, path in sorted(found) if path.endswith((".png", ".jpg"))]


def _judgement(value: float) -> str | None:
    told = (
        f"guessing without looking at the picture gives {recipe.CHANCE_MIOU:.3f}, a good run about "
        f"{recipe.GOOD_MIOU:.2f}, and at least {recipe.EXPECTED_MIOU:.2f} is expected"
    )
    if value >= recipe.EXPECTED_MIOU:
        click.echo(f"\nIt learned: mean IoU {value:.3f}, where {told}.")
        return None
    return f"the network learned too little: mean IoU {value:.3f}, where {told}"


def _going(client: Client) -> list[int]:
    """The jobs of the demo's registry that have not ended; none where there is no registry yet."""
    try:
        return [job["id"] for job in client.jobs(1000, [state for state in JobState if state not in TERMINAL])]
    except RegistryNotMigrated:
        return []


def end_leftovers(settings: Settings) -> None:
    """End what a demo left that was killed, so that its jobs do not hold the devices."""
    with Client(settings, warn=_nothing) as client:
        going = _going(client)
    if going or marked_processes(settings.home):
        click.echo("Ending what an earlier demo left")
        end_all(settings)


def end_all(settings: Settings) -> None:
    """Cancel all jobs of the demo, stop worker and Redis; returns when no process is left."""
    try:
        with Client(settings, warn=_nothing) as client:
            if going := _going(client):
                client.cancel(going)
    except ErfnetJobsError as error:
        warn(f"the demo's jobs could not be cancelled ({error}); their processes are killed")
    take_down(settings, Running.CANCEL, _nothing)
