"""Curves as JSON documents; their keys are stable."""

from collections.abc import Sequence

from erfnet_jobs.client.document import Document
from erfnet_jobs.registry.curves import Curve, Panel, spans_of
from erfnet_jobs.registry.tables import Job


def curves_document(panels: Sequence[Panel], jobs: Sequence[Job]) -> Document:
    """Panels of curves. A point's `x` is in epochs over all stages; stages lie between epochs `start` and `end`."""
    return {
        "jobs": [
            {
                "job": job.id,
                "name": job.name,
                "stages": [{"stage": span.stage, "start": span.start, "end": span.end} for span in spans_of(job)],
            }
            for job in jobs
        ],
        "panels": [_panel(panel) for panel in panels],
    }


def _panel(panel: Panel) -> Document:
    group = panel.group
    return {
        "metric": panel.metric,
        "evaluated": None
        if group is None
        else {
            "dataset_hash": group.dataset_hash,
            "split": group.split,
            "protocol": group.protocol,
            "height": group.height,
            "width": group.width,
        },
        "without": list(panel.without),
        "series": [_curve(curve) for curve in panel.curves],
    }


def _curve(curve: Curve) -> Document:
    return {
        "job": curve.job,
        "source": curve.source,
        "points": [
            {"x": point.x, "value": point.value, "stage": point.stage, "epoch": point.epoch, "step": point.step}
            for point in curve.points
        ],
    }
