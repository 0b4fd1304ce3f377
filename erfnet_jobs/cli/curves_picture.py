"""Curves as a picture, with matplotlib."""

import io
from pathlib import Path
from typing import Any

from erfnet_jobs.cli.curves_text import borders_of, label_of, last_epoch, thinned, title_of
from erfnet_jobs.cli.output import Document
from erfnet_jobs.client.output_files import output_errors
from erfnet_jobs.files import write_atomically

WIDTH, HEIGHT = 9.0, 3.2  # of a panel, in inches
DPI = 120
MOST_POINTS = 2000  # of a curve: two in each pixel
LINE_STYLES = ("-", "--", "-.", ":")


def write_picture(document: Document, path: Path) -> None:
    """Write the picture, of the kind that the name says; raises DiskFull and UsageError.

    The same curves give the same bytes.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = document["panels"]
    figure = Figure(figsize=(WIDTH, HEIGHT * len(panels)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _draw(axes, document, panel)
    buffer = io.BytesIO()
    kind = path.suffix.lower()[1:]
    with matplotlib.rc_context({"svg.hashsalt": "erfnet-jobs"}):
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
    with output_errors(path):
        write_atomically(path, buffer.getvalue())


def _draw(axes: Any, document: Document, panel: Document) -> None:
    jobs = [job["job"] for job in document["jobs"]]
    for series in panel["series"]:
        number = jobs.index(series["job"])
        points = thinned([(point["x"], point["value"]) for point in series["points"]], MOST_POINTS)
        xs, values = [x for x, _ in points], [value for _, value in points]
        look: dict[str, Any] = {"color": f"C{number}", "label": label_of(document, series)}
        if series["source"] == "evaluations":
            axes.plot(xs, values, linestyle="none", marker="o", markersize=5, **look)
        else:
            # A single point has no line to be seen.
            marker = "." if len(xs) == 1 else ""
            style = LINE_STYLES[number % len(LINE_STYLES)]
            axes.plot(xs, values, linestyle=style, marker=marker, linewidth=1.2, **look)
    for border in borders_of(document):
        axes.axvline(border, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlim(0, last_epoch(document) * 1.01)
    axes.set_title(title_of(panel), fontsize=10)
    axes.set_xlabel(f"epoch{' over all stages (lines: a stage ends)' if borders_of(document) else ' over all stages'}")
    axes.set_ylabel(panel["metric"])
    axes.grid(visible=True, axis="y", color="0.9")
    axes.legend(fontsize=8)
