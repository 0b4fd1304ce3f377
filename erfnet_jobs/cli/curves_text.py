"""Curves in the terminal, as wide as it is: series told apart by their markers, and by colours where there are some."""

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import TextIO

import click

from erfnet_jobs.cli.output import LEAST_WIDTH, Document, shorten, wrapped

MARKERS = "ox+*#%@&=$AVTHZN"
# Codes of the 16 colours that every terminal has, and what click calls them.
COLOURS = (
    *((12, "bright_blue"), (10, "bright_green"), (9, "bright_red"), (14, "bright_cyan"), (13, "bright_magenta")),
    (11, "bright_yellow"),
)
# What the y axis takes at its left.
MARGIN = 8
LEAST_ROWS, MOST_ROWS = 10, 20
PROMPT_ROWS = 2

Points = list[tuple[float, float]]


def curve_lines(document: Document, stream: TextIO) -> list[str]:
    """The lines of all panels, with a legend below each."""
    size = shutil.get_terminal_size((80, 24))
    width = max(size.columns, LEAST_WIDTH)
    coloured = stream.isatty() and not os.environ.get("NO_COLOR")
    stages = [wrapped(line, width, "  ") for line in _stage_lines(document)]
    legends = [_legend(document, panel, width, coloured) for panel in document["panels"]]
    taken = PROMPT_ROWS + sum(map(len, legends)) + sum(line.count("\n") + 1 for line in stages)
    rows = min(max((size.lines - taken) // len(legends), LEAST_ROWS), MOST_ROWS)
    lines: list[str] = []
    for panel, legend in zip(document["panels"], legends, strict=True):
        lines += [*_drawn(document, panel, (width, rows), coloured), *legend]
    return [*lines, *stages]


def thinned(points: Points, most: int) -> Points:
    """At most `most` points: of those that fall into one of as many equal parts of the x axis, their mean.

    Values that are no numbers are left out.
    """
    real = [(x, value) for x, value in points if math.isfinite(value)]
    if len(real) <= most:
        return real
    first, last = real[0][0], real[-1][0]
    scale = most / (last - first) if last > first else 0.0
    parts: dict[int, Points] = {}
    for x, value in real:
        parts.setdefault(min(int((x - first) * scale), most - 1), []).append((x, value))
    return [(_mean([x for x, _ in part]), _mean([value for _, value in part])) for part in parts.values()]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def borders_of(document: Document) -> list[int]:
    """Where one stage ends and the next begins, if all jobs have the same stages."""
    ends = {tuple(stage["end"] for stage in job["stages"]) for job in document["jobs"]}
    return list(ends.pop()[:-1]) if len(ends) == 1 else []


def last_epoch(document: Document) -> int:
    """The whole epoch by which all that is drawn has ended: one x axis for all panels."""
    series = (one for panel in document["panels"] for one in panel["series"])
    xs: list[float] = [point["x"] for one in series for point in one["points"]]
    return max(1, math.ceil(max(xs)))


def ticks(last: int, most: int) -> list[int]:
    """Whole epochs from 0 to `last`, at most `most` of them, as far apart as people count: 1, 2, 5, 10, 20, ..."""
    step, factors = 1, 0
    while last / step >= most:
        step = step * 5 // 2 if factors % 3 == 1 else step * 2
        factors += 1
    return list(range(0, last + 1, step))


def title_of(panel: Document) -> str:
    """The metric, and where evaluations of it were measured."""
    group = panel["evaluated"]
    if group is None:
        return str(panel["metric"])
    where = f"{group['split']} at {group['height']}x{group['width']}, protocol {group['protocol']}"
    return f"{panel['metric']} (evaluations: {where}, dataset {group['dataset_hash'][:12]})"


def label_of(document: Document, series: Document) -> str:
    """'12 baseline: val_mean_iou'."""
    name = next(job["name"] for job in document["jobs"] if job["job"] == series["job"])
    return f"job {series['job']}{f' {name}' if name else ''}: {series['source']}"


def _drawn(document: Document, panel: Document, size: tuple[int, int], coloured: bool) -> list[str]:
    import plotext

    width, rows = size
    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.theme("simple" if coloured else "colorless")
    figure.plot_size(width, rows)
    last = last_epoch(document)
    curves = [_terminal_points(series, width) for series in panel["series"]]
    heights = [value for points in curves for _, value in points]
    for border in (border for border in borders_of(document) if border < last and heights):
        # Not figure.line, which paints its own background.
        line = figure.signal([border] * 2, [min(heights), max(heights)], marker=plotext.marker("│", plotext.pixel()))
        figure.draw(line.lines(True))
    for number, (series, points) in enumerate(zip(panel["series"], curves, strict=True)):
        marker = plotext.marker(MARKERS[number % len(MARKERS)], plotext.pixel(foreground=_colour(number)[0]))
        signal = figure.signal([x for x, _ in points], [value for _, value in points], marker=marker)
        # Evaluations are of single checkpoints, with nothing known between them.
        figure.draw(signal.lines(series["source"] != "evaluations"))
    figure.ruler(0).lim(0, last)
    marks = ticks(last, max(2, width // 8))
    figure.ruler(0).ticks(marks, [str(mark) for mark in marks])
    figure.title(shorten(title_of(panel), width - MARGIN))
    text: str = figure.build().string(colorless=not coloured)
    return [line.rstrip() for line in text.rstrip("\n").split("\n")]


def _terminal_points(series: Document, width: int) -> Points:
    return thinned([(point["x"], point["value"]) for point in series["points"]], max(width - MARGIN, 1))


def _colour(number: int) -> tuple[int, str]:
    return COLOURS[number % len(COLOURS)]


def _legend(document: Document, panel: Document, width: int, coloured: bool) -> list[str]:
    entries = list(_entries(document, panel))
    cell = max(len(text) for text, _ in entries) + 3
    columns = max(1, min(len(entries), width // cell))
    lines = []
    for start in range(0, len(entries), columns):
        cells = (_cell(text, colour, cell, width, coloured) for text, colour in entries[start : start + columns])
        lines.append("".join(cells).rstrip())
    return lines


def _entries(document: Document, panel: Document) -> Iterator[tuple[str, str]]:
    for number, series in enumerate(panel["series"]):
        yield f"{MARKERS[number % len(MARKERS)]} {label_of(document, series)}", _colour(number)[1]


def _cell(text: str, colour: str, cell: int, width: int, coloured: bool) -> str:
    shown = shorten(text, width)
    padding = " " * (cell - len(shown))
    return (click.style(shown, fg=colour) if coloured else shown) + padding


def _stage_lines(document: Document) -> Iterator[str]:
    """The x axis in words: where each job's stages end; jobs with the same ones share a line."""
    by_stages: dict[str, list[str]] = {}
    for job in document["jobs"]:
        ends = ", ".join(f"stage {stage['stage']} to {stage['end']}" for stage in job["stages"])
        by_stages.setdefault(ends, []).append(str(job["job"]))
    for ends, jobs in by_stages.items():
        yield f"x: epochs over all stages; job {', '.join(jobs)}: {ends}"
