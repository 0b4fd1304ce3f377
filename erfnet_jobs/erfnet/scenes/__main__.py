"""Draws a part of the scenes: `python -m erfnet_jobs.erfnet.scenes ROOT SCENES_JSON PARTS PART`."""

import errno
import json
import signal
import sys
from pathlib import Path

from PIL import Image

from erfnet_jobs.erfnet.scenes import CITIES, Scenes, scene_paths
from erfnet_jobs.erfnet.scenes.scene import draw_scene
from erfnet_jobs.errors import DiskFull


def write_scene(root: Path, split: str, number: int, size: tuple[int, int], seed: int) -> None:
    """Draw one scene into its two files, the label last; raises DiskFull."""
    image, label = draw_scene((seed, list(CITIES).index(split), number), size)
    try:
        for path, pixels in zip(scene_paths(root, split, number), (image, label), strict=True):
            Image.fromarray(pixels).save(path, "PNG", compress_level=3)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{root.parent} is full: free some disk space, or make fewer or smaller scenes") from error
        raise


def main(arguments: list[str]) -> int:
    """Draw scenes PART, PART + PARTS, ...; 0, or DiskFull's exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a traceback
    root, scenes, parts, part = Path(arguments[0]), json.loads(arguments[1]), int(arguments[2]), int(arguments[3])
    wanted = Scenes(**{**scenes, "size": tuple(scenes["size"])})
    try:
        for split, number in wanted.numbers()[part::parts]:
            write_scene(root, split, number, wanted.size, wanted.seed)
    except DiskFull:
        return DiskFull.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
