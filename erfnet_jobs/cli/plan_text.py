"""What `submit --dry-run` prints of what would be submitted."""

from erfnet_jobs.cli.job_details import batch_text, learning_rate_text
from erfnet_jobs.cli.output import Document, duration


def plan_lines(plan: Document) -> list[str]:
    """What --dry-run prints."""
    lines = ["Would submit:"]
    for job in plan["jobs"]:
        cards = f"{job['cards']} card{'s' if job['cards'] > 1 else ''}"
        lines.append(f"  {job['kind']} on {cards}{_where(job)}")
        if job["training"]:
            lines.append(
                f"    batch {batch_text(job['training'])}, learning rate {learning_rate_text(job['training'])}"
            )
        lines += [
            f"    stage {stage['stage']}: {stage['epochs']} epoch{'s' if stage['epochs'] > 1 else ''}, {_lr(stage)}"
            for stage in job.get("stages", ())
        ]
        if not job.get("stages"):
            lines.append(f"    {', '.join(_settings(job['spec']))}")
    lines.append("Hosts in question:")
    lines += [f"  {_host(host)}" for host in plan["hosts"]]
    if not plan["hosts"]:
        lines.append("  no host is registered yet; start one with 'erfnet-jobs up'")
    if plan["now"]:
        lines.append(f"If it were the next job: {_now(plan['now'])}.")
    return [*lines, "Nothing was submitted (--dry-run)."]


def _now(now: Document) -> str:
    parts = [
        f"device{'s' if len(devices) > 1 else ''} {','.join(map(str, devices))} of {host}"
        for host, devices in now["parts"]
    ]
    return f"it would get {' and '.join(parts)} now" if parts else f"it {now['reason']}"


def _where(job: Document) -> str:
    after = f", after job {', '.join(map(str, job['after']))}" if job["after"] else ""
    devices = f", devices {','.join(map(str, job['devices']))}" if job["devices"] else ""
    for host, ids in job["pinned"] or ():
        devices += f", devices {','.join(map(str, ids))} of {host}"
    slots = ", CPU slots too" if job["spec"].get("allow_cpu") else ""
    limit = f", at most {duration(job['time_limit'])} an attempt" if job["time_limit"] else ""
    return after + devices + slots + limit + (f", on {job['host']} only" if job["host"] else "")


def _lr(stage: Document) -> str:
    # The rate falls over stages 1 and 2, and again over 3 and 4: each pair begins at the first one.
    return f"learning rate from {stage['lr']:g}" if stage["stage"] in (1, 3) else "learning rate goes on falling"


def _settings(spec: Document) -> list[str]:
    names = ("checkpoints", "checkpoint", "model", "data", "images", "labels", "split", "network", "protocol")
    shown = [(name, spec[name]) for name in (*names, "limit", "save", "precision") if spec.get(name) is not None]
    texts = [
        f"{name} {(','.join(map(str, value)) or 'none') if isinstance(value, list | tuple) else value}"
        for name, value in shown
    ]
    # A model says its size itself.
    return texts if spec.get("model") else [*texts, f"size {spec['size'][0]}x{spec['size'][1]}"]


def _host(host: Document) -> str:
    away = f"; {host['closed']}" if host["closed"] else ""
    return f"{host['name']}: {host['free']} of {host['usable']} devices free{away}"
