"""The README's pictures, from the real program: `python -m tests.pictures [watch] [prediction]` writes `.readme/`.

`watch`: a registry is brought into a telling state, and what `status --watch` draws of it becomes an SVG. `prediction`:
a network is trained on made-up street scenes for about four minutes of a CPU, and one sheet of its `infer` is kept.
"""

import json
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from PIL import Image
from rich.console import Console

from erfnet_jobs.cli.watch.view import view_lines
from erfnet_jobs.client import Client
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import load_settings
from tests.telling_registry import fill

FOLDER = Path(__file__).parents[1] / ".readme"
WIDTH, HEIGHT = 100, 29
SCENES = ("--train", "80", "--val", "8", "--size", "192x384", "--seed", "1")
RECIPE = ("--size", "96x192", "--batch-size", "2", "--lr", "2.5e-3", "--epochs", "3,2,14,10", "--validate-every", "0")
SHOWN = "lindenhof_000000_000019_triptych.png"
JPEG_QUALITY = 88


def draw_watch(file: Path) -> None:
    """What `status --watch` shows in a terminal of 100 columns."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"home": folder}, {})
        upgrade(settings.resolved_database_url)
        with Registry(settings.resolved_database_url) as registry:
            fill(registry, Path("/runs"))
        with Client(settings) as client:
            lines = view_lines(client.overview(), WIDTH, HEIGHT, 2.0)
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line)
    console.save_svg(str(file), title="erfnet-jobs status --watch", unique_id="watch")


def draw_prediction(file: Path) -> None:
    """Input, ground truth and prediction of a scene that the network was not trained on."""
    with tempfile.TemporaryDirectory() as folder:
        home, scenes, made = (Path(folder, name) for name in ("home", "scenes", "made"))
        _command(home, "data", "scenes", scenes, *SCENES)
        trained = _command(home, "run", "train", "--data", scenes, *RECIPE, "--json")
        last = json.loads(trained)["checkpoints"][-1]["path"]
        checkpoint = next(path for path in home.rglob(Path(last).name) if path.is_file())
        _command(home, "run", "infer", "--checkpoint", checkpoint, "--images", scenes, *RECIPE[:2], "--output", made)
        with Image.open(made / SHOWN) as sheet:
            sheet.convert("RGB").save(file, quality=JPEG_QUALITY, optimize=True)


def _command(home: Path, *arguments: object) -> str:
    command = [sys.executable, "-m", "erfnet_jobs", "--home", str(home), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


PICTURES = {
    "watch": (draw_watch, FOLDER / "status-watch.svg"),
    "prediction": (draw_prediction, FOLDER / "prediction.jpg"),
}


def main() -> None:
    """Draw those that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        draw, file = PICTURES[name]
        draw(file)
        print(file)  # noqa: T201 - a script


if __name__ == "__main__":
    main()
