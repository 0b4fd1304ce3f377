"""The README's picture of the live view, from the real program: `python -m tests.pictures`.

A registry is brought into a telling state, and what `status --watch` draws of it is written to `.readme/`.
"""

import tempfile
from pathlib import Path

from rich.console import Console

from erfnet_jobs.cli.watch.view import view_lines
from erfnet_jobs.client import Client
from erfnet_jobs.registry.engine import Registry
from erfnet_jobs.registry.migrate import upgrade
from erfnet_jobs.settings import load_settings
from tests.telling_registry import fill

FOLDER = Path(__file__).parents[1] / ".readme"
WIDTH, HEIGHT = 100, 27


def draw_watch(file: Path) -> None:
    """What `status --watch` shows in a terminal of 100 columns, as an SVG."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings({"home": folder}, {})
        upgrade(settings.resolved_database_url)
        with Registry(settings.resolved_database_url) as registry:
            fill(registry, Path("/runs"))
        with Client(settings) as client:
            lines = view_lines(client.overview(), WIDTH, HEIGHT, 2.0)
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in lines:
            console.print(line)
        console.save_svg(str(file), title="erfnet-jobs status --watch", unique_id="watch")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw_watch(FOLDER / "status-watch.svg")
    print(FOLDER / "status-watch.svg")  # noqa: T201 - a script
