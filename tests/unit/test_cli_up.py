"""What `up` says to do next."""

from pathlib import Path
from typing import Any

import pytest

from erfnet_jobs.cli.root import run_command
from erfnet_jobs.cli.up import ready_text


@pytest.mark.parametrize(
    ("family", "command"),
    [("cpu", "submit train --data D"), ("910B", "submit train --data D"), ("310P", "submit 310-infer --checkpoint C")],
)
def test_a_host_is_offered_what_it_can_run(family: str, command: str) -> None:
    assert command in ready_text(family)


@pytest.mark.parametrize(
    ("command", "called"), [("up", "up.bring_up"), ("worker", "worker_process.become_worker")], ids=["up", "worker"]
)
def test_the_port_of_the_figures_is_a_setting(
    command: str, called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports: list[int] = []

    def begin(settings: Any, *_arguments: object) -> None:
        ports.append(settings.metrics_port)
        raise SystemExit

    monkeypatch.setattr(f"erfnet_jobs.local.{called}", begin)
    with pytest.raises(SystemExit):
        run_command(["--home", str(tmp_path), command, "--metrics-port", "9464"])
    assert ports == [9464]
    assert run_command([command, "--metrics-port", "65536"]) == 2
